-- How an attempt ends: the session's sums, the attempt's row, its messages and their links, in one write.

-- Take an ended attempt off its session's sums and write its row. p_held is a reservation that is already deleted (its
-- turn NULL: the session's next). p_end NULL leaves no row (released); a row of another status than settled adds
-- nothing to the sums. Only what is needed of a row is read and handed on: this runs for every call.
CREATE FUNCTION ib.end_attempt(
    p_held ib.reservations, p_end jsonb, p_status text, p_texts jsonb, p_now double precision, p_most double precision
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    key CONSTANT bigint := p_held.session_key;
    settled CONSTANT boolean := p_status = 'settled';
    was_held CONSTANT boolean := p_held.state = 'held';
    texts CONSTANT integer := coalesce(jsonb_array_length(p_texts), 0);
    s record;
    e record;
    n bigint;
    head bytea;
    numbered integer := p_held.turn;
    charged bigint;
    overdraft bigint := 0;
    used bigint := 0;
    another integer := 0;
BEGIN
    SELECT f.session_id, f.charge, f.token_budget, f.last_turn, f.chain_n, f.chain_head INTO s
    FROM ib.sessions AS f WHERE f.session_key = key FOR UPDATE;
    SELECT * INTO e FROM jsonb_to_record(p_end) AS x(
        model_returned text, input_tokens bigint, cached_tokens bigint, output_tokens bigint, reasoning_tokens bigint,
        charged_tokens bigint, source text, cost_nano_usd bigint, price_source text, latency_ms double precision,
        first_piece_ms double precision, finish_reason text, error text, response_id text, raw_usage text
    );
    n := s.chain_n;
    head := s.chain_head;
    IF p_end IS NOT NULL THEN
        numbered := coalesce(numbered, s.last_turn + 1);
        charged := CASE WHEN s.charge = 'new' AND e.charged_tokens IS NOT NULL THEN e.charged_tokens
            ELSE e.input_tokens + e.output_tokens END;
        IF settled THEN
            used := e.input_tokens + e.output_tokens;
            overdraft := greatest(0, charged - p_held.tokens);
            IF used > 0 AND numbered > 0 THEN
                PERFORM 1 FROM ib.calls AS o WHERE o.session_key = key AND o.turn = numbered
                    AND o.turn > 0  -- said again, so that a prepared plan may use the index
                    AND o.status = 'settled' AND o.input_tokens + o.output_tokens > 0;
                another := CASE WHEN FOUND THEN 0 ELSE 1 END;
            END IF;
        END IF;
        n := n + 1;
        head := ib.link(head, s.session_id, concat_ws(',', '["calls"', numbered, p_held.attempt,
            ib.canonical(p_held.client), ib.canonical(p_held.model), ib.canonical(e.model_returned),
            ib.canonical(p_held.counted_tokens), ib.canonical(p_held.counted_exact), ib.canonical(e.input_tokens),
            ib.canonical(e.cached_tokens), ib.canonical(e.output_tokens), ib.canonical(e.reasoning_tokens),
            ib.canonical(charged), ib.canonical(e.source), ib.canonical(e.cost_nano_usd), ib.canonical(e.price_source),
            ib.canonical(e.latency_ms, 1e3), ib.canonical(e.first_piece_ms, 1e3), ib.canonical(e.finish_reason),
            ib.canonical(p_status), ib.canonical(e.error), p_held.tokens, overdraft, s.token_budget,
            ib.canonical(p_held.prompt_version), ib.canonical(e.response_id), ib.canonical(e.raw_usage),
            ib.canonical(p_held.history_from_turn::bigint), ib.canonical(p_held.sent_hmac),
            ib.canonical(p_held.created_at, 1e6), ib.canonical(greatest(p_held.created_at, p_now), 1e6), 'null]'));
        INSERT INTO ib.calls (rid, session_key, turn, attempt, client, model, model_returned, counted_tokens,
            counted_exact, input_tokens, cached_tokens, output_tokens, reasoning_tokens, source, cost_nano_usd,
            price_source, latency_ms, first_piece_ms, finish_reason, status, error, held_tokens, overdraft,
            token_budget, prompt_version, response_id, raw_usage, started_at, ended_at, owner_hash, charged_tokens,
            history_from_turn, sent_hmac, link_n, link)
        VALUES (p_held.rid, key, numbered, p_held.attempt, p_held.client, p_held.model, e.model_returned,
            p_held.counted_tokens, p_held.counted_exact, e.input_tokens, e.cached_tokens, e.output_tokens,
            e.reasoning_tokens, e.source, e.cost_nano_usd, e.price_source, e.latency_ms, e.first_piece_ms,
            e.finish_reason, p_status, e.error, p_held.tokens, overdraft, s.token_budget, p_held.prompt_version,
            e.response_id, e.raw_usage, p_held.created_at, greatest(p_held.created_at, p_now), p_held.owner_hash,
            charged, p_held.history_from_turn, p_held.sent_hmac, n, head);
        IF texts > 0 THEN
            SELECT * INTO n, head FROM ib.append_messages(key, s.session_id, p_texts, numbered, p_now, n, head);
        END IF;
    END IF;
    UPDATE ib.sessions AS f SET
        active_s = ib.active_now(f.active_s, f.tick_at, p_now, p_most),
        tick_at = ib.ticked(f.tick_at, p_now, p_most),
        held = f.held - CASE WHEN was_held THEN p_held.tokens ELSE 0 END,
        in_doubt = f.in_doubt - CASE WHEN was_held THEN 0 ELSE p_held.tokens END,
        running = f.running - was_held::integer,
        held_billed = f.held_billed - p_held.billed_tokens,
        held_nano_usd = f.held_nano_usd - p_held.nano_usd,
        charged_tokens = f.charged_tokens + CASE WHEN settled THEN charged ELSE 0 END,
        input_tokens = f.input_tokens + CASE WHEN settled THEN e.input_tokens ELSE 0 END,
        output_tokens = f.output_tokens + CASE WHEN settled THEN e.output_tokens ELSE 0 END,
        cached_tokens = f.cached_tokens + CASE WHEN settled THEN e.cached_tokens ELSE 0 END,
        reasoning_tokens = f.reasoning_tokens + CASE WHEN settled THEN e.reasoning_tokens ELSE 0 END,
        cost_nano_usd = f.cost_nano_usd + CASE WHEN settled THEN coalesce(e.cost_nano_usd, 0) ELSE 0 END,
        calls = f.calls + (used > 0)::integer,
        turns = f.turns + another,
        priced_calls = f.priced_calls + (settled AND e.cost_nano_usd IS NOT NULL)::integer,
        unpriced_calls = f.unpriced_calls + (used > 0 AND e.cost_nano_usd IS NULL)::integer,
        messages = f.messages + texts,
        last_turn = greatest(f.last_turn, numbered),
        chain_n = n,
        chain_head = head
    WHERE f.session_key = key;
    IF p_held.nano_usd <> 0 OR (settled AND e.cost_nano_usd <> 0) THEN
        PERFORM ib.count_money(
            -p_held.nano_usd, CASE WHEN settled THEN coalesce(e.cost_nano_usd, 0) ELSE 0 END, p_now);
    END IF;
    IF p_end IS NOT NULL THEN
        INSERT INTO ib.changes (session_key, kinds, changed_at)
        VALUES (key, CASE WHEN texts > 0 THEN '{call,message}'::text[] ELSE '{call}' END, p_now);
    END IF;
END $$;

-- How a reservation that is no longer open ended; NULL when there was none of that id.
CREATE FUNCTION ib.ended_how(p_key bigint, p_rid text) RETURNS text LANGUAGE sql STABLE
RETURN coalesce(
    (SELECT CASE c.status WHEN 'failed' THEN 'released' WHEN 'written_off' THEN 'written off' ELSE c.status END
        FROM ib.calls AS c WHERE c.session_key = p_key AND c.rid = p_rid),
    (SELECT 'released' FROM ib.released AS r WHERE r.session_key = p_key AND r.rid = p_rid)
);

CREATE FUNCTION ib.has_messages(p_key bigint, p_turn integer) RETURNS boolean LANGUAGE sql STABLE
RETURN EXISTS (SELECT 1 FROM ib.messages AS m WHERE m.session_key = p_key AND m.turn = p_turn);

-- End a reservation with what it used. {"same": true} if it is settled by these figures, by this call or an earlier
-- one, {"same": false} if by others; {"error": …} when it is none of the caller's, or ended otherwise.
-- Where only its lease was over, another host may have closed a call's request: then its reply is added as it was.
CREATE FUNCTION ib.not_kept(p_key bigint, p_turn integer, p_texts jsonb) RETURNS jsonb LANGUAGE sql STABLE
RETURN (
    SELECT coalesce(jsonb_agg(t), '[]') FROM jsonb_array_elements(p_texts) AS t
    WHERE t ->> 'role' = 'assistant' AND NOT EXISTS (
        SELECT 1 FROM ib.messages AS m
        WHERE m.session_key = p_key AND m.turn = p_turn AND m.role = 'assistant' AND m.content = t ->> 'content'
    )
);

CREATE FUNCTION ib.settle(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    most double precision := (p_asked ->> 'most')::double precision;
    key bigint := (p_asked ->> 'session_key')::bigint;
    texts jsonb := p_asked -> 'messages';
    held ib.reservations;
BEGIN
    PERFORM 1 FROM ib.ceiling FOR UPDATE;
    DELETE FROM ib.reservations AS r
    WHERE r.session_key = key AND r.rid = p_asked ->> 'rid' AND r.owner_hash = (p_asked ->> 'owner_hash')::bytea
    RETURNING * INTO held;
    IF NOT FOUND THEN
        PERFORM 1 FROM ib.reservations AS r WHERE r.session_key = key AND r.rid = p_asked ->> 'rid';
        RETURN CASE WHEN FOUND THEN '{"error": "not_owner"}'::jsonb
            ELSE ib.settle_again(p_asked, true, now_s, most) END;
    END IF;
    IF (held.state <> 'held' OR held.lease_until <= now_s) AND held.turn > 0 AND ib.has_messages(key, held.turn) THEN
        texts := CASE WHEN held.state = 'doubt' THEN '[]'  -- what had arrived was kept when it was marked
            ELSE ib.not_kept(key, held.turn, texts) END;
    END IF;
    PERFORM ib.end_attempt(held, p_asked -> 'end', 'settled', texts, now_s, most);
    RETURN '{"same": true}';
END $$;

-- Compare a repeated settle with the first; keep what it adds, and that it came when it differs. It always writes, so
-- that its commit waits for the first one's to be as durable as this one.
CREATE FUNCTION ib.settle_again(
    p_asked jsonb, p_owned boolean, p_now double precision, p_most double precision
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    key bigint := (p_asked ->> 'session_key')::bigint;
    told ib.calls := jsonb_populate_record(NULL::ib.calls, p_asked -> 'end');
    texts jsonb := coalesce(p_asked -> 'messages', '[]');
    ended ib.calls;
    s ib.sessions;
    same boolean;
BEGIN
    SELECT * INTO s FROM ib.sessions AS f WHERE f.session_key = key FOR UPDATE;
    SELECT * INTO ended FROM ib.calls AS c
    WHERE c.session_key = key AND c.rid = p_asked ->> 'rid' AND c.status = 'settled';
    IF NOT FOUND THEN
        RETURN jsonb_build_object('error', 'ended', 'how', ib.ended_how(key, p_asked ->> 'rid'));
    END IF;
    IF p_owned AND ended.owner_hash IS DISTINCT FROM (p_asked ->> 'owner_hash')::bytea THEN
        RETURN '{"error": "not_owner"}';
    END IF;
    UPDATE ib.sessions AS f SET
        active_s = ib.active_now(f.active_s, f.tick_at, p_now, p_most), tick_at = ib.ticked(f.tick_at, p_now, p_most)
    WHERE f.session_key = key;
    IF ended.turn > 0 AND NOT ib.has_messages(key, ended.turn) THEN
        PERFORM ib.add_messages(key, texts, ended.turn, p_now);
    END IF;
    IF s.charge <> 'new' OR told.charged_tokens IS NULL THEN
        told.charged_tokens := told.input_tokens + told.output_tokens;
    END IF;
    same := (ended.input_tokens, ended.output_tokens, ended.cached_tokens, ended.reasoning_tokens, ended.charged_tokens)
        = (told.input_tokens, told.output_tokens, told.cached_tokens, told.reasoning_tokens, told.charged_tokens)
        AND ended.cost_nano_usd IS NOT DISTINCT FROM told.cost_nano_usd;
    IF NOT same THEN
        PERFORM ib.append_event(key, 'settled_again', p_now, coalesce(p_asked ->> 'who', ''), jsonb_build_object(
            'reservation_id', ended.rid, 'input_tokens', told.input_tokens, 'output_tokens', told.output_tokens,
            'cached_tokens', told.cached_tokens, 'reasoning_tokens', told.reasoning_tokens,
            'cost_nano_usd', told.cost_nano_usd, 'charged_tokens', told.charged_tokens)::text);
        PERFORM ib.say_changed(key, p_now, 'event');
    END IF;
    RETURN jsonb_build_object('same', same);
END $$;

-- Append to a session's transcript and count it.
CREATE FUNCTION ib.add_messages(p_key bigint, p_texts jsonb, p_turn integer, p_now double precision) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    s record;
    after record;
BEGIN
    IF coalesce(jsonb_array_length(p_texts), 0) = 0 THEN
        RETURN;
    END IF;
    SELECT f.session_id, f.chain_n, f.chain_head INTO s FROM ib.sessions AS f WHERE f.session_key = p_key FOR UPDATE;
    SELECT * INTO after
    FROM ib.append_messages(p_key, s.session_id, p_texts, p_turn, p_now, s.chain_n, s.chain_head);
    UPDATE ib.sessions AS f SET
        messages = f.messages + jsonb_array_length(p_texts), chain_n = after.n, chain_head = after.head
    WHERE f.session_key = p_key;
    PERFORM ib.say_changed(p_key, p_now, 'message');
END $$;

-- End a reservation that has cost nothing; with an end, a row of status failed is kept.
CREATE FUNCTION ib.release(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    key bigint := (p_asked ->> 'session_key')::bigint;
    held ib.reservations;
    how text;
BEGIN
    PERFORM 1 FROM ib.ceiling FOR UPDATE;
    DELETE FROM ib.reservations AS r
    WHERE r.session_key = key AND r.rid = p_asked ->> 'rid' AND r.owner_hash = (p_asked ->> 'owner_hash')::bytea
        AND r.state <> 'doubt'
    RETURNING * INTO held;
    IF FOUND THEN
        PERFORM ib.end_attempt(
            held, nullif(p_asked -> 'end', 'null'), 'failed', '[]', now_s, (p_asked ->> 'most')::double precision);
        IF coalesce(p_asked -> 'end', 'null') = 'null' THEN
            INSERT INTO ib.released VALUES (key, held.rid, now_s);
        END IF;
        RETURN '{"done": true}';
    END IF;
    SELECT * INTO held FROM ib.reservations AS r WHERE r.session_key = key AND r.rid = p_asked ->> 'rid';
    IF FOUND THEN
        RETURN CASE WHEN held.owner_hash IS DISTINCT FROM (p_asked ->> 'owner_hash')::bytea THEN '{"error": "not_owner"}'
            ELSE jsonb_build_object('error', 'in_doubt', 'reason', held.doubt_reason) END;
    END IF;
    how := ib.ended_how(key, p_asked ->> 'rid');
    RETURN CASE WHEN how IS NULL THEN '{"error": "ended", "how": null}'::jsonb
        ELSE jsonb_build_object('done', p_asked ? 'again' AND how = 'released') END;
END $$;

-- Say that nobody knows what an attempt has cost.
CREATE FUNCTION ib.mark_unresolved(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    key bigint := (p_asked ->> 'session_key')::bigint;
    held ib.reservations;
BEGIN
    SELECT * INTO held FROM ib.reservations AS r
    WHERE r.session_key = key AND r.rid = p_asked ->> 'rid' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN CASE WHEN ib.ended_how(key, p_asked ->> 'rid') IS NULL THEN '{"error": "ended", "how": null}'::jsonb
            ELSE '{"done": false}' END;
    END IF;
    IF held.owner_hash IS DISTINCT FROM (p_asked ->> 'owner_hash')::bytea THEN
        RETURN '{"error": "not_owner"}';
    END IF;
    IF held.state = 'doubt' THEN
        RETURN jsonb_build_object('done', p_asked ? 'again');
    END IF;
    IF held.state = 'held' THEN
        PERFORM ib.make_unresolved(held, 'doubt', p_asked ->> 'reason', now_s);
    ELSE  -- only its lease was over, and its owner knows more than the lease did
        UPDATE ib.reservations AS r SET state = 'doubt', doubt_reason = p_asked ->> 'reason'
        WHERE r.session_key = key AND r.rid = held.rid;
    END IF;
    IF held.turn = 0 OR (held.state = 'held' AND held.lease_until > now_s) OR NOT ib.has_messages(key, held.turn) THEN
        PERFORM ib.add_messages(key, p_asked -> 'messages', held.turn, now_s);
    END IF;
    RETURN jsonb_build_object('done', held.state = 'held');
END $$;
