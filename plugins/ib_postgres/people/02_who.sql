-- Who asks. The session variable "ib.token" holds a token (ib_c_… of a candidate, ib_i_… of an interviewer), or
-- a statement's own pass, which only the ledger can sign. Anybody may set the variable, and nobody can guess
-- what it must hold. It is looked up anew by every statement, by the server's clock: what was revoked or has
-- expired reads nothing.

-- What the pass of a statement is signed with: a secret of the ledger's own, which no role of people can read.
INSERT INTO ib.secrets (name, value)
VALUES ('usage', sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))
ON CONFLICT (name) DO NOTHING;

CREATE OR REPLACE FUNCTION ib.signature(pass text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    secret bytea;
BEGIN
    SELECT value INTO secret FROM ib.secrets WHERE name = 'usage';
    IF secret IS NULL THEN
        RAISE EXCEPTION 'the ledger has no secret';
    END IF;
    RETURN encode(sha256(secret || sha256(secret || convert_to(pass, 'UTF8'))), 'hex');
END $$;
REVOKE ALL ON FUNCTION ib.signature(text) FROM PUBLIC;

-- A pass for what the ledger's own process asks, in this connection and for a minute more than it may take.
-- *reader* is NULL for all there is, or who asks: {"name", "coordinator", "all_scores", "hides_locked", "opened"}
-- (see ib_kernel/values/reader.py; opened are ids of sessions).
CREATE OR REPLACE FUNCTION ib.statement_pass(reader jsonb, seconds double precision) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    pass text := encode(convert_to(jsonb_build_object(
        'reader', reader, 'pid', pg_backend_pid(),
        'until', extract(epoch FROM statement_timestamp()) + seconds + 60)::text, 'UTF8'), 'hex');
BEGIN
    RETURN 'pass.' || pass || '.' || ib.signature(pass);
END $$;
REVOKE ALL ON FUNCTION ib.statement_pass(jsonb, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ib.statement_pass(jsonb, double precision) TO ib_host;

-- Return who asks, as one value; NULL for nobody. `kind` is store (all there is), interviewer or candidate.
CREATE OR REPLACE FUNCTION ib.who() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given text := current_setting('ib.token', true);
    pass jsonb;
    token record;
    moment double precision := extract(epoch FROM statement_timestamp());
BEGIN
    IF given IS NULL OR given = '' THEN
        RETURN NULL;
    END IF;
    IF split_part(given, '.', 1) = 'pass' THEN
        IF split_part(given, '.', 3) IS DISTINCT FROM ib.signature(split_part(given, '.', 2)) THEN
            RETURN NULL;
        END IF;
        pass := convert_from(decode(split_part(given, '.', 2), 'hex'), 'UTF8')::jsonb;
        IF (pass ->> 'pid')::integer <> pg_backend_pid() OR (pass ->> 'until')::double precision < moment THEN
            RETURN NULL;
        END IF;
        IF jsonb_typeof(pass -> 'reader') = 'null' THEN
            RETURN '{"kind": "store"}';
        END IF;
        RETURN (pass -> 'reader') || '{"kind": "interviewer"}';
    END IF;
    SELECT g.kind, g.subject, g.expires_at, p.role INTO token
    FROM ib.grants AS g
    LEFT JOIN ib.people AS p ON p.name = g.subject AND p.removed_at IS NULL AND g.kind = 'interviewer'
    WHERE g.token_hash = encode(sha256(convert_to(given, 'UTF8')), 'hex')
        AND g.kind IN ('candidate', 'interviewer') AND g.revoked_at IS NULL AND g.expires_at > moment;
    IF token IS NULL OR NOT pg_has_role(session_user, 'ib_' || token.kind, 'MEMBER') THEN
        RETURN NULL;
    END IF;
    IF token.kind = 'candidate' THEN
        RETURN (
            SELECT jsonb_build_object('kind', 'candidate', 'name', session_id, 'key', session_key,
                'expires_at', token.expires_at)
            FROM ib.sessions WHERE session_id = token.subject
        );
    END IF;
    IF token.role IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object('kind', 'interviewer', 'name', token.subject, 'all_scores', false,
        'coordinator', token.role = 'coordinator', 'hides_locked', true, 'expires_at', token.expires_at);
END $$;

-- Return the session that a candidate asks about; NULL for everybody else.
CREATE OR REPLACE FUNCTION ib.own_session() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (ib.who() ->> 'key')::bigint
$$;

-- Return true for who may read every session.
CREATE OR REPLACE FUNCTION ib.reads_all() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(ib.who() ->> 'kind' IN ('store', 'interviewer'), false)
$$;

-- Return true for a candidate.
CREATE OR REPLACE FUNCTION ib.is_candidate() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(ib.who() ->> 'kind' = 'candidate', true)
$$;

-- Return true for who may know what was adapted for a person.
CREATE OR REPLACE FUNCTION ib.knows_accommodations() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(who ->> 'kind' IN ('store', 'candidate') OR (who ->> 'coordinator')::boolean, false)
    FROM ib.who() AS who
$$;

-- Return true for who may read every level.
CREATE OR REPLACE FUNCTION ib.reads_all_scores() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(who ->> 'kind' = 'store' OR (who ->> 'all_scores')::boolean, false) FROM ib.who() AS who
$$;

-- Return the sessions with a lock that who asks has not opened: their levels, notes and rubrics stay closed.
CREATE OR REPLACE FUNCTION ib.closed_sessions() RETURNS bigint[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who jsonb := ib.who();
BEGIN
    IF NOT coalesce((who ->> 'hides_locked')::boolean, false) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(
        SELECT session_key FROM ib.sessions
        WHERE meta LIKE '%"ib_lock"%' AND meta::jsonb ? 'ib_lock'
            AND NOT coalesce(who -> 'opened', '[]') ? session_id
    );
END $$;

-- Return the sessions whose levels who asks has unfolded.
CREATE OR REPLACE FUNCTION ib.unfolded_sessions() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT session_key FROM ib.events WHERE kind = 'unfolded' AND who = ib.who() ->> 'name')
$$;

-- Return the sessions of judges whose texts who asks may not read yet: not before they have unfolded the session
-- that these are about.
CREATE OR REPLACE FUNCTION ib.hidden_talks() RETURNS bigint[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unfolded bigint[];
BEGIN
    IF ib.reads_all_scores() THEN
        RETURN '{}';
    END IF;
    unfolded := ib.unfolded_sessions();
    RETURN ARRAY(
        SELECT t.session_key FROM ib.sessions AS t
        WHERE t.meta LIKE '%"about"%' AND t.meta::jsonb ? 'about' AND NOT EXISTS (
            SELECT FROM ib.sessions AS s WHERE s.session_id = t.meta::jsonb ->> 'about' AND s.session_key = ANY (unfolded)
        )
    );
END $$;

-- Return true if who asks has given a level of their own for a criterion.
CREATE OR REPLACE FUNCTION ib.has_rated(asked_key bigint, asked_criterion text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM ib.scores
        WHERE session_key = asked_key AND criterion = asked_criterion AND rater_kind = 'person'
            AND level IS NOT NULL AND rater = ib.who() ->> 'name'
    )
$$;

-- Return true if who asks has given one for a criterion of the session that a judge's session is about.
CREATE OR REPLACE FUNCTION ib.has_rated_judged(judge_key bigint, asked_criterion text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM ib.sessions AS t JOIN ib.sessions AS s ON s.session_id = t.meta::jsonb ->> 'about'
        WHERE t.session_key = judge_key AND ib.has_rated(s.session_key, asked_criterion)
    )
$$;

-- Return the hash of the challenge that a candidate was given.
CREATE OR REPLACE FUNCTION ib.own_challenge() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT nullif(challenge_sha, '') FROM ib.sessions WHERE session_key = ib.own_session()
$$;

-- Return the kinds of events that a candidate may see, and the details of one kind (ib_kernel/values/wire.py).
CREATE OR REPLACE FUNCTION ib.candidates_kinds() RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT jsonb_object_keys('{event_kinds}'::jsonb))
$$;
CREATE OR REPLACE FUNCTION ib.candidates_detail(kind text, detail text) RETURNS json
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(json_object_agg(key, value), '{}')
    FROM json_each(detail::json)
    WHERE '{event_kinds}'::jsonb -> kind ? key
$$;

REVOKE ALL ON FUNCTION ib.who(), ib.own_session(), ib.reads_all(), ib.is_candidate(), ib.knows_accommodations(), ib.reads_all_scores(),
    ib.closed_sessions(), ib.unfolded_sessions(), ib.hidden_talks(), ib.has_rated(bigint, text),
    ib.has_rated_judged(bigint, text), ib.own_challenge(), ib.candidates_kinds(), ib.candidates_detail(text, text)
    FROM PUBLIC;
-- Those who read call them through the views; the schema itself is closed to them.
GRANT EXECUTE ON FUNCTION ib.own_session(), ib.reads_all(), ib.is_candidate(), ib.knows_accommodations(), ib.reads_all_scores(),
    ib.closed_sessions(), ib.unfolded_sessions(), ib.hidden_talks(), ib.has_rated(bigint, text),
    ib.has_rated_judged(bigint, text), ib.own_challenge(), ib.candidates_kinds(), ib.candidates_detail(text, text)
    TO ib_reader, ib_interviewer, ib_candidate, ib_asker;
