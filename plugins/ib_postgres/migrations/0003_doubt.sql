-- Leases and time limits that are over. Locks are taken in this order: the ceiling, a reservation, its session; several
-- sessions in the order of their keys. A sweep skips what somebody else has locked, and so waits for nobody.

-- Move one reservation from held to in doubt, with an event. The caller has its row locked.
CREATE FUNCTION ib.make_unresolved(
    p_held ib.reservations, p_state text, p_reason text, p_now double precision
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ib.reservations AS r SET state = p_state, doubt_reason = p_reason
    WHERE r.session_key = p_held.session_key AND r.rid = p_held.rid;
    UPDATE ib.sessions AS s SET
        held = s.held - p_held.tokens, in_doubt = s.in_doubt + p_held.tokens, running = s.running - 1
    WHERE s.session_key = p_held.session_key;
    PERFORM ib.append_event(p_held.session_key, 'in_doubt', p_now, p_held.owner, jsonb_build_object(
        'reservation_id', p_held.rid, 'tokens', p_held.tokens, 'reason', p_reason)::text);
    PERFORM ib.say_changed(p_held.session_key, p_now, 'event');
END $$;

-- Turn leases that are over into unresolved: still charged, never freed. p_key NULL: of all sessions.
CREATE FUNCTION ib.sweep(p_key bigint, p_now double precision) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    lapsed ib.reservations;
    swept integer := 0;
BEGIN
    FOR lapsed IN
        SELECT * FROM ib.reservations AS r
        WHERE (p_key IS NULL OR r.session_key = p_key) AND r.state = 'held' AND r.lease_until <= p_now
        ORDER BY r.session_key, r.created_at, r.turn, r.attempt, r.rid
        FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM ib.make_unresolved(lapsed, 'expired', 'lease expired', p_now);
        swept := swept + 1;
    END LOOP;
    RETURN swept;
END $$;

-- End an active session whose time limit is used up; True if that was so.
CREATE FUNCTION ib.expire(p_key bigint, p_now double precision, p_most double precision) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ib.sessions AS s SET
        status = 'expired', active_s = greatest(s.active_s, s.time_limit_s), tick_at = NULL,
        ended_at = greatest(s.created_at, p_now), changed_at = p_now
    WHERE s.session_key = p_key AND s.status = 'active' AND s.time_limit_s IS NOT NULL
        AND ib.active_now(s.active_s, s.tick_at, p_now, p_most) >= s.time_limit_s;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM ib.append_event(p_key, 'status', p_now, '',
        '{"from": "active", "to": "expired", "reason": "time limit"}');
    PERFORM ib.say_changed(p_key, p_now, 'session', 'event');
    RETURN true;
END $$;

-- Apply what is over to one session, or to all (no key).
CREATE FUNCTION ib.refresh(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    most double precision := (p_asked ->> 'most')::double precision;
    key bigint := (p_asked ->> 'session_key')::bigint;
    other bigint;
BEGIN
    PERFORM ib.sweep(key, now_s);
    FOR other IN
        SELECT s.session_key FROM ib.sessions AS s
        WHERE s.status = 'active' AND s.time_limit_s IS NOT NULL AND (key IS NULL OR s.session_key = key)
            AND ib.active_now(s.active_s, s.tick_at, now_s, most) >= s.time_limit_s
        ORDER BY s.session_key
    LOOP
        PERFORM ib.expire(other, now_s, most);
    END LOOP;
    RETURN '{}';
END $$;

-- Let the time of active sessions go on while nobody writes; those that are being written need it not. Keeps what has
-- changed for an hour, and requests for 30 days: nobody comes back for a reply of last month.
CREATE FUNCTION ib.beat(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    most double precision := (p_asked ->> 'most')::double precision;
    stale bigint[];
BEGIN
    SELECT array_agg(found.session_key) INTO stale FROM (
        SELECT s.session_key FROM ib.sessions AS s
        WHERE s.status = 'active' AND s.tick_at < now_s - (p_asked ->> 'every')::double precision
        ORDER BY s.session_key
        FOR UPDATE SKIP LOCKED
    ) AS found;
    UPDATE ib.sessions AS s SET
        active_s = ib.active_now(s.active_s, s.tick_at, now_s, most), tick_at = ib.ticked(s.tick_at, now_s, most)
    WHERE s.session_key = ANY (stale);
    WITH forgotten AS (
        DELETE FROM ib.changes WHERE ctid = ANY (ARRAY(
            SELECT old.ctid FROM (
                SELECT c.ctid, c.changed_at FROM ib.changes AS c ORDER BY c.xid LIMIT 10000
            ) AS old
            WHERE old.changed_at < now_s - 3600
        )) RETURNING xid
    ), newest AS (SELECT max(xid) AS xid FROM forgotten)
    UPDATE ib.ledger AS l SET forgotten = newest.xid FROM newest
    WHERE newest.xid IS NOT NULL AND (l.forgotten IS NULL OR l.forgotten < newest.xid);
    DELETE FROM ib.requests WHERE ctid = ANY (ARRAY(
        SELECT q.ctid FROM ib.requests AS q WHERE q.updated_at < now_s - 30 * 86400 ORDER BY q.updated_at LIMIT 1000
    ));
    RETURN to_jsonb(coalesce(cardinality(stale), 0));
END $$;
