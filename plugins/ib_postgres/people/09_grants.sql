-- Who may look: the views to those who read, the ledger's functions and numbers to hosts, nothing to everybody.
GRANT USAGE ON SCHEMA ib_usage TO ib_interviewer, ib_candidate, ib_asker, ib_host;
GRANT SELECT ON ALL TABLES IN SCHEMA ib_usage TO ib_interviewer, ib_candidate, ib_asker, ib_host;

REVOKE ALL ON SCHEMA ib FROM PUBLIC;
GRANT USAGE ON SCHEMA ib TO ib_host;
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA ib TO ib_host;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA ib FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ib TO ib_host;
