-- Reservations: check and hold in one conditional statement.

-- Return why p_asked was not admitted, or NULL when it would be by now. The session is locked from here on, so that the
-- answer and its reason are about the same moment; leases and time limits that are over are applied on the way.
CREATE FUNCTION ib.refusal(p_asked jsonb, p_wanted ib.reservations, p_fits boolean, p_now double precision)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    s ib.sessions;
    reason text;
    left_tokens bigint;
BEGIN
    PERFORM 1 FROM ib.sessions AS f
    WHERE f.session_key = p_wanted.session_key AND f.session_id = p_asked ->> 'session_id' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN '{"reason": "unknown_session", "left": 0, "status": ""}';
    END IF;
    PERFORM ib.sweep(p_wanted.session_key, p_now);
    PERFORM ib.expire(p_wanted.session_key, p_now, (p_asked ->> 'most')::double precision);
    SELECT * INTO s FROM ib.sessions AS f WHERE f.session_key = p_wanted.session_key;
    left_tokens := greatest(0, s.token_budget - s.charged_tokens - s.held - s.in_doubt);
    reason := CASE
        WHEN s.status = 'expired' THEN 'expired'
        WHEN s.status <> 'active' THEN 'inactive'
        WHEN s.charged_tokens + s.held + s.in_doubt + p_wanted.tokens > s.token_budget THEN 'budget'
        WHEN s.input_tokens + s.output_tokens + s.held_billed + p_wanted.billed_tokens > ib.most_billed(s) THEN 'billed'
        WHEN s.running >= (p_asked ->> 'most_running')::integer THEN 'running'
        WHEN s.cost_nano_usd + s.held_nano_usd + p_wanted.nano_usd > s.budget_nano_usd THEN 'money'
        WHEN NOT p_fits THEN 'ceiling'
    END;
    IF reason = 'billed' THEN
        left_tokens := greatest(0, ib.most_billed(s) - s.input_tokens - s.output_tokens - s.held_billed);
    END IF;
    RETURN CASE WHEN reason IS NOT NULL THEN
        jsonb_build_object('reason', reason, 'left', left_tokens, 'status', s.status) END;
END $$;

-- Hold tokens for one attempt, or say why not. Answers admitted (turn and times), refused, repeated, or raises
-- IB001 (the turn has that attempt already) or IB002 (the request was admitted meanwhile): then nothing was done.
CREATE FUNCTION ib.reserve(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    most double precision := (p_asked ->> 'most')::double precision;
    wanted ib.reservations := jsonb_populate_record(NULL::ib.reservations, p_asked);
    request text := p_asked ->> 'request_id';
    at_most ib.ceiling;
    fits boolean := true;
    refused jsonb;
    given integer;
    kept integer;
BEGIN
    SELECT * INTO at_most FROM ib.ceiling FOR UPDATE;
    IF FOUND THEN
        fits := ib.fits_ceiling(at_most, wanted.nano_usd, now_s);
    END IF;
    IF p_asked ? 'again' THEN
        refused := ib.reserved_before(wanted);
        IF refused IS NOT NULL THEN
            RETURN refused;
        END IF;
    END IF;
    IF request IS NOT NULL THEN
        refused := ib.repeated(wanted, request, now_s);
        IF refused IS NOT NULL THEN
            RETURN jsonb_build_object('repeated', refused);
        END IF;
    END IF;
    LOOP
        WITH admitted AS (
            UPDATE ib.sessions AS s SET
                held = s.held + wanted.tokens,
                held_billed = s.held_billed + wanted.billed_tokens,
                held_nano_usd = s.held_nano_usd + wanted.nano_usd,
                running = s.running + 1,
                last_turn = CASE WHEN wanted.turn IS NULL THEN s.last_turn + 1 ELSE greatest(s.last_turn, wanted.turn) END,
                active_s = ib.active_now(s.active_s, s.tick_at, now_s, most),
                tick_at = ib.ticked(s.tick_at, now_s, most)
            WHERE s.session_key = wanted.session_key AND s.session_id = p_asked ->> 'session_id'
                AND s.status = 'active'
                AND (s.time_limit_s IS NULL OR ib.active_now(s.active_s, s.tick_at, now_s, most) < s.time_limit_s)
                AND s.charged_tokens + s.held + s.in_doubt + wanted.tokens <= s.token_budget
                AND coalesce(s.input_tokens + s.output_tokens + s.held_billed + wanted.billed_tokens
                    <= ib.most_billed(s), true)
                AND coalesce(s.cost_nano_usd + s.held_nano_usd + wanted.nano_usd <= s.budget_nano_usd, true)
                AND coalesce(s.running < (p_asked ->> 'most_running')::integer, true)
                AND fits
            RETURNING coalesce(wanted.turn, s.last_turn) AS turn
        ), reserved AS (
            INSERT INTO ib.reservations (session_key, rid, tokens, nano_usd, lease_until, owner, created_at, state,
                turn, attempt, client, model, counted_tokens, counted_exact, prompt_version, owner_hash,
                billed_tokens, history_from_turn, sent_hmac)
            SELECT wanted.session_key, wanted.rid, wanted.tokens, wanted.nano_usd,
                now_s + (p_asked ->> 'lease_s')::double precision, wanted.owner, now_s, 'held',
                a.turn, wanted.attempt, wanted.client, wanted.model, wanted.counted_tokens, wanted.counted_exact,
                wanted.prompt_version, wanted.owner_hash, wanted.billed_tokens, wanted.history_from_turn,
                wanted.sent_hmac
            FROM admitted AS a
        ), asked AS (
            INSERT INTO ib.requests AS q
                (session_key, request_id, body_sha, turn, rid, owner_hash, state, text, result, updated_at)
            SELECT wanted.session_key, request, p_asked ->> 'request_sha', a.turn, wanted.rid, wanted.owner_hash,
                'running', '', '{}', now_s
            FROM admitted AS a WHERE request IS NOT NULL
            ON CONFLICT (session_key, request_id) DO UPDATE SET
                rid = excluded.rid, owner_hash = excluded.owner_hash, state = 'running', updated_at = now_s
            WHERE wanted.attempt > 1 AND q.turn = excluded.turn
            RETURNING 1
        )
        SELECT a.turn, (SELECT count(*) FROM asked) INTO given, kept FROM admitted AS a;
        EXIT WHEN FOUND;
        refused := ib.refusal(p_asked, wanted, fits, now_s);
        IF refused IS NOT NULL THEN
            RETURN jsonb_build_object('refused', refused);
        END IF;
    END LOOP;
    IF request IS NOT NULL AND kept = 0 THEN
        RAISE EXCEPTION 'the request was admitted meanwhile' USING ERRCODE = 'IB002';
    END IF;
    IF wanted.turn > 0 THEN
        PERFORM 1 FROM ib.calls AS c
        WHERE c.session_key = wanted.session_key AND c.turn = wanted.turn AND c.turn > 0
            AND c.attempt = wanted.attempt;
        IF FOUND THEN
            RAISE EXCEPTION 'the turn has that attempt already' USING ERRCODE = 'IB001';
        END IF;
    END IF;
    IF at_most.one IS NOT NULL AND wanted.nano_usd <> 0 THEN
        PERFORM ib.count_money(wanted.nano_usd, 0, now_s);
    END IF;
    IF request IS NOT NULL THEN
        PERFORM ib.say_changed(wanted.session_key, now_s, 'reply');
    END IF;
    RETURN jsonb_build_object('turn', given, 'created_at', now_s);
END $$;

-- What an earlier call of the same reservation, whose answer was lost, has held; NULL when it has not.
CREATE FUNCTION ib.reserved_before(p_wanted ib.reservations) RETURNS jsonb LANGUAGE sql STABLE
RETURN (
    SELECT jsonb_build_object('turn', r.turn, 'created_at', r.created_at)
    FROM ib.reservations AS r
    WHERE r.session_key = (p_wanted).session_key AND r.rid = (p_wanted).rid AND r.owner_hash = (p_wanted).owner_hash
);

-- Whether p_more nano-dollars fit under the ceiling.
CREATE FUNCTION ib.fits_ceiling(p_at_most ib.ceiling, p_more bigint, p_now double precision) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN coalesce((p_at_most).total_spent + (p_at_most).held + p_more <= (p_at_most).total_nano_usd, true)
    AND coalesce(
        CASE WHEN (p_at_most).day = floor(p_now / 86400)::bigint THEN (p_at_most).day_spent ELSE 0 END
        + (p_at_most).held + p_more <= (p_at_most).day_nano_usd, true);

-- Count money that is held or was spent towards the ceiling, while there is one.
CREATE FUNCTION ib.count_money(p_held bigint, p_spent bigint, p_now double precision) RETURNS void
LANGUAGE sql AS $$
UPDATE ib.ceiling SET
    held = held + p_held,
    total_spent = total_spent + p_spent,
    day_spent = CASE WHEN day = floor(p_now / 86400)::bigint THEN day_spent ELSE 0 END + p_spent,
    day = floor(p_now / 86400)::bigint
$$;

-- Extend leases that are not over; returns the ids that are still held by their owner.
CREATE FUNCTION ib.renew(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    lapsed ib.reservations;
    mine jsonb := p_asked -> 'reservations';
    kept jsonb;
BEGIN
    WITH renewed AS (
        UPDATE ib.reservations AS r SET lease_until = now_s + (p_asked ->> 'lease_s')::double precision
        FROM jsonb_to_recordset(mine) AS m(session_key bigint, rid text, owner_hash bytea)
        WHERE r.session_key = m.session_key AND r.rid = m.rid AND r.owner_hash = m.owner_hash
            AND r.state = 'held' AND r.lease_until > now_s
        RETURNING r.rid
    )
    SELECT coalesce(jsonb_agg(rid), '[]') INTO kept FROM renewed;
    IF jsonb_array_length(kept) < jsonb_array_length(mine) THEN
        FOR lapsed IN
            SELECT r.* FROM ib.reservations AS r
            JOIN jsonb_to_recordset(mine) AS m(session_key bigint, rid text, owner_hash bytea)
                ON r.session_key = m.session_key AND r.rid = m.rid AND r.owner_hash = m.owner_hash
            WHERE r.state = 'held' AND r.lease_until <= now_s
            ORDER BY r.session_key, r.rid
            FOR UPDATE OF r
        LOOP
            PERFORM ib.make_unresolved(lapsed, 'expired', 'lease expired', now_s);
        END LOOP;
    END IF;
    RETURN kept;
END $$;
