-- Sessions: opening, states, budgets, time limits, events. Each answers with the session's row as it is then, or with
-- what is wrong; {"error": "unknown_session"} when there is none.

CREATE FUNCTION ib.locked(p_asked jsonb) RETURNS ib.sessions LANGUAGE sql AS $$
SELECT * FROM ib.sessions AS s
WHERE s.session_key = (p_asked ->> 'session_key')::bigint AND s.session_id = p_asked ->> 'session_id' FOR UPDATE
$$;

-- A session's row, and the moment of it by the server's clock.
CREATE FUNCTION ib.row_of(p_key bigint) RETURNS jsonb LANGUAGE sql STABLE
RETURN (
    SELECT to_jsonb(s) || jsonb_build_object('now', extract(epoch FROM statement_timestamp())::double precision)
    FROM ib.sessions AS s WHERE s.session_key = p_key
);

-- Bring a session's active seconds up to date.
CREATE FUNCTION ib.tick(p_key bigint, p_now double precision, p_most double precision) RETURNS void
LANGUAGE sql AS $$
UPDATE ib.sessions SET
    active_s = ib.active_now(active_s, tick_at, p_now, p_most), tick_at = ib.ticked(tick_at, p_now, p_most)
WHERE session_key = p_key
$$;

-- Record a new session. Null when the id is taken.
CREATE FUNCTION ib.open_session(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    new ib.sessions := jsonb_populate_record(NULL::ib.sessions, p_asked);
BEGIN
    IF ib.done_before(p_asked) THEN
        RETURN ib.row_of(new.session_key);
    END IF;
    INSERT INTO ib.sessions (session_key, session_id, candidate, role, level, challenge, persona, client, model,
        prompt_version, meta, status, token_budget, budget_nano_usd, time_limit_s, created_at, charge, billed_ceiling,
        external_id, challenge_sha, notice_version, keep_until, accommodation, changed_at)
    VALUES (new.session_key, new.session_id, new.candidate, new.role, new.level, new.challenge, new.persona, new.client,
        new.model, new.prompt_version, new.meta, new.status, new.token_budget, new.budget_nano_usd, new.time_limit_s,
        now_s, new.charge, new.billed_ceiling, new.external_id, new.challenge_sha, new.notice_version, new.keep_until,
        new.accommodation, now_s)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'null';
    END IF;
    PERFORM ib.append_event(
        new.session_key, 'opened', now_s, '', p_asked ->> 'facts', (p_asked ->> 'salt')::bytea);
    PERFORM ib.say_changed(new.session_key, now_s, 'session', 'event');
    RETURN ib.row_of(new.session_key);
END $$;

-- Move a session to another state if it is in one of p_asked.from. {"refused": row} otherwise, or when an expired one
-- has no time left.
CREATE FUNCTION ib.set_status(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    most double precision := (p_asked ->> 'most')::double precision;
    wanted text := p_asked ->> 'status';
    active boolean := wanted = 'active';
    s ib.sessions := ib.locked(p_asked);
BEGIN
    IF s.session_key IS NULL THEN
        RETURN '{"error": "unknown_session"}';
    ELSIF ib.done_before(p_asked) THEN
        RETURN ib.row_of(s.session_key);
    END IF;
    PERFORM ib.expire(s.session_key, now_s, most);
    PERFORM ib.tick(s.session_key, now_s, most);
    SELECT * INTO s FROM ib.sessions AS f WHERE f.session_key = s.session_key;
    IF NOT (p_asked -> 'from' ? s.status)
        OR (s.status = 'expired' AND active AND s.time_limit_s IS NOT NULL AND s.active_s >= s.time_limit_s)
    THEN
        RETURN jsonb_build_object('refused', ib.row_of(s.session_key));
    END IF;
    UPDATE ib.sessions AS f SET
        status = wanted,
        tick_at = CASE WHEN active THEN now_s END,
        started_at = CASE WHEN active THEN coalesce(f.started_at, greatest(f.created_at, now_s)) ELSE f.started_at END,
        token_budget_at_start = CASE WHEN active AND f.started_at IS NULL THEN f.token_budget
            ELSE f.token_budget_at_start END,
        time_limit_at_start_s = CASE WHEN active AND f.started_at IS NULL THEN f.time_limit_s
            ELSE f.time_limit_at_start_s END,
        ended_at = CASE WHEN wanted IN ('completed', 'cancelled')
            THEN greatest(coalesce(f.started_at, f.created_at), now_s) END,
        changed_at = now_s
    WHERE f.session_key = s.session_key;
    PERFORM ib.append_event(s.session_key, 'status', now_s, p_asked ->> 'who',
        jsonb_build_object('from', s.status, 'to', wanted)::text, (p_asked ->> 'salt')::bytea);
    PERFORM ib.say_changed(s.session_key, now_s, 'session', 'event');
    RETURN ib.row_of(s.session_key);
END $$;

-- Set the budgets that are given, or add p_asked.more to the tokens. {"inactive": row} for a session that has ended,
-- {"too_small": …} below what is used, held and in doubt.
CREATE FUNCTION ib.set_budget(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    s ib.sessions := ib.locked(p_asked);
    tokens bigint;
    money bigint := (p_asked ->> 'nano_usd')::bigint;
    problem jsonb;
BEGIN
    IF s.session_key IS NULL THEN
        RETURN '{"error": "unknown_session"}';
    ELSIF ib.done_before(p_asked) THEN
        RETURN ib.row_of(s.session_key);
    END IF;
    PERFORM ib.expire(s.session_key, now_s, (p_asked ->> 'most')::double precision);
    SELECT * INTO s FROM ib.sessions AS f WHERE f.session_key = s.session_key;
    IF s.status IN ('completed', 'cancelled') THEN
        RETURN jsonb_build_object('inactive', s.status);
    END IF;
    tokens := coalesce((p_asked ->> 'tokens')::bigint, s.token_budget + (p_asked ->> 'more')::bigint);
    problem := CASE
        WHEN tokens > (p_asked ->> 'highest')::bigint THEN jsonb_build_object('too_large', tokens)
        WHEN tokens < s.charged_tokens + s.held + s.in_doubt THEN jsonb_build_object('too_small',
            jsonb_build_array('tokens', tokens, s.charged_tokens + s.held + s.in_doubt))
        WHEN money < s.cost_nano_usd + s.held_nano_usd THEN jsonb_build_object('too_small',
            jsonb_build_array('nano-dollars', money, s.cost_nano_usd + s.held_nano_usd))
    END;
    IF problem IS NOT NULL THEN
        RETURN problem;
    END IF;
    UPDATE ib.sessions AS f SET
        token_budget = coalesce(tokens, f.token_budget), budget_nano_usd = coalesce(money, f.budget_nano_usd),
        changed_at = now_s
    WHERE f.session_key = s.session_key;
    IF tokens IS NOT NULL THEN
        PERFORM ib.append_event(s.session_key, 'budget', now_s, p_asked ->> 'who', jsonb_build_object(
            'unit', 'token_budget', 'from', s.token_budget, 'to', tokens)::text, (p_asked ->> 'salt')::bytea);
    END IF;
    IF money IS NOT NULL THEN
        PERFORM ib.append_event(s.session_key, 'budget', now_s, p_asked ->> 'who', jsonb_build_object(
            'unit', 'budget_nano_usd', 'from', s.budget_nano_usd, 'to', money)::text,
            CASE WHEN tokens IS NULL THEN (p_asked ->> 'salt')::bytea END);
    END IF;
    PERFORM ib.say_changed(s.session_key, now_s, 'session', 'event');
    RETURN ib.row_of(s.session_key);
END $$;

-- Set the limit in active seconds; none when p_asked.seconds is null.
CREATE FUNCTION ib.set_time_limit(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    most double precision := (p_asked ->> 'most')::double precision;
    seconds double precision := (p_asked ->> 'seconds')::double precision;
    s ib.sessions := ib.locked(p_asked);
BEGIN
    IF s.session_key IS NULL THEN
        RETURN '{"error": "unknown_session"}';
    ELSIF ib.done_before(p_asked) THEN
        RETURN ib.row_of(s.session_key);
    END IF;
    PERFORM ib.expire(s.session_key, now_s, most);
    SELECT * INTO s FROM ib.sessions AS f WHERE f.session_key = s.session_key;
    IF s.status IN ('completed', 'cancelled') THEN
        RETURN jsonb_build_object('inactive', s.status);
    END IF;
    PERFORM ib.tick(s.session_key, now_s, most);
    UPDATE ib.sessions AS f SET time_limit_s = seconds, changed_at = now_s WHERE f.session_key = s.session_key;
    PERFORM ib.append_event(s.session_key, 'time_limit', now_s, p_asked ->> 'who',
        jsonb_build_object('from', s.time_limit_s, 'to', seconds)::text, (p_asked ->> 'salt')::bytea);
    PERFORM ib.say_changed(s.session_key, now_s, 'session', 'event');
    RETURN ib.row_of(s.session_key);
END $$;

-- Give back time that the clock should not have run, never more than has run.
CREATE FUNCTION ib.credit_time(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    most double precision := (p_asked ->> 'most')::double precision;
    back double precision := (p_asked ->> 'seconds')::double precision;
    s ib.sessions := ib.locked(p_asked);
BEGIN
    IF s.session_key IS NULL THEN
        RETURN '{"error": "unknown_session"}';
    ELSIF ib.done_before(p_asked) THEN
        RETURN ib.row_of(s.session_key);
    ELSIF s.status IN ('completed', 'cancelled') THEN
        RETURN jsonb_build_object('inactive', s.status);
    END IF;
    PERFORM ib.tick(s.session_key, now_s, most);
    SELECT * INTO s FROM ib.sessions AS f WHERE f.session_key = s.session_key;
    back := least(back, s.active_s);
    IF (p_asked ->> 'ending_now')::boolean THEN  -- less what somebody else has given back of the same seconds
        back := least(back, now_s - coalesce((SELECT max(e.created_at) FROM ib.events AS e
            WHERE e.session_key = s.session_key AND e.kind = 'clock_stopped'), 0));
        IF back <= 0 THEN
            RETURN ib.row_of(s.session_key);
        END IF;
    END IF;
    UPDATE ib.sessions AS f SET active_s = f.active_s - back, changed_at = now_s WHERE f.session_key = s.session_key;
    PERFORM ib.append_event(s.session_key, 'clock_stopped', now_s, p_asked ->> 'who', jsonb_build_object(
        'seconds', round(back::numeric, 3), 'reason', p_asked ->> 'reason')::text, (p_asked ->> 'salt')::bytea);
    IF s.status = 'expired' AND (s.time_limit_s IS NULL OR s.active_s - back < s.time_limit_s) THEN
        UPDATE ib.sessions AS f SET status = 'active', tick_at = now_s, ended_at = NULL
        WHERE f.session_key = s.session_key;
        PERFORM ib.append_event(s.session_key, 'status', now_s, p_asked ->> 'who',
            '{"from": "expired", "to": "active"}');
    END IF;
    PERFORM ib.say_changed(s.session_key, now_s, 'session', 'event');
    RETURN ib.row_of(s.session_key);
END $$;

-- Record an event that the caller has made.
CREATE FUNCTION ib.add_event(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    s ib.sessions := ib.locked(p_asked);
BEGIN
    IF s.session_key IS NULL THEN
        RETURN '{"error": "unknown_session"}';
    ELSIF NOT ib.done_before(p_asked) THEN
        PERFORM ib.append_event(s.session_key, p_asked ->> 'kind',
            coalesce((p_asked ->> 'created_at')::double precision, now_s), p_asked ->> 'who', p_asked ->> 'detail',
            (p_asked ->> 'salt')::bytea);
        PERFORM ib.say_changed(s.session_key, now_s, 'event');
    END IF;
    RETURN '{}';
END $$;

-- Store messages outside any turn.
CREATE FUNCTION ib.add_message(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s ib.sessions := ib.locked(p_asked);
BEGIN
    IF s.session_key IS NULL THEN
        RETURN '{"error": "unknown_session"}';
    END IF;
    PERFORM 1 FROM ib.messages AS m
    WHERE p_asked ? 'again' AND m.session_key = s.session_key
        AND m.salt = (p_asked -> 'messages' -> 0 ->> 'salt')::bytea;
    IF NOT FOUND THEN
        PERFORM ib.add_messages(s.session_key, p_asked -> 'messages', 0, ib.moment(p_asked));
    END IF;
    RETURN '{}';
END $$;
