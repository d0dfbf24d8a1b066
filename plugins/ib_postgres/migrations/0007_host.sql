-- What a host keeps: people, invitations, tokens, requests, the ceiling. Every hash is hex SHA-256 from outside.

-- The request of that id as it is now, or NULL. A running one whose worker is gone is unfinished.
CREATE FUNCTION ib.find_request(p_key bigint, p_id text, p_now double precision) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    q ib.requests;
    alive boolean;  -- NULL: nothing is held for it
    ended text;
BEGIN
    SELECT * INTO q FROM ib.requests AS f WHERE f.session_key = p_key AND f.request_id = p_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF q.state = 'running' THEN
        SELECT r.state = 'held' AND r.lease_until > p_now INTO alive FROM ib.reservations AS r
        WHERE r.session_key = p_key AND r.rid = q.rid;
        SELECT c.status INTO ended FROM ib.calls AS c WHERE c.session_key = p_key AND c.rid = q.rid;
        IF ended = 'settled' THEN  -- answered, and its worker has not come to say so
            q.state := 'finished';
            q.text := coalesce((
                SELECT m.content FROM ib.messages AS m
                WHERE m.session_key = p_key AND m.turn = q.turn AND m.role = 'assistant' ORDER BY m.seq DESC LIMIT 1
            ), q.text);
        ELSIF alive IS FALSE OR ended = 'written_off' OR (alive IS NULL AND q.updated_at + 300 <= p_now) THEN
            q.state := 'unfinished';
        END IF;
    END IF;
    RETURN to_jsonb(q) - 'owner_hash' || jsonb_build_object('session_id', (
        SELECT s.session_id FROM ib.sessions AS s WHERE s.session_key = p_key));
END $$;

-- The request of that id if it was admitted before, unless this is its next attempt.
CREATE FUNCTION ib.repeated(p_wanted ib.reservations, p_id text, p_now double precision) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found jsonb := ib.find_request(p_wanted.session_key, p_id, p_now);
BEGIN
    IF p_wanted.attempt > 1 AND p_wanted.turn = (found ->> 'turn')::integer THEN
        RETURN NULL;
    END IF;
    RETURN found;
END $$;

-- The requests whose worker is gone, oldest first.
CREATE FUNCTION ib.unfinished_requests(p_asked jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
SELECT coalesce(jsonb_agg(found.request ORDER BY found.updated_at), '[]') FROM (
    SELECT q.updated_at, ib.find_request(q.session_key, q.request_id, ib.moment(p_asked)) AS request
    FROM (
        SELECT * FROM ib.requests AS r WHERE r.state = 'running' AND NOT EXISTS (
            SELECT 1 FROM ib.calls AS c WHERE c.session_key = r.session_key AND c.rid = r.rid AND c.status = 'settled')
        ORDER BY r.updated_at LIMIT 1000
    ) AS q
) AS found
WHERE found.request ->> 'state' = 'unfinished'
$$;

-- Store what has come of a request so far; a finished one stays finished.
CREATE FUNCTION ib.write_reply(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    key bigint := (p_asked ->> 'session_key')::bigint;
BEGIN
    UPDATE ib.requests AS q SET
        text = p_asked ->> 'text', state = p_asked ->> 'state', result = coalesce(p_asked ->> 'result', q.result),
        updated_at = now_s
    WHERE q.session_key = key AND q.rid = p_asked ->> 'rid'
        AND q.owner_hash = (p_asked ->> 'owner_hash')::bytea AND (q.state <> 'finished' OR p_asked ? 'again');
    IF FOUND THEN
        PERFORM ib.say_changed(key, now_s, 'reply');
        RETURN '{"done": true}';
    END IF;
    PERFORM 1 FROM ib.requests AS q WHERE q.session_key = key AND q.rid = p_asked ->> 'rid'
        AND q.owner_hash IS DISTINCT FROM (p_asked ->> 'owner_hash')::bytea;
    RETURN CASE WHEN FOUND THEN '{"error": "not_owner"}'::jsonb ELSE '{"done": false}' END;
END $$;

-- Write down that a request stays unfinished: only one caller can, and only when its worker is gone.
CREATE FUNCTION ib.close_request(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    s ib.sessions := ib.locked(p_asked);
    found jsonb := ib.find_request(s.session_key, p_asked ->> 'request_id', now_s);
BEGIN
    IF s.session_key IS NULL THEN
        RETURN '{"error": "unknown_session"}';
    ELSIF found ->> 'state' IS DISTINCT FROM 'unfinished' OR (found ->> 'result')::jsonb ? 'kind' THEN
        RETURN jsonb_build_object('done', p_asked ? 'again' AND found ->> 'result' = p_asked ->> 'result');
    END IF;
    UPDATE ib.requests AS q SET state = 'unfinished', result = p_asked ->> 'result', updated_at = now_s
    WHERE q.session_key = s.session_key AND q.request_id = p_asked ->> 'request_id';
    IF NOT ib.has_messages(s.session_key, (found ->> 'turn')::integer) THEN
        PERFORM ib.add_messages(s.session_key, p_asked -> 'messages', (found ->> 'turn')::integer, now_s);
    END IF;
    PERFORM ib.say_changed(s.session_key, now_s, 'reply');
    RETURN '{"done": true}';
END $$;

-- Say that a host runs.
CREATE FUNCTION ib.announce_host(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ib.hosts AS h (address, fingerprint, started_at, seen_at)
    VALUES (p_asked ->> 'address', p_asked ->> 'fingerprint', ib.moment(p_asked), ib.moment(p_asked))
    ON CONFLICT (address) DO UPDATE SET fingerprint = excluded.fingerprint, seen_at = excluded.seen_at;
    RETURN '{}';
END $$;

-- Let somebody in on the interviewer's side; {"done": false} when the name is there.
CREATE FUNCTION ib.add_person(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
BEGIN
    INSERT INTO ib.people AS p (name, role, created_at, created_by)
    VALUES (p_asked ->> 'name', p_asked ->> 'role', now_s, p_asked ->> 'who')
    ON CONFLICT (name) DO UPDATE SET role = excluded.role, created_at = excluded.created_at,
        created_by = excluded.created_by, removed_at = NULL, removed_by = ''
    WHERE p.removed_at IS NOT NULL;
    RETURN jsonb_build_object('done', FOUND, 'created_at', now_s);
END $$;

-- Keep somebody out from now on and revoke their tokens.
CREATE FUNCTION ib.remove_person(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    removed boolean;
BEGIN
    UPDATE ib.people SET removed_at = now_s, removed_by = p_asked ->> 'who'
    WHERE name = p_asked ->> 'name' AND removed_at IS NULL;
    removed := FOUND;
    UPDATE ib.grants SET revoked_at = now_s
    WHERE subject = p_asked ->> 'name' AND revoked_at IS NULL AND kind IN ('interviewer', 'link');
    RETURN jsonb_build_object('done', removed);
END $$;

-- Store tokens' hashes that are not there; {"done": false} when one of them was.
CREATE FUNCTION ib.add_grants(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    added integer;
BEGIN
    INSERT INTO ib.grants SELECT * FROM jsonb_populate_recordset(NULL::ib.grants, p_asked -> 'grants')
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN jsonb_build_object('done', p_asked ? 'again' OR added = jsonb_array_length(p_asked -> 'grants'));
END $$;

-- Revoke the tokens that match all that is given, with an event in each session that they let in.
CREATE FUNCTION ib.revoke_grants(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    revoked jsonb;
    one record;
BEGIN
    WITH gone AS (
        UPDATE ib.grants AS g SET revoked_at = now_s
        WHERE g.subject = coalesce(p_asked ->> 'subject', g.subject) AND g.kind = coalesce(p_asked ->> 'kind', g.kind)
            AND g.token_hash = coalesce(p_asked ->> 'token_hash', g.token_hash) AND g.revoked_at IS NULL
        RETURNING g.kind, g.subject
    )
    SELECT coalesce(jsonb_agg(to_jsonb(gone)), '[]') INTO revoked FROM gone;
    FOR one IN
        SELECT s.session_key, count(*) AS tokens
        FROM jsonb_to_recordset(revoked) AS g(kind text, subject text)
        JOIN ib.sessions AS s ON s.session_key = ib.session_key(g.subject) AND s.session_id = g.subject
        WHERE g.kind IN ('candidate', 'gateway')
        GROUP BY s.session_key ORDER BY s.session_key
    LOOP
        PERFORM ib.append_event(one.session_key, 'revoked', now_s, p_asked ->> 'who',
            jsonb_build_object('tokens', one.tokens)::text);
        PERFORM ib.say_changed(one.session_key, now_s, 'event');
    END LOOP;
    RETURN to_jsonb(jsonb_array_length(revoked));
END $$;

-- Record an invitation and that it was made; {"done": false} for a known id or code.
CREATE FUNCTION ib.add_invitation(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    i ib.invitations := jsonb_populate_record(NULL::ib.invitations, p_asked);
    s ib.sessions := ib.locked(p_asked);
BEGIN
    IF s.session_key IS NULL THEN
        RETURN '{"error": "unknown_session"}';
    ELSIF ib.done_before(p_asked) THEN
        RETURN '{"done": true}';
    END IF;
    INSERT INTO ib.invitations (invitation_id, session_key, code_hash, created_by, created_at, expires_at, gateway)
    VALUES (i.invitation_id, i.session_key, i.code_hash, i.created_by, coalesce(i.created_at, now_s), i.expires_at,
        i.gateway)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN '{"done": false}';
    END IF;
    PERFORM ib.append_event(s.session_key, 'invited', now_s, i.created_by, jsonb_build_object(
        'invitation_id', i.invitation_id, 'expires_at', i.expires_at, 'gateway', i.gateway)::text,
        (p_asked ->> 'salt')::bytea);
    PERFORM ib.say_changed(s.session_key, now_s, 'event');
    RETURN '{"done": true}';
END $$;

-- Use an invitation: only one caller can; the same nonce is answered the same again for p_asked.repeat_s seconds.
CREATE FUNCTION ib.take_invitation(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    i ib.invitations;
    name text;
BEGIN
    UPDATE ib.invitations AS f SET used_at = now_s, nonce_hash = p_asked ->> 'nonce_hash'
    WHERE f.code_hash = p_asked ->> 'code_hash' AND f.used_at IS NULL AND f.revoked_at IS NULL AND f.expires_at > now_s
    RETURNING * INTO i;
    IF FOUND THEN
        SELECT s.session_id INTO name FROM ib.sessions AS s WHERE s.session_key = i.session_key;
        UPDATE ib.grants AS g SET revoked_at = now_s
        WHERE g.subject = name AND g.kind IN ('candidate', 'gateway') AND g.revoked_at IS NULL;
        PERFORM ib.add_grants(jsonb_build_object('grants', (
            SELECT coalesce(jsonb_agg(g || jsonb_build_object('subject', name)), '[]')
            FROM jsonb_array_elements(p_asked -> 'grants') AS g WHERE i.gateway OR g ->> 'kind' = 'candidate')));
        PERFORM ib.append_event(i.session_key, 'joined', now_s, '',
            jsonb_build_object('invitation_id', i.invitation_id)::text);
        PERFORM ib.say_changed(i.session_key, now_s, 'event');
    ELSE
        SELECT * INTO i FROM ib.invitations AS f
        WHERE f.code_hash = p_asked ->> 'code_hash' AND f.nonce_hash = p_asked ->> 'nonce_hash'
            AND f.used_at > now_s - (p_asked ->> 'repeat_s')::double precision AND f.revoked_at IS NULL;
        IF NOT FOUND THEN
            RETURN 'null';
        END IF;
        SELECT s.session_id INTO name FROM ib.sessions AS s WHERE s.session_key = i.session_key;
    END IF;
    RETURN to_jsonb(i) || jsonb_build_object('session_id', name);
END $$;

-- Make an unused invitation worthless.
CREATE FUNCTION ib.revoke_invitation(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    key bigint;
BEGIN
    UPDATE ib.invitations AS i SET revoked_at = now_s
    WHERE i.invitation_id = p_asked ->> 'invitation_id' AND i.used_at IS NULL AND i.revoked_at IS NULL
    RETURNING i.session_key INTO key;
    IF NOT FOUND THEN
        RETURN '{"done": false}';
    END IF;
    PERFORM ib.append_event(key, 'revoked', now_s, p_asked ->> 'who',
        jsonb_build_object('invitation_id', p_asked ->> 'invitation_id')::text);
    PERFORM ib.say_changed(key, now_s, 'event');
    RETURN '{"done": true}';
END $$;

-- The ceiling and what counts towards it; no row while there is none.
CREATE FUNCTION ib.ceiling_now(p_asked jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
SELECT jsonb_build_object('day_nano_usd', c.day_nano_usd, 'total_nano_usd', c.total_nano_usd,
    'day_spent', CASE WHEN c.day = floor(ib.moment(p_asked) / 86400)::bigint THEN c.day_spent ELSE 0 END,
    'total_spent', c.total_spent, 'held', c.held)
FROM ib.ceiling AS c
$$;

-- Set what all sessions together may cost. Nobody who may change what counts is at work meanwhile: each of them has
-- read this table with FOR UPDATE first.
CREATE FUNCTION ib.set_ceiling(p_asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now_s double precision := ib.moment(p_asked);
    today bigint := floor(now_s / 86400)::bigint;
BEGIN
    LOCK TABLE ib.ceiling IN EXCLUSIVE MODE;
    DELETE FROM ib.ceiling;
    IF coalesce(p_asked ->> 'day_nano_usd', p_asked ->> 'total_nano_usd') IS NOT NULL THEN
        INSERT INTO ib.ceiling
        SELECT 1, (p_asked ->> 'day_nano_usd')::bigint, (p_asked ->> 'total_nano_usd')::bigint, today,
            coalesce((SELECT sum(c.cost_nano_usd) FROM ib.calls AS c
                WHERE c.status = 'settled' AND c.ended_at >= today * 86400), 0)::bigint,
            coalesce(sum(s.cost_nano_usd), 0)::bigint, coalesce(sum(s.held_nano_usd), 0)::bigint,
            p_asked ->> 'who', now_s
        FROM ib.sessions AS s;
    END IF;
    RETURN ib.ceiling_now(p_asked);
END $$;
