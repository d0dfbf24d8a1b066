-- Row-level security on every table of the ledger: a role without a policy reads and writes nothing, whatever
-- it was granted. The owner of the tables is not bound by it: run a host as a member of ib_host.
DO $$
DECLARE
    name text;
    columns text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'ib' LOOP
        EXECUTE format('ALTER TABLE ib.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('REVOKE ALL ON ib.%I FROM PUBLIC, ib_reader, ib_interviewer, ib_candidate, ib_asker', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ib.%I TO ib_host', name);
        EXECUTE format('DROP POLICY IF EXISTS host ON ib.%I', name);
        EXECUTE format('CREATE POLICY host ON ib.%I TO ib_host USING (true) WITH CHECK (true)', name);
        EXECUTE format('DROP POLICY IF EXISTS reader ON ib.%I', name);
    END LOOP;
    -- What the views are made of; never an owner's hash, a reservation's id or who holds it.
    FOREACH name IN ARRAY ARRAY['sessions', 'reservations', 'calls', 'messages', 'events', 'cells', 'checks',
        'scores', 'challenges']
    LOOP
        SELECT string_agg(quote_ident(column_name), ', ') INTO columns
        FROM information_schema.columns
        WHERE table_schema = 'ib' AND table_name = name
            AND column_name NOT IN ('owner_hash', 'owner', 'rid', 'doubt_reason');
        EXECUTE format('GRANT SELECT (%s) ON ib.%I TO ib_reader', columns, name);
    END LOOP;
END $$;

CREATE POLICY reader ON ib.sessions FOR SELECT TO ib_reader
    USING ((SELECT ib.reads_all()) OR session_key = (SELECT ib.own_session()));
CREATE POLICY reader ON ib.reservations FOR SELECT TO ib_reader
    USING ((SELECT ib.reads_all()) OR session_key = (SELECT ib.own_session()));
CREATE POLICY reader ON ib.calls FOR SELECT TO ib_reader
    USING ((SELECT ib.reads_all()) OR session_key = (SELECT ib.own_session()));
CREATE POLICY reader ON ib.cells FOR SELECT TO ib_reader
    USING ((SELECT ib.reads_all()) OR session_key = (SELECT ib.own_session()));
CREATE POLICY reader ON ib.checks FOR SELECT TO ib_reader
    USING ((SELECT ib.reads_all()) OR session_key = (SELECT ib.own_session()));
CREATE POLICY reader ON ib.messages FOR SELECT TO ib_reader
    USING ((SELECT ib.reads_all()) OR session_key = (SELECT ib.own_session()));
CREATE POLICY reader ON ib.events FOR SELECT TO ib_reader
    USING ((SELECT ib.reads_all())
        OR (session_key = (SELECT ib.own_session()) AND kind = ANY ((SELECT ib.candidates_kinds())::text[])));
-- Somebody who rates sees the levels of a criterion that they have rated themselves, and those that they unfolded.
CREATE POLICY reader ON ib.scores FOR SELECT TO ib_reader
    USING ((SELECT ib.reads_all()) AND session_key <> ALL ((SELECT ib.closed_sessions())::bigint[])
        AND ((SELECT ib.reads_all_scores()) OR session_key = ANY ((SELECT ib.unfolded_sessions())::bigint[])
            OR ib.has_rated(session_key, criterion)));
CREATE POLICY reader ON ib.challenges FOR SELECT TO ib_reader
    USING ((SELECT ib.reads_all()) OR challenge_sha = (SELECT ib.own_challenge()));

-- From here on what is made belongs to somebody whom row-level security binds, and not to whoever installs it.
GRANT USAGE ON SCHEMA ib TO ib_reader;
SET LOCAL ROLE ib_reader;
