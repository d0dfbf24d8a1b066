-- Cells, checks and scores: each row with the session's next number and its link.

-- Advance a session's chain by a row of evidence and count it; returns the row's link. A repeated write, whose answer
-- was lost, is known by the row's salt.
CREATE FUNCTION ib.advance(p_session ib.sessions, p_table text, p_row text, p_now double precision) RETURNS bytea
LANGUAGE plpgsql AS $$
DECLARE
    head bytea := ib.link(p_session.chain_head, p_session.session_id, p_row);
BEGIN
    UPDATE ib.sessions AS s SET
        chain_n = s.chain_n + 1, chain_head = head,
        cells = s.cells + (p_table = 'cell')::integer,
        checks = s.checks + (p_table = 'check')::integer,
        scores = s.scores + (p_table = 'score')::integer
    WHERE s.session_key = p_session.session_key;
    PERFORM ib.say_changed(p_session.session_key, p_now, p_table);
    RETURN head;
END $$;

CREATE FUNCTION ib.add_cell(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s ib.sessions := ib.locked(p_asked);
    c ib.cells := jsonb_populate_record(NULL::ib.cells, p_asked);
BEGIN
    IF s.session_key IS NULL THEN
        RETURN '{"error": "unknown_session"}';
    END IF;
    IF p_asked ? 'again' THEN
        SELECT o.n INTO c.n FROM ib.cells AS o WHERE o.session_key = s.session_key AND o.salt = c.salt;
        IF FOUND THEN
            RETURN jsonb_build_object('n', c.n);
        END IF;
    END IF;
    c.seq := nextval('ib.cells_seq_seq');
    c.n := s.cells + 1;
    c.link_n := s.chain_n + 1;
    c.link := ib.advance(s, 'cell', concat_ws(',', '["cells"', c.n, ib.canonical(c.execution_count::bigint),
        ib.canonical(c.kind), ib.canonical(c.source_sha), c.lines, ib.canonical(c.ok), ib.canonical(c.error),
        c.output_chars, ib.canonical(c.started_at, 1e6), ib.canonical(c.ended_at, 1e6),
        '"' || (p_asked ->> 'committed') || '"]'), ib.moment(p_asked));
    INSERT INTO ib.cells SELECT c.*;
    RETURN jsonb_build_object('n', c.n);
END $$;

CREATE FUNCTION ib.add_check(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s ib.sessions := ib.locked(p_asked);
    c ib.checks := jsonb_populate_record(NULL::ib.checks, p_asked);
BEGIN
    IF s.session_key IS NULL THEN
        RETURN '{"error": "unknown_session"}';
    END IF;
    IF p_asked ? 'again' THEN
        SELECT o.n INTO c.n FROM ib.checks AS o WHERE o.session_key = s.session_key AND o.salt = c.salt;
        IF FOUND THEN
            RETURN jsonb_build_object('n', c.n);
        END IF;
    END IF;
    c.seq := nextval('ib.checks_seq_seq');
    c.n := s.checks + 1;
    c.link_n := s.chain_n + 1;
    c.link := ib.advance(s, 'check', concat_ws(',', '["checks"', c.n, ib.canonical(c.challenge_sha),
        ib.canonical(c.suite), c.passed, c.total, ib.canonical(c.source_sha), ib.canonical(c.ran_on),
        ib.canonical(c.started_at, 1e6), ib.canonical(c.ended_at, 1e6),
        '"' || (p_asked ->> 'committed') || '"]'), ib.moment(p_asked));
    INSERT INTO ib.checks SELECT c.*;
    RETURN jsonb_build_object('n', c.n);
END $$;

CREATE FUNCTION ib.add_score(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s ib.sessions := ib.locked(p_asked);
    c ib.scores := jsonb_populate_record(NULL::ib.scores, p_asked);
    before double precision;
BEGIN
    IF s.session_key IS NULL THEN
        RETURN '{"error": "unknown_session"}';
    END IF;
    IF p_asked ? 'again' THEN
        SELECT o.created_at INTO before FROM ib.scores AS o WHERE o.session_key = s.session_key AND o.salt = c.salt;
        IF FOUND THEN
            RETURN jsonb_build_object('created_at', before);
        END IF;
    END IF;
    c.seq := nextval('ib.scores_seq_seq');
    c.created_at := coalesce(c.created_at, ib.moment(p_asked));
    c.link_n := s.chain_n + 1;
    c.link := ib.advance(s, 'score', concat_ws(',', '["scores"', ib.canonical(c.criterion), ib.canonical(c.rater),
        ib.canonical(c.rater_kind), ib.canonical(c.level::bigint), ib.canonical(c.low::bigint),
        ib.canonical(c.high::bigint), ib.canonical(c.saw_model), ib.canonical(c.rubric_sha), ib.canonical(c.model),
        ib.canonical(c.prompt_version), ib.canonical(c.created_at, 1e6),
        '"' || (p_asked ->> 'committed') || '"]'), ib.moment(p_asked));
    INSERT INTO ib.scores SELECT c.*;
    RETURN jsonb_build_object('created_at', c.created_at);
END $$;

-- Keep the candidate's part of a challenge; the first one of a hash stays.
CREATE FUNCTION ib.keep_challenge(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    c ib.challenges := jsonb_populate_record(NULL::ib.challenges, p_asked);
BEGIN
    INSERT INTO ib.challenges (challenge_sha, name, version, text, files, first_used_at)
    VALUES (c.challenge_sha, c.name, c.version, c.text, c.files, coalesce(c.first_used_at, ib.moment(p_asked)))
    ON CONFLICT DO NOTHING;
    RETURN '{}';
END $$;

-- Any write that a call makes, by its name.
CREATE FUNCTION ib.write(p_name text, p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE p_name
        WHEN 'reserve' THEN ib.reserve(p_asked)
        WHEN 'settle' THEN ib.settle(p_asked)
        WHEN 'release' THEN ib.release(p_asked)
        WHEN 'renew' THEN ib.renew(p_asked)
        WHEN 'mark_unresolved' THEN ib.mark_unresolved(p_asked)
        WHEN 'charge' THEN ib.charge(p_asked)
        WHEN 'write_reply' THEN ib.write_reply(p_asked)
        WHEN 'add_event' THEN ib.add_event(p_asked)
        WHEN 'add_message' THEN ib.add_message(p_asked)
        WHEN 'add_cell' THEN ib.add_cell(p_asked)
        WHEN 'add_check' THEN ib.add_check(p_asked)
        WHEN 'add_score' THEN ib.add_score(p_asked)
        WHEN 'take_invitation' THEN ib.take_invitation(p_asked)
        WHEN 'credit_time' THEN ib.credit_time(p_asked)
    END;
END $$;

-- Several writes in one transaction, in the order of their sessions' keys: the caller has sorted them. The ceiling is
-- locked first, as in each of them.
CREATE FUNCTION ib.write_all(p_names text[], p_asked jsonb[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    answers jsonb[] := '{}';
BEGIN
    PERFORM 1 FROM ib.ceiling FOR UPDATE;
    FOR i IN 1 .. cardinality(p_names) LOOP
        answers := array_append(answers, ib.write(p_names[i], p_asked[i]));
    END LOOP;
    RETURN to_jsonb(answers);
END $$;
