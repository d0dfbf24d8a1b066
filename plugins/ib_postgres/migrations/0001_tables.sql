-- The ledger's tables. Times are seconds since 1970 (UTC), money is nano-dollars, hashes and links are bytes, JSON is
-- kept as the text it came as. Keys begin with `session_key`, the first 63 bits of SHA-256 of the session's id, so
-- that the same tables can be spread over several servers by it. There are no foreign keys: they would lock a
-- session's row for each of its calls; `check` finds rows of sessions that do not exist.

CREATE TABLE ib.ledger (
    one integer PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    ledger_id text NOT NULL,
    created_at double precision NOT NULL,
    forgotten xid8                                  -- up to where ib.changes no longer has what has changed
);
INSERT INTO ib.ledger (ledger_id, created_at)
VALUES (replace(gen_random_uuid()::text, '-', ''), extract(epoch FROM statement_timestamp()));

-- One row per session with its sums, so that admission is one conditional UPDATE of one row. Half of each page is left
-- free: the new version of a row then stays in its page, and no index is written.
CREATE TABLE ib.sessions (
    session_key bigint PRIMARY KEY,
    session_id text NOT NULL,
    candidate text NOT NULL,
    role text NOT NULL,
    level text NOT NULL,
    challenge text NOT NULL,
    persona text NOT NULL,
    client text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    meta text NOT NULL,
    status text NOT NULL,
    token_budget bigint NOT NULL,
    budget_nano_usd bigint,
    time_limit_s double precision,
    created_at double precision NOT NULL,
    started_at double precision,
    ended_at double precision,
    active_s double precision NOT NULL DEFAULT 0,   -- active seconds up to tick_at
    tick_at double precision,                       -- when active_s was last brought up to date; NULL: not active
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cached_tokens bigint NOT NULL DEFAULT 0,
    reasoning_tokens bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    in_doubt bigint NOT NULL DEFAULT 0,
    held_nano_usd bigint NOT NULL DEFAULT 0,        -- held and in doubt
    cost_nano_usd bigint NOT NULL DEFAULT 0,
    calls bigint NOT NULL DEFAULT 0,
    turns bigint NOT NULL DEFAULT 0,
    messages bigint NOT NULL DEFAULT 0,
    events bigint NOT NULL DEFAULT 0,
    priced_calls bigint NOT NULL DEFAULT 0,
    unpriced_calls bigint NOT NULL DEFAULT 0,
    last_turn integer NOT NULL DEFAULT 0,           -- the highest number a turn was given
    charge text NOT NULL DEFAULT 'billed',          -- billed, new: what is charged
    billed_ceiling bigint,                          -- NULL: 10 * token_budget under new, none under billed
    charged_tokens bigint NOT NULL DEFAULT 0,
    held_billed bigint NOT NULL DEFAULT 0,          -- what held and in_doubt may be billed as
    running integer NOT NULL DEFAULT 0,             -- reservations that are held (not those in doubt)
    token_budget_at_start bigint,
    time_limit_at_start_s double precision,
    external_id text NOT NULL DEFAULT '',
    challenge_sha text NOT NULL DEFAULT '',
    notice_version text NOT NULL DEFAULT '',
    keep_until double precision,
    accommodation text NOT NULL DEFAULT '',         -- in no view
    cells bigint NOT NULL DEFAULT 0,
    checks bigint NOT NULL DEFAULT 0,
    scores bigint NOT NULL DEFAULT 0,
    chain_n bigint NOT NULL DEFAULT 0,              -- links so far
    chain_head bytea,                               -- the newest of them
    changed_at double precision NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.1);
CREATE INDEX sessions_by_time ON ib.sessions (created_at DESC, session_key DESC);
CREATE INDEX sessions_active ON ib.sessions (session_key) WHERE status = 'active';

-- Open reservations only: an ended one becomes a row of calls or of released.
CREATE TABLE ib.reservations (
    session_key bigint NOT NULL,
    rid text NOT NULL,                              -- ends with the session's key in hex, so that it says where it is
    tokens bigint NOT NULL,
    nano_usd bigint NOT NULL,
    lease_until double precision NOT NULL,
    owner text NOT NULL,
    created_at double precision NOT NULL,
    state text NOT NULL,                            -- held, expired (lease over: in doubt), doubt (said so)
    doubt_reason text NOT NULL DEFAULT '',
    turn integer NOT NULL,
    attempt integer NOT NULL,
    client text NOT NULL,
    model text NOT NULL,
    counted_tokens bigint,
    counted_exact boolean,
    prompt_version text NOT NULL,
    owner_hash bytea,                               -- SHA-256 of the owner's token; NULL: nobody owns it
    billed_tokens bigint NOT NULL DEFAULT 0,
    history_from_turn integer,
    sent_hmac text NOT NULL DEFAULT '',
    PRIMARY KEY (session_key, rid)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
CREATE UNIQUE INDEX reservations_by_turn ON ib.reservations (session_key, turn, attempt) WHERE turn > 0;

CREATE TABLE ib.released (
    session_key bigint NOT NULL,
    rid text NOT NULL,
    released_at double precision NOT NULL,
    PRIMARY KEY (session_key, rid)
);

CREATE TABLE ib.calls (
    seq bigint GENERATED BY DEFAULT AS IDENTITY,
    rid text NOT NULL,
    session_key bigint NOT NULL,
    turn integer NOT NULL,
    attempt integer NOT NULL,
    client text NOT NULL,
    model text NOT NULL,
    model_returned text NOT NULL,
    counted_tokens bigint,
    counted_exact boolean,
    input_tokens bigint,                            -- NULL: nobody knows (written off)
    cached_tokens bigint,
    output_tokens bigint,
    reasoning_tokens bigint,
    source text,
    cost_nano_usd bigint,
    price_source text,
    latency_ms double precision,
    first_piece_ms double precision,
    finish_reason text NOT NULL,
    status text NOT NULL,                           -- settled, failed, written_off
    error text,
    held_tokens bigint NOT NULL,
    overdraft bigint NOT NULL,
    token_budget bigint NOT NULL,
    prompt_version text NOT NULL,
    response_id text NOT NULL,
    raw_usage text,
    started_at double precision NOT NULL,
    ended_at double precision NOT NULL,
    owner_hash bytea,                               -- of its reservation: who may repeat its settle
    charged_tokens bigint,
    history_from_turn integer,
    sent_hmac text NOT NULL DEFAULT '',
    link_n bigint,                                  -- its place in the session's chain; NULL: older than the chain
    link bytea,
    PRIMARY KEY (session_key, rid)
);
CREATE UNIQUE INDEX calls_by_turn ON ib.calls (session_key, turn, attempt) WHERE turn > 0;

CREATE TABLE ib.messages (
    seq bigint GENERATED BY DEFAULT AS IDENTITY,
    session_key bigint NOT NULL,
    turn integer NOT NULL,
    role text NOT NULL,
    content text NOT NULL,
    created_at double precision NOT NULL,
    partial boolean NOT NULL,
    asked_at double precision,                      -- when the turn's question was asked
    salt bytea,                                     -- of the text's commitment; NULL when the text was erased
    commitment bytea,                               -- kept when the text was erased
    link_n bigint,
    link bytea,
    PRIMARY KEY (session_key, seq)
);

CREATE TABLE ib.events (
    seq bigint GENERATED BY DEFAULT AS IDENTITY,
    session_key bigint NOT NULL,
    kind text NOT NULL,
    created_at double precision NOT NULL,
    who text NOT NULL,
    detail text NOT NULL,
    salt bytea,
    commitment bytea,
    link_n bigint,
    link bytea,
    PRIMARY KEY (session_key, seq)
);

-- What a candidate did and what people conclude.

CREATE TABLE ib.cells (
    seq bigint GENERATED BY DEFAULT AS IDENTITY,
    session_key bigint NOT NULL,
    n integer NOT NULL,
    execution_count integer,
    kind text NOT NULL,
    source text NOT NULL,
    source_sha text NOT NULL,
    lines integer NOT NULL,
    ok boolean NOT NULL,
    error text NOT NULL,
    output_chars bigint NOT NULL,
    output text,                                    -- NULL: not kept
    started_at double precision NOT NULL,
    ended_at double precision NOT NULL,
    salt bytea,
    commitment bytea,
    link_n bigint,
    link bytea,
    PRIMARY KEY (session_key, seq)
);

CREATE TABLE ib.checks (
    seq bigint GENERATED BY DEFAULT AS IDENTITY,
    session_key bigint NOT NULL,
    n integer NOT NULL,
    challenge_sha text NOT NULL,
    suite text NOT NULL,                            -- visible, hidden
    passed integer NOT NULL,
    total integer NOT NULL,
    tests text NOT NULL,
    source_sha text NOT NULL,
    ran_on text NOT NULL,                           -- candidate, host
    started_at double precision NOT NULL,
    ended_at double precision NOT NULL,
    salt bytea,
    commitment bytea,
    link_n bigint,
    link bytea,
    PRIMARY KEY (session_key, seq)
);

CREATE TABLE ib.scores (
    seq bigint GENERATED BY DEFAULT AS IDENTITY,
    session_key bigint NOT NULL,
    criterion text NOT NULL,
    rater text NOT NULL,
    rater_kind text NOT NULL,                       -- person, model
    level integer,
    low integer,
    high integer,
    reason text NOT NULL,
    quotes text NOT NULL,
    saw_model boolean NOT NULL,
    rubric_sha text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    created_at double precision NOT NULL,
    salt bytea,
    commitment bytea,
    link_n bigint,
    link bytea,
    PRIMARY KEY (session_key, seq)
);

-- The candidate's parts of challenges, by hash. Rows stay.
CREATE TABLE ib.challenges (
    seq bigint GENERATED BY DEFAULT AS IDENTITY,
    challenge_sha text PRIMARY KEY,
    name text NOT NULL,
    version text NOT NULL,
    text text NOT NULL,
    files text NOT NULL,
    first_used_at double precision NOT NULL
);

-- What a host keeps beside sessions. None of it is in a view or an export.

CREATE TABLE ib.people (
    name text PRIMARY KEY,
    role text NOT NULL,                             -- interviewer, coordinator
    created_at double precision NOT NULL,
    created_by text NOT NULL,
    removed_at double precision,
    removed_by text NOT NULL DEFAULT ''
);

CREATE TABLE ib.invitations (
    invitation_id text PRIMARY KEY,
    session_key bigint NOT NULL,
    code_hash text NOT NULL UNIQUE,                 -- hex SHA-256, as all hashes here
    created_by text NOT NULL,
    created_at double precision NOT NULL,
    expires_at double precision NOT NULL,
    gateway boolean NOT NULL,
    used_at double precision,
    nonce_hash text NOT NULL DEFAULT '',
    revoked_at double precision
);
CREATE INDEX invitations_by_session ON ib.invitations (session_key);

CREATE TABLE ib.grants (
    token_hash text PRIMARY KEY,
    kind text NOT NULL,                             -- candidate, gateway, interviewer, link
    subject text NOT NULL,                          -- a session id, or a person's name
    created_at double precision NOT NULL,
    expires_at double precision NOT NULL,
    revoked_at double precision,
    created_by text NOT NULL
);
CREATE INDEX grants_by_subject ON ib.grants (subject, kind);

CREATE TABLE ib.secrets (name text PRIMARY KEY, value bytea NOT NULL);

-- Requests by the id that their client chose.
CREATE TABLE ib.requests (
    session_key bigint NOT NULL,
    request_id text NOT NULL,
    body_sha text NOT NULL,
    turn integer NOT NULL,
    rid text NOT NULL,                              -- of the newest attempt
    owner_hash bytea NOT NULL,
    state text NOT NULL,                            -- running, finished, unfinished
    text text NOT NULL,
    result text NOT NULL,
    updated_at double precision NOT NULL,
    PRIMARY KEY (session_key, request_id)
) WITH (fillfactor = 50);
CREATE INDEX requests_by_rid ON ib.requests (session_key, rid);
CREATE INDEX requests_by_time ON ib.requests (updated_at);

-- One row while there is a ceiling: what all sessions together may cost, and what they have. It is locked before any
-- reservation or session.
CREATE TABLE ib.ceiling (
    one integer PRIMARY KEY CHECK (one = 1),
    day_nano_usd bigint,
    total_nano_usd bigint,
    day bigint NOT NULL,                            -- whole days since 1970 (UTC) that day_spent is about
    day_spent bigint NOT NULL,
    total_spent bigint NOT NULL,
    held bigint NOT NULL,                           -- held and in doubt
    set_by text NOT NULL,
    set_at double precision NOT NULL
) WITH (fillfactor = 50);

-- The hosts that run on this ledger.
CREATE TABLE ib.hosts (
    address text PRIMARY KEY,
    fingerprint text NOT NULL DEFAULT '',
    started_at double precision NOT NULL,
    seen_at double precision NOT NULL
) WITH (fillfactor = 50);

-- What has changed, for whoever waits for it: written in the transaction of the change and kept for a while. A cursor
-- is a snapshot: what it did not see is new, whatever order transactions end in.
CREATE TABLE ib.changes (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    session_key bigint NOT NULL,
    kinds text[] NOT NULL,
    changed_at double precision NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX changes_by_xid ON ib.changes (xid);
