-- What nobody who may only look may do, tried by a candidate (Ada) and by an interviewer. {own} is the key of Ada's
-- session, {other} that of Ben's.

-- own budget
UPDATE ib.sessions SET token_budget = 10^9 WHERE session_key = {own};

-- own budget through the view
UPDATE sessions SET token_budget = 1000000000;

-- own status
UPDATE ib.sessions SET status = 'active' WHERE session_key = {own};

-- a reservation
INSERT INTO ib.reservations (session_key, rid, tokens) VALUES ({own}, 'x', 1);

-- own reservation
UPDATE ib.reservations SET tokens = 0 WHERE session_key = {own};

-- own reservation gone
DELETE FROM ib.reservations WHERE session_key = {own};

-- a call gone
DELETE FROM ib.calls WHERE session_key = {own};

-- an event as somebody else
INSERT INTO ib.events (session_key, kind, created_at, who, detail) VALUES ({own}, 'note', 1, 'Grace', '{}');

-- an event through the view
INSERT INTO events (kind, who) VALUES ('note', 'Grace');

-- a message
INSERT INTO ib.messages (session_key, turn, role, content, created_at, partial) VALUES ({own}, 1, 'user', 'x', 1, false);

-- a score
INSERT INTO ib.scores (session_key) VALUES (1);

-- a grant
INSERT INTO ib.grants VALUES ('abababababababababababababababababababababababababababababababab', 'candidate', 'ben', 1, 9e9, NULL, '');

-- own grant longer
UPDATE ib.grants SET expires_at = 9e9;

-- own role
INSERT INTO ib.people VALUES ('ada', 'coordinator', 1, '');

-- reserve for another
SELECT ib.reserve('{"session_key": {other}, "session_id": "ben", "tokens": 1}');

-- reserve for oneself
SELECT ib.reserve('{"session_key": {own}, "session_id": "ada", "tokens": 1}');

-- settle
SELECT ib.settle('{}');

-- write
SELECT ib.write('add_event', '{}');

-- a pass
SELECT ib.statement_pass(NULL, 60);

-- a signature
SELECT ib.signature('x');

-- ask
SELECT * FROM ib_usage.ask('SELECT 1', 1, 1) AS t (a integer);

-- who
SELECT ib.who();

-- role host
SET ROLE ib_host;

-- role reader
SET ROLE ib_reader;

-- role asker
SET ROLE ib_asker;

-- role interviewer
SET ROLE ib_interviewer;

-- role owner
SET ROLE postgres;

-- session authorization
SET SESSION AUTHORIZATION ben_login;

-- grant a role to oneself
GRANT ib_host TO ada_login;

-- grant interviewer to oneself
GRANT ib_interviewer TO ada_login;

-- grant a table to oneself
GRANT SELECT ON ib.grants TO ada_login;

-- grant a column to oneself
GRANT SELECT (accommodation) ON ib.sessions TO ada_login;

-- be anybody
ALTER ROLE ada_login SUPERUSER;

-- pass row-level security
ALTER ROLE ada_login BYPASSRLS;

-- drop the policy
DROP POLICY reader ON ib.messages;

-- change the policy
ALTER POLICY reader ON ib.messages USING (true);

-- add a policy
CREATE POLICY mine ON ib.messages TO ada_login USING (true);

-- switch it off
ALTER TABLE ib.messages DISABLE ROW LEVEL SECURITY;

-- own the view
ALTER VIEW ib_usage.messages OWNER TO ada_login;

-- ask as oneself
ALTER VIEW ib_usage.messages SET (security_invoker = false);

-- another view
CREATE VIEW ib_usage.mine AS SELECT * FROM ib.messages;

-- replace the view
CREATE OR REPLACE VIEW ib_usage.messages AS SELECT 1;

-- a function of theirs
CREATE FUNCTION ib_usage.moment(double precision) RETURNS timestamp LANGUAGE sql AS 'SELECT NULL';

-- a function in ib
CREATE FUNCTION ib.who() RETURNS jsonb LANGUAGE sql AS 'SELECT NULL';

-- the function's rights
ALTER FUNCTION ib_usage.ask(text, bigint, bigint) SECURITY INVOKER;

-- the function's path
ALTER FUNCTION ib.who() SET search_path = pg_temp;

-- a schema
CREATE SCHEMA mine;

-- a trigger
CREATE TRIGGER t BEFORE UPDATE ON ib.sessions EXECUTE FUNCTION suppress_redundant_updates_trigger();

-- the messages themselves
SELECT * FROM ib.messages;

-- the messages copied
COPY ib.messages TO STDOUT;

-- a program
COPY (SELECT 1) TO PROGRAM 'id';

-- a file
COPY (SELECT 1) TO '/tmp/ib-wall';

-- a file read
SELECT pg_read_file('/etc/passwd');

-- a file as an object
SELECT lo_import('/etc/passwd');

-- an object as a file
SELECT lo_export(1, '/tmp/ib-wall');

-- the secret
SELECT value FROM ib.secrets;

-- the statistics
SELECT stavalues1 FROM pg_statistic;

-- the logins
SELECT rolpassword FROM pg_authid;

-- a server setting
ALTER SYSTEM SET row_security = off;

-- a replication
SELECT pg_create_logical_replication_slot('x', 'test_decoding');

-- by a query in a query
SELECT query_to_xml('SELECT * FROM ib.messages', true, true, '');

-- end another's work
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres';
