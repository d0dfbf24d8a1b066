-- What an embedded ledger that is moved here has brought so far (see moving.py).

-- One row for the ledger that was moved, or is being moved: finished_at is NULL until all of it is here.
CREATE TABLE ib.moving (
    one integer PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    source_id text NOT NULL,
    place text NOT NULL,
    began_at double precision NOT NULL,
    finished_at double precision
);

-- By table, up to which row of the source is here: written in the transaction that brings the rows.
CREATE TABLE ib.moved (
    name text PRIMARY KEY,
    seq bigint NOT NULL
);

-- Rows that these tables cannot hold, as they were: nothing of them is lost, and they are in nobody's way.
CREATE TABLE ib.quarantine (
    name text NOT NULL,
    seq bigint NOT NULL,
    session_key bigint NOT NULL,
    reason text NOT NULL,
    kept bytea NOT NULL,                            -- JSON of the row's columns, bytes as {"hex": …}
    PRIMARY KEY (session_key, name, seq)
);
