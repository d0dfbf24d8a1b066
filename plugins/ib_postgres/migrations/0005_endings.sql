-- How an attempt ends: the session's sums, the attempt's row, its messages and their links, in one write.

-- A call's canonical JSON (see ib_kernel/values/chain.py for the order).
CREATE FUNCTION ib.canonical(c ib.calls) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN concat_ws(',', '["calls"', c.turn, c.attempt, ib.canonical(c.client), ib.canonical(c.model),
        ib.canonical(c.model_returned), ib.canonical(c.counted_tokens), ib.canonical(c.counted_exact),
        ib.canonical(c.input_tokens), ib.canonical(c.cached_tokens), ib.canonical(c.output_tokens),
        ib.canonical(c.reasoning_tokens), ib.canonical(c.charged_tokens), ib.canonical(c.source),
        ib.canonical(c.cost_nano_usd), ib.canonical(c.price_source), ib.canonical(c.latency_ms, 1e3),
        ib.canonical(c.first_piece_ms, 1e3), ib.canonical(c.finish_reason), ib.canonical(c.status),
        ib.canonical(c.error), c.held_tokens, c.overdraft, c.token_budget, ib.canonical(c.prompt_version),
        ib.canonical(c.response_id), ib.canonical(c.raw_usage), ib.canonical(c.history_from_turn::bigint),
        ib.canonical(c.sent_hmac), ib.canonical(c.started_at, 1e6), ib.canonical(c.ended_at, 1e6), 'null]');
END $$;

-- Take an ended attempt off its session's sums and write its row. p_held is a reservation that is already deleted (its
-- turn NULL: the session's next). p_end NULL leaves no row (released); a row of another status than settled adds
-- nothing to the sums. Returns the session as it is then.
CREATE FUNCTION ib.end_attempt(
    p_held ib.reservations, p_end jsonb, p_status text, p_texts jsonb, p_now double precision, p_most double precision
) RETURNS ib.sessions LANGUAGE plpgsql AS $$
DECLARE
    s ib.sessions;
    c ib.calls := jsonb_populate_record(NULL::ib.calls, p_end);
    settled boolean := p_status = 'settled';
    used bigint := CASE WHEN settled THEN c.input_tokens + c.output_tokens ELSE 0 END;
    cost bigint := CASE WHEN settled THEN c.cost_nano_usd END;
    texts integer := coalesce(jsonb_array_length(p_texts), 0);
    was_held boolean := p_held.state = 'held';
    another integer := 0;
BEGIN
    SELECT * INTO s FROM ib.sessions AS f WHERE f.session_key = p_held.session_key FOR UPDATE;
    IF p_end IS NOT NULL THEN
        c := ib.call_row(c, p_held, s, p_status, p_now);
        another := CASE WHEN used > 0 AND c.turn > 0 AND NOT EXISTS (
            SELECT 1 FROM ib.calls AS o WHERE o.session_key = c.session_key AND o.turn = c.turn
                AND o.status = 'settled' AND o.input_tokens + o.output_tokens > 0) THEN 1 ELSE 0 END;
        s.last_turn := greatest(s.last_turn, c.turn);
        s.chain_n := c.link_n;
        s.chain_head := c.link;
        INSERT INTO ib.calls SELECT c.*;
        IF texts > 0 THEN
            SELECT * INTO s.chain_n, s.chain_head
            FROM ib.append_messages(s, p_texts, c.turn, p_now, s.chain_n, s.chain_head);
        END IF;
    END IF;
    UPDATE ib.sessions AS f SET
        active_s = ib.active_now(f.active_s, f.tick_at, p_now, p_most),
        tick_at = ib.ticked(f.tick_at, p_now, p_most),
        held = f.held - CASE WHEN was_held THEN p_held.tokens ELSE 0 END,
        in_doubt = f.in_doubt - CASE WHEN was_held THEN 0 ELSE p_held.tokens END,
        running = f.running - CASE WHEN was_held THEN 1 ELSE 0 END,
        held_billed = f.held_billed - p_held.billed_tokens,
        held_nano_usd = f.held_nano_usd - p_held.nano_usd,
        charged_tokens = f.charged_tokens + CASE WHEN settled THEN c.charged_tokens ELSE 0 END,
        input_tokens = f.input_tokens + CASE WHEN settled THEN c.input_tokens ELSE 0 END,
        output_tokens = f.output_tokens + CASE WHEN settled THEN c.output_tokens ELSE 0 END,
        cached_tokens = f.cached_tokens + CASE WHEN settled THEN c.cached_tokens ELSE 0 END,
        reasoning_tokens = f.reasoning_tokens + CASE WHEN settled THEN c.reasoning_tokens ELSE 0 END,
        cost_nano_usd = f.cost_nano_usd + coalesce(cost, 0),
        calls = f.calls + CASE WHEN used > 0 THEN 1 ELSE 0 END,
        turns = f.turns + another,
        priced_calls = f.priced_calls + CASE WHEN cost IS NOT NULL THEN 1 ELSE 0 END,
        unpriced_calls = f.unpriced_calls + CASE WHEN used > 0 AND cost IS NULL THEN 1 ELSE 0 END,
        messages = f.messages + texts,
        last_turn = s.last_turn,
        chain_n = s.chain_n,
        chain_head = s.chain_head
    WHERE f.session_key = s.session_key
    RETURNING f.* INTO s;
    IF p_held.nano_usd <> 0 OR coalesce(cost, 0) <> 0 THEN
        PERFORM ib.count_money(-p_held.nano_usd, coalesce(cost, 0), p_now);
    END IF;
    IF p_end IS NOT NULL THEN
        PERFORM ib.say_changed(s.session_key, p_now,
            VARIADIC CASE WHEN texts > 0 THEN '{call,message}'::text[] ELSE '{call}' END);
    END IF;
    RETURN s;
END $$;

-- The row of an attempt that ends, with its link after the session's newest.
CREATE FUNCTION ib.call_row(
    c ib.calls, p_held ib.reservations, s ib.sessions, p_status text, p_now double precision
) RETURNS ib.calls LANGUAGE plpgsql AS $$
BEGIN
    c.seq := nextval('ib.calls_seq_seq');
    c.session_key := p_held.session_key;
    c.rid := p_held.rid;
    c.turn := coalesce(p_held.turn, s.last_turn + 1);
    c.attempt := p_held.attempt;
    c.client := p_held.client;
    c.model := p_held.model;
    c.counted_tokens := p_held.counted_tokens;
    c.counted_exact := p_held.counted_exact;
    c.prompt_version := p_held.prompt_version;
    c.history_from_turn := p_held.history_from_turn;
    c.sent_hmac := p_held.sent_hmac;
    c.owner_hash := p_held.owner_hash;
    c.status := p_status;
    c.held_tokens := p_held.tokens;
    IF s.charge <> 'new' OR c.charged_tokens IS NULL THEN
        c.charged_tokens := c.input_tokens + c.output_tokens;
    END IF;
    c.overdraft := CASE WHEN p_status = 'settled' THEN greatest(0, c.charged_tokens - p_held.tokens) ELSE 0 END;
    c.token_budget := s.token_budget;
    c.started_at := p_held.created_at;
    c.ended_at := greatest(p_held.created_at, p_now);
    c.link_n := s.chain_n + 1;
    c.link := ib.link(s.chain_head, s.session_id, ib.canonical(c));
    RETURN c;
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
    IF held.state = 'doubt' AND held.turn > 0 AND ib.has_messages(key, held.turn) THEN
        texts := '[]';  -- what had arrived was kept when it was marked
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
    s ib.sessions;
BEGIN
    IF coalesce(jsonb_array_length(p_texts), 0) = 0 THEN
        RETURN;
    END IF;
    SELECT * INTO s FROM ib.sessions AS f WHERE f.session_key = p_key FOR UPDATE;
    SELECT * INTO s.chain_n, s.chain_head
    FROM ib.append_messages(s, p_texts, p_turn, p_now, s.chain_n, s.chain_head);
    UPDATE ib.sessions AS f SET
        messages = f.messages + jsonb_array_length(p_texts), chain_n = s.chain_n, chain_head = s.chain_head
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
    PERFORM ib.add_messages(key, p_asked -> 'messages', held.turn, now_s);
    RETURN jsonb_build_object('done', held.state = 'held');
END $$;

-- Take an unresolved reservation for a decision; one whose lease is over becomes unresolved on the way. Not found:
-- its rid is NULL. One that is still held is left alone.
CREATE FUNCTION ib.take_unresolved(p_asked jsonb, p_now double precision) RETURNS ib.reservations LANGUAGE plpgsql AS $$
DECLARE
    key bigint := (p_asked ->> 'session_key')::bigint;
    held ib.reservations;
BEGIN
    SELECT * INTO held FROM ib.reservations AS r
    WHERE r.session_key = key AND r.rid = p_asked ->> 'rid' FOR UPDATE;
    IF held.state = 'held' AND held.lease_until <= p_now THEN
        PERFORM ib.make_unresolved(held, 'expired', 'lease expired', p_now);
        held.state := 'expired';
    END IF;
    IF held.state <> 'held' THEN
        DELETE FROM ib.reservations AS r WHERE r.session_key = key AND r.rid = held.rid;
    END IF;
    RETURN held;
END $$;

-- Settle an unresolved reservation by somebody's decision.
CREATE FUNCTION ib.resolve(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    most double precision := (p_asked ->> 'most')::double precision;
    held ib.reservations;
BEGIN
    PERFORM 1 FROM ib.ceiling FOR UPDATE;
    held := ib.take_unresolved(p_asked, now_s);
    IF held.rid IS NULL THEN
        RETURN ib.settle_again(p_asked, false, now_s, most);
    ELSIF held.state = 'held' THEN
        RETURN jsonb_build_object('error', 'held', 'owner', held.owner);
    END IF;
    PERFORM ib.end_attempt(held, p_asked -> 'end', 'settled', '[]', now_s, most);
    PERFORM ib.append_event(held.session_key, 'resolved', now_s, p_asked ->> 'who', jsonb_build_object(
        'reservation_id', held.rid, 'tokens', held.tokens, 'reason', p_asked ->> 'reason',
        'input_tokens', p_asked -> 'end' -> 'input_tokens', 'output_tokens', p_asked -> 'end' -> 'output_tokens')::text);
    PERFORM ib.say_changed(held.session_key, now_s, 'event');
    RETURN '{"same": true}';
END $$;

-- Free an unresolved reservation by somebody's decision; a row of status written_off is kept, without numbers.
CREATE FUNCTION ib.write_off(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    held ib.reservations;
    how text;
BEGIN
    PERFORM 1 FROM ib.ceiling FOR UPDATE;
    held := ib.take_unresolved(p_asked, now_s);
    IF held.rid IS NULL THEN
        how := ib.ended_how((p_asked ->> 'session_key')::bigint, p_asked ->> 'rid');
        RETURN CASE WHEN how = 'written off' THEN jsonb_build_object('done', p_asked ? 'again')
            ELSE jsonb_build_object('error', 'ended', 'how', how) END;
    ELSIF held.state = 'held' THEN
        RETURN jsonb_build_object('error', 'held', 'owner', held.owner);
    END IF;
    PERFORM ib.end_attempt(held, '{"model_returned": "", "finish_reason": "", "response_id": ""}', 'written_off', '[]',
        now_s, (p_asked ->> 'most')::double precision);
    PERFORM ib.append_event(held.session_key, 'written_off', now_s, p_asked ->> 'who', jsonb_build_object(
        'reservation_id', held.rid, 'tokens', held.tokens, 'reason', p_asked ->> 'reason')::text);
    PERFORM ib.say_changed(held.session_key, now_s, 'event');
    RETURN '{"done": true}';
END $$;

-- Record usage that nothing was held for. Raises IB001 when the turn has that attempt already.
CREATE FUNCTION ib.charge(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    call ib.reservations := jsonb_populate_record(NULL::ib.reservations, p_asked);
    s ib.sessions;
BEGIN
    PERFORM 1 FROM ib.ceiling FOR UPDATE;
    SELECT * INTO s FROM ib.sessions AS f
    WHERE f.session_key = call.session_key AND f.session_id = p_asked ->> 'session_id' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN '{"error": "unknown_session"}';
    END IF;
    IF p_asked ? 'again' THEN
        PERFORM 1 FROM ib.calls AS c WHERE c.session_key = call.session_key AND c.rid = call.rid;
        IF FOUND THEN
            RETURN to_jsonb(s);
        END IF;
    END IF;
    IF call.turn > 0 THEN
        PERFORM 1 FROM ib.calls AS c
        WHERE c.session_key = call.session_key AND c.turn = call.turn AND c.attempt = call.attempt
        UNION ALL SELECT 1 FROM ib.reservations AS r
        WHERE r.session_key = call.session_key AND r.turn = call.turn AND r.attempt = call.attempt;
        IF FOUND THEN
            RAISE EXCEPTION 'the turn has that attempt already' USING ERRCODE = 'IB001';
        END IF;
    END IF;
    call.state := 'charged';  -- nothing was held
    call.tokens := 0;
    call.billed_tokens := 0;
    call.nano_usd := 0;
    call.created_at := now_s;
    RETURN to_jsonb(ib.end_attempt(
        call, p_asked -> 'end', 'settled', p_asked -> 'messages', now_s, (p_asked ->> 'most')::double precision));
END $$;
