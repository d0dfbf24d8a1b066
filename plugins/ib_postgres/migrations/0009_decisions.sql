-- What somebody decides about what nobody knows, and usage that nothing was held for.

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
BEGIN
    PERFORM 1 FROM ib.ceiling FOR UPDATE;
    PERFORM 1 FROM ib.sessions AS f
    WHERE f.session_key = call.session_key AND f.session_id = p_asked ->> 'session_id' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN '{"error": "unknown_session"}';
    END IF;
    IF p_asked ? 'again' THEN
        PERFORM 1 FROM ib.calls AS c WHERE c.session_key = call.session_key AND c.rid = call.rid;
        IF FOUND THEN
            RETURN ib.row_of(call.session_key);
        END IF;
    END IF;
    IF call.turn > 0 THEN
        PERFORM 1 FROM ib.calls AS c
        WHERE c.session_key = call.session_key AND c.turn = call.turn AND c.turn > 0 AND c.attempt = call.attempt
        UNION ALL SELECT 1 FROM ib.reservations AS r
        WHERE r.session_key = call.session_key AND r.turn = call.turn AND r.turn > 0 AND r.attempt = call.attempt;
        IF FOUND THEN
            RAISE EXCEPTION 'the turn has that attempt already' USING ERRCODE = 'IB001';
        END IF;
    END IF;
    call.state := 'charged';  -- nothing was held
    call.tokens := 0;
    call.billed_tokens := 0;
    call.nano_usd := 0;
    call.created_at := now_s;
    PERFORM ib.end_attempt(
        call, p_asked -> 'end', 'settled', p_asked -> 'messages', now_s, (p_asked ->> 'most')::double precision);
    RETURN ib.row_of(call.session_key);
END $$;
