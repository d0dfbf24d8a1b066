-- Who may do what with SQL. Nobody logs in as one of these: logins are made members of them.
--   ib_host         what a host's login is: reads and writes the ledger, calls its functions
--   ib_interviewer  reads the documented tables and views of all sessions, with a person's token
--   ib_candidate    reads those of one session, with a token of its candidate
-- and two that no login is ever a member of, because an owner may change what it owns:
--   ib_reader       owns the views, and is bound by row-level security, whoever asks
--   ib_asker        owns the function that answers the queries which a host is asked
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['ib_host', 'ib_interviewer', 'ib_candidate', 'ib_reader', 'ib_asker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- another ledger of this server made it just now
            END;
        END IF;
    END LOOP;
    FOREACH role IN ARRAY ARRAY['ib_reader', 'ib_asker'] LOOP
        IF NOT pg_has_role(current_user, role, 'USAGE') THEN  -- to make what shall be theirs
            EXECUTE format('GRANT %I TO CURRENT_USER', role);
        END IF;
    END LOOP;
END $$;

CREATE SCHEMA ib_usage AUTHORIZATION ib_reader;
