-- The hot ledger, version 5: sessions and what they use (see host.sql and evidence.sql for the rest). Times are
-- seconds since 1970 (UTC), money is nano-dollars.
-- `seq` orders what is moved to usage.duckdb: the newest row of a table is never deleted, so a number is
-- never given twice. STRICT makes an overflowing sum an error instead of a rounded float.

CREATE TABLE ledger (
    version INTEGER NOT NULL,
    ledger_id TEXT NOT NULL,
    first_key INTEGER NOT NULL,
    created_at REAL NOT NULL
) STRICT;

-- One row per session with its sums, so that admission is one conditional UPDATE of one row.
CREATE TABLE sessions (
    session_key INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    candidate TEXT NOT NULL,
    role TEXT NOT NULL,
    level TEXT NOT NULL,
    challenge TEXT NOT NULL,
    persona TEXT NOT NULL,
    client TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    meta TEXT NOT NULL,
    status TEXT NOT NULL,
    token_budget INTEGER NOT NULL,
    budget_nano_usd INTEGER,
    time_limit_s REAL,
    created_at REAL NOT NULL,
    started_at REAL,
    ended_at REAL,
    active_s REAL NOT NULL DEFAULT 0,       -- active seconds up to tick_at
    tick_at REAL,                           -- when active_s was last brought up to date; NULL: not active
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    reasoning_tokens INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0,
    in_doubt INTEGER NOT NULL DEFAULT 0,
    held_nano_usd INTEGER NOT NULL DEFAULT 0,  -- held and in doubt
    cost_nano_usd INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    turns INTEGER NOT NULL DEFAULT 0,
    messages INTEGER NOT NULL DEFAULT 0,
    events INTEGER NOT NULL DEFAULT 0,
    priced_calls INTEGER NOT NULL DEFAULT 0,
    unpriced_calls INTEGER NOT NULL DEFAULT 0,
    pruned_calls INTEGER NOT NULL DEFAULT 0,   -- rows that are only in usage.duckdb by now
    pruned_messages INTEGER NOT NULL DEFAULT 0,
    last_turn INTEGER NOT NULL DEFAULT 0,      -- the highest number a turn was given
    charge TEXT NOT NULL DEFAULT 'billed',     -- billed, new: what is charged; held and in_doubt are charged tokens
    billed_ceiling INTEGER,                    -- NULL: 10 * token_budget under new, none under billed
    charged_tokens INTEGER NOT NULL DEFAULT 0,
    held_billed INTEGER NOT NULL DEFAULT 0,    -- what held and in_doubt may be billed as
    token_budget_at_start INTEGER,
    time_limit_at_start_s REAL,
    external_id TEXT NOT NULL DEFAULT '',
    challenge_sha TEXT NOT NULL DEFAULT '',
    notice_version TEXT NOT NULL DEFAULT '',
    keep_until REAL,
    accommodation TEXT NOT NULL DEFAULT '',    -- never moved to usage.duckdb
    cells INTEGER NOT NULL DEFAULT 0,
    checks INTEGER NOT NULL DEFAULT 0,
    scores INTEGER NOT NULL DEFAULT 0,
    chain_n INTEGER NOT NULL DEFAULT 0,        -- links so far
    chain_head BLOB                            -- the newest of them
) STRICT;
CREATE INDEX sessions_by_status ON sessions (status);

-- Open reservations only: an ended one becomes a row of calls or of released.
CREATE TABLE reservations (
    rid TEXT PRIMARY KEY,
    session_key INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    nano_usd INTEGER NOT NULL,
    lease_until REAL NOT NULL,
    owner TEXT NOT NULL,
    created_at REAL NOT NULL,
    state TEXT NOT NULL,                    -- held, expired (lease over: in doubt), doubt (said so)
    doubt_reason TEXT NOT NULL DEFAULT '',
    turn INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    client TEXT NOT NULL,
    model TEXT NOT NULL,
    counted_tokens INTEGER,
    counted_exact INTEGER,
    prompt_version TEXT NOT NULL,
    owner_hash BLOB,                        -- SHA-256 of the owner's token; NULL: made before version 2
    billed_tokens INTEGER NOT NULL DEFAULT 0,
    history_from_turn INTEGER,
    sent_hmac TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX reservations_by_session ON reservations (session_key);

CREATE TABLE released (rid TEXT PRIMARY KEY, released_at REAL NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE calls (
    seq INTEGER PRIMARY KEY,
    rid TEXT NOT NULL UNIQUE,
    session_key INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    client TEXT NOT NULL,
    model TEXT NOT NULL,
    model_returned TEXT NOT NULL,
    counted_tokens INTEGER,
    counted_exact INTEGER,
    input_tokens INTEGER,                   -- NULL: nobody knows (written off)
    cached_tokens INTEGER,
    output_tokens INTEGER,
    reasoning_tokens INTEGER,
    source TEXT,
    cost_nano_usd INTEGER,
    price_source TEXT,
    latency_ms REAL,
    first_piece_ms REAL,
    finish_reason TEXT NOT NULL,
    status TEXT NOT NULL,                   -- settled, failed, written_off
    error TEXT,
    held_tokens INTEGER NOT NULL,
    overdraft INTEGER NOT NULL,
    token_budget INTEGER NOT NULL,
    prompt_version TEXT NOT NULL,
    response_id TEXT NOT NULL,
    raw_usage TEXT,
    started_at REAL NOT NULL,
    ended_at REAL NOT NULL,
    owner_hash BLOB,                        -- of its reservation: who may repeat its settle
    charged_tokens INTEGER,
    used INTEGER,                           -- what the session had been charged, this one included
    history_from_turn INTEGER,
    sent_hmac TEXT NOT NULL DEFAULT '',
    link_n INTEGER,                         -- its place in the session's chain; NULL: older than version 4
    link BLOB
) STRICT;
CREATE INDEX calls_by_turn ON calls (session_key, turn);

CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    session_key INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at REAL NOT NULL,
    partial INTEGER NOT NULL,
    asked_at REAL,                          -- when the turn's question was asked
    salt BLOB,                              -- of the text's commitment; NULL when the text was erased
    commitment BLOB,                        -- kept when the text was erased
    link_n INTEGER,
    link BLOB
) STRICT;
CREATE INDEX messages_by_session ON messages (session_key);

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    session_key INTEGER NOT NULL,
    kind TEXT NOT NULL,
    created_at REAL NOT NULL,
    who TEXT NOT NULL,
    detail TEXT NOT NULL,
    salt BLOB,
    commitment BLOB,
    link_n INTEGER,
    link BLOB
) STRICT;
CREATE INDEX events_by_session ON events (session_key);

-- A session as it was after each change, append-only: usage.duckdb shows the newest of each.
CREATE TABLE session_rows (
    seq INTEGER PRIMARY KEY,
    session_key INTEGER NOT NULL,
    status TEXT NOT NULL,
    token_budget INTEGER NOT NULL,
    budget_nano_usd INTEGER,
    time_limit_s REAL,
    started_at REAL,
    ended_at REAL,
    active_s REAL NOT NULL,
    changed_at REAL NOT NULL,
    chain_n INTEGER NOT NULL DEFAULT 0,
    chain_head BLOB
) STRICT;
