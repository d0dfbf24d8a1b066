-- What a candidate did and what people conclude, from version 4 of the hot ledger on; moved to usage.duckdb.
-- Each row has its place in the session's chain and the salt of its texts' commitment (see chain.py).

CREATE TABLE cells (
    seq INTEGER PRIMARY KEY,
    session_key INTEGER NOT NULL,
    n INTEGER NOT NULL,
    execution_count INTEGER,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    source_sha TEXT NOT NULL,
    lines INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    error TEXT NOT NULL,
    output_chars INTEGER NOT NULL,
    output TEXT,                            -- NULL: not kept
    started_at REAL NOT NULL,
    ended_at REAL NOT NULL,
    salt BLOB,
    commitment BLOB,
    link_n INTEGER,
    link BLOB
) STRICT;
CREATE INDEX cells_by_session ON cells (session_key);

CREATE TABLE checks (
    seq INTEGER PRIMARY KEY,
    session_key INTEGER NOT NULL,
    n INTEGER NOT NULL,
    challenge_sha TEXT NOT NULL,
    suite TEXT NOT NULL,                    -- visible, hidden
    passed INTEGER NOT NULL,
    total INTEGER NOT NULL,
    tests TEXT NOT NULL,
    source_sha TEXT NOT NULL,
    ran_on TEXT NOT NULL,                   -- candidate, host
    started_at REAL NOT NULL,
    ended_at REAL NOT NULL,
    salt BLOB,
    commitment BLOB,
    link_n INTEGER,
    link BLOB
) STRICT;
CREATE INDEX checks_by_session ON checks (session_key);

CREATE TABLE scores (
    seq INTEGER PRIMARY KEY,
    session_key INTEGER NOT NULL,
    criterion TEXT NOT NULL,
    rater TEXT NOT NULL,
    rater_kind TEXT NOT NULL,               -- person, model
    level INTEGER,
    low INTEGER,
    high INTEGER,
    reason TEXT NOT NULL,
    quotes TEXT NOT NULL,
    saw_model INTEGER NOT NULL,
    rubric_sha TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    created_at REAL NOT NULL,
    salt BLOB,
    commitment BLOB,
    link_n INTEGER,
    link BLOB
) STRICT;
CREATE INDEX scores_by_session ON scores (session_key);

-- The candidate's parts of challenges, by hash. Rows stay.
CREATE TABLE challenges (
    seq INTEGER PRIMARY KEY,
    challenge_sha TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    text TEXT NOT NULL,
    files TEXT NOT NULL,
    first_used_at REAL NOT NULL
) STRICT;
