"""Taking an embedded ledger in (`ib_kernel.values.moving.LedgerTarget`), exactly once, also after a kill.

Rows that stay as they are come first, in pieces; how far each table has come is written in the same
transaction as the piece. What changes (sessions, reservations, what a host keeps) comes last and at once,
with the rows that came meanwhile. Until then nobody finds a session here: no call is made on half a ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import StoreError
from ib_kernel.values.moving import LedgerRows, LedgerSource, Moved
from ib_postgres import quarantine
from ib_postgres.keys import session_key
from ib_postgres.moving_rows import Fitting
from ib_postgres.text import given

if TYPE_CHECKING:
    import psycopg

    Db = psycopg.Connection[Any]

HISTORY = ("calls", "messages", "events", "cells", "checks", "scores", "challenges")
"""Tables whose rows stay as they are; each has a ``seq``."""

STATE = ("sessions", "reservations", "requests", "people", "invitations", "grants", "secrets", "ceiling")
"""Tables that are replaced by each try."""

_LOCK = 0x1B5C4E3B
"""The advisory lock of whoever moves a ledger in."""

_RUNNING = """
UPDATE ib.sessions AS s SET running = held.n FROM (
    SELECT session_key, count(*) AS n FROM ib.reservations WHERE state = 'held' GROUP BY session_key
) AS held WHERE held.session_key = s.session_key"""

_SUMS = (
    *("status", "chain_head", "chain_n", "input_tokens", "output_tokens", "cached_tokens"),
    *("reasoning_tokens", "charged_tokens", "held", "in_doubt", "held_nano_usd", "held_billed"),
    *("cost_nano_usd", "calls", "turns", "messages", "events", "cells", "checks", "scores", "priced_calls"),
    *("unpriced_calls", "last_turn", "token_budget"),
)


def take(conn: Db, source: LedgerSource, say: Callable[[str], None] = lambda line: None) -> Moved:
    """Take all of *source* into the ledger of *conn* (autocommit); see `LedgerTarget.take`."""
    if not _one(conn, "SELECT pg_try_advisory_lock(%s)", [_LOCK]):
        raise StoreError("somebody else moves a ledger into this one right now; wait until they are done")
    try:
        keys = _Keys(source.rest())
        marks = _begin(conn, source, keys.names)
        _refuse_running(source)
        fitting = Fitting.of(conn, keys)
        for piece in source.history(marks):
            _bring(conn, fitting, piece)
            say(f"{piece.table}: up to row {_last(piece):,}")
        with source.state() as now:
            _finish(conn, now)
            return _compared(conn, now)
    finally:
        conn.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


class _Keys:
    """Each session's key here, by its key there; `names` are the sessions' ids."""

    def __init__(self, rest: Iterable[LedgerRows]) -> None:
        self._known: dict[int, int] = {0: 0}
        self.names: set[str] = set()
        for piece in rest:
            if piece.table == "sessions":
                at, of = piece.columns.index("session_key"), piece.columns.index("session_id")
                self._known |= {row[at]: session_key(row[of]) for row in piece.rows}
                self.names |= {row[of] for row in piece.rows}

    def __getitem__(self, theirs: int) -> int:
        return self._known.get(theirs, theirs)


def _begin(conn: Db, source: LedgerSource, names: set[str]) -> dict[str, int]:
    """Return how far each table has come. `StoreError` unless this ledger is empty, or *source*'s so far."""
    with conn.transaction():
        known = conn.execute("SELECT source_id, place FROM ib.moving").fetchone()
        marks = {name: int(seq) for name, seq in conn.execute("SELECT name, seq FROM ib.moved").fetchall()}
        if known is None:
            _refuse_used(conn)
            conn.execute(
                "INSERT INTO ib.moving (source_id, place, began_at) VALUES (%s, %s, %s)",
                [source.ledger_id, source.place, time.time()],
            )
        elif known[0] != source.ledger_id:
            raise StoreError(
                f"this ledger was moved here from {known[1]}, which is another one than {source.place}; move "
                "that one into a database of its own"
            )
        else:
            _refuse_gone_on(conn, marks, source, names)
    return marks


def _refuse_used(conn: Db) -> None:
    for name in ("sessions", "people", "challenges", *HISTORY[:-1]):
        if _one(conn, f"SELECT EXISTS (SELECT FROM ib.{name})"):  # noqa: S608 (our own names)
            raise StoreError(
                f"this ledger has {name} of its own already; move the other one into an empty database "
                "(ib store init makes a ledger in it)"
            )


def _refuse_gone_on(conn: Db, marks: Mapping[str, int], source: LedgerSource, names: set[str]) -> None:
    """Refuse a ledger that was used after it was moved: its sums would be written over."""
    for name in HISTORY:
        ours = f"SELECT EXISTS (SELECT FROM ib.{name} WHERE seq > %s)"  # noqa: S608 (our own names)
        if name != "challenges" and _one(conn, ours, [marks.get(name, 0)]):
            raise StoreError(
                f"this ledger has gone on since {source.place} was moved here: it has {name} of its own. "
                "What came to the other one meanwhile stays there"
            )
    here = conn.execute("SELECT session_id FROM ib.sessions").fetchall()
    ours_only = [given(name) for (name,) in here if given(name) not in names]
    if ours_only:
        raise StoreError(
            f"this ledger has gone on since {source.place} was moved here: session {ours_only[0]} is its own"
        )


def _refuse_running(source: LedgerSource) -> None:
    running = source.running()
    if running:
        raise StoreError(
            f"{running} call{'s run' if running > 1 else ' runs'} on {source.place}: what they cost would be "
            "settled there and not here. End them (and the hosts and kernels that use it), then move it"
        )


def _bring(conn: Db, fitting: Fitting, piece: LedgerRows) -> None:
    """Insert a piece and note how far its table has come, in one transaction."""
    with conn.transaction():
        fitting.insert(conn, piece)
        conn.execute(
            "INSERT INTO ib.moved VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
            [piece.table, _last(piece)],
        )


def _finish(conn: Db, source: LedgerSource) -> None:
    """Bring what came meanwhile and all that changes, at one moment of the source, in one transaction."""
    keys = _Keys(source.rest())
    fitting = Fitting.of(conn, keys)
    with conn.transaction():
        marks = {name: int(seq) for name, seq in conn.execute("SELECT name, seq FROM ib.moved").fetchall()}
        _refuse_running(source)
        for piece in source.history(marks):
            _bring(conn, fitting, piece)
        for name in STATE:
            kept = " WHERE name <> 'usage'" if name == "secrets" else ""
            conn.execute(f"DELETE FROM ib.{name}{kept}")  # noqa: S608 (our own names)
        for name in HISTORY:  # rows of lost ledgers, which an earlier try had brought in its last step
            conn.execute(f"DELETE FROM ib.{name} WHERE seq < 0")  # noqa: S608
        for piece in source.rest():
            fitting.insert(conn, piece, earlier=piece.table in HISTORY)
        conn.execute(_RUNNING)
        for name in HISTORY:
            place = f"pg_get_serial_sequence('ib.{name}', 'seq')"
            most = f"SELECT setval({place}, greatest(max(seq), 1), max(seq) IS NOT NULL) FROM ib.{name}"  # noqa: S608
            conn.execute(most)
        conn.execute("UPDATE ib.moving SET finished_at = %s, place = %s", [time.time(), source.place])


def _compared(conn: Db, source: LedgerSource) -> Moved:
    """Compare every session's sums and head with the source's."""
    conn.execute("ANALYZE")
    differences = []
    names = ", ".join(_SUMS)
    ours = {
        given(row[0]): dict(zip(_SUMS, row[1:], strict=True))
        for row in conn.execute(f"SELECT session_id, {names} FROM ib.sessions")  # noqa: S608
    }
    theirs = source.totals()
    for name, sums in theirs.items():
        mine = ours.get(name)
        if mine is None:
            differences.append(f"session {name}: it is not here")
            continue
        differences += [
            f"session {name}: {key} is {mine[key]} here and {value} there"
            for key, value in sums.items()
            if key in mine and _plain(mine[key]) != _plain(value)
        ]
    rows = {name: int(_one(conn, f"SELECT count(*) FROM ib.{name}")) for name in (*HISTORY, *STATE)}  # noqa: S608
    apart = int(_one(conn, "SELECT count(*) FROM ib.quarantine"))
    return Moved(rows, apart, len(theirs), (*differences, *quarantine.listed(conn)))


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, (memoryview, bytes)) else value


def _last(piece: LedgerRows) -> int:
    return int(piece.rows[-1][piece.columns.index("seq")])


def _one(conn: Db, sql: str, values: Sequence[Any] = ()) -> Any:
    row = conn.execute(sql, values).fetchone()
    return row[0] if row else None
