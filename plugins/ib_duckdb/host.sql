-- What a host keeps beside sessions, from version 4 of the hot ledger on. None of it reaches usage.duckdb.

CREATE TABLE people (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,                     -- interviewer, coordinator
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL,
    removed_at REAL,
    removed_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE invitations (
    invitation_id TEXT PRIMARY KEY,
    session_key INTEGER NOT NULL,
    code_hash TEXT NOT NULL UNIQUE,         -- hex SHA-256, as all hashes here
    created_by TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    gateway INTEGER NOT NULL,
    used_at REAL,
    nonce_hash TEXT NOT NULL DEFAULT '',
    revoked_at REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX invitations_by_session ON invitations (session_key);

CREATE TABLE grants (
    token_hash TEXT PRIMARY KEY,
    kind TEXT NOT NULL,                     -- candidate, gateway, interviewer, link
    subject TEXT NOT NULL,                  -- a session id, or a person's name
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    revoked_at REAL,
    created_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_subject ON grants (subject, kind);

CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- Requests by the id that their client chose; `revision` grows with each write of any of them.
CREATE TABLE requests (
    session_key INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    body_sha TEXT NOT NULL,
    turn INTEGER NOT NULL,
    rid TEXT NOT NULL,                      -- of the newest attempt
    owner_hash BLOB NOT NULL,
    state TEXT NOT NULL,                    -- running, finished, unfinished
    text TEXT NOT NULL,
    result TEXT NOT NULL,
    updated_at REAL NOT NULL,
    revision INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (session_key, request_id)
) STRICT;
CREATE INDEX requests_by_rid ON requests (rid);

-- One row while there is a ceiling: what all sessions together may cost, and what they have.
CREATE TABLE ceiling (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    day_nano_usd INTEGER,
    total_nano_usd INTEGER,
    day INTEGER NOT NULL,                   -- whole days since 1970 (UTC) that day_spent is about
    day_spent INTEGER NOT NULL,
    total_spent INTEGER NOT NULL,
    held INTEGER NOT NULL,                  -- held and in doubt
    set_by TEXT NOT NULL,
    set_at REAL NOT NULL
) STRICT;
CREATE TRIGGER count_towards_ceiling
AFTER UPDATE OF cost_nano_usd, held_nano_usd ON sessions WHEN EXISTS (SELECT 1 FROM ceiling)
BEGIN
    UPDATE ceiling SET
        held = held + new.held_nano_usd - old.held_nano_usd,
        total_spent = total_spent + new.cost_nano_usd - old.cost_nano_usd,
        day_spent = CASE WHEN day = ledger_day() THEN day_spent ELSE 0 END
            + new.cost_nano_usd - old.cost_nano_usd,
        day = ledger_day();
END;
