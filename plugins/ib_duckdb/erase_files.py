"""Erasing a person from all files of the ledger: what is in use, what was set aside, and our own backups.

First the hot ledger, in one transaction; then every file that has, or had, more of the same rows is written
anew. The hot ledger notes that this still has to be done, so that it is gone on with after any end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import apsw

from ib_duckdb import erase_record, erase_rows, foreign, record_file, snapshot
from ib_duckdb.erase_copies import erase_copy, in_use, set_aside, told
from ib_duckdb.faults import Damaged, InUse, held_here
from ib_duckdb.record import WAIT_S, Record
from ib_duckdb.undo_log import UndoLog
from ib_kernel.errors import SessionInactive, StoreBusy, StoreError, UnknownSession
from ib_kernel.values import Status, erasure
from ib_kernel.values.erasure import Erasure

if TYPE_CHECKING:
    import duckdb

    from ib_duckdb.hot import Hot

ELSEWHERE = (
    "copies of the ledger's folder, snapshots and backups of the disk",
    "what ib backup has written, but for the folders that --backup named",
    "blocks of the file system that are free and were not used again",
)
"""What an erasure here cannot reach."""

_ENDED = (Status.COMPLETED, Status.CANCELLED)


def erase(
    hot: Hot, record: Record, session_ids: Sequence[str], doubted: Collection[str], who: str, now: float
) -> Erasure:
    """Erase the person from some sessions that have ended.

    Args:
        hot: The hot ledger.
        record: The record.
        session_ids: The sessions; a row of one may be in either file, or in both.
        doubted: Those whose chain differs already: nothing vouches for their rows.
        who: Who erases.
        now: When.
    """
    with _alone(record):
        _bring(record)
    with _alone(record), _open(record) as db:
        keys = _keys(hot, db, session_ids)
        found = erase_record.sessions_of(db, keys.values()) if db else []
        done = _erase_hot(hot, db, keys, found, doubted, who, now)
        return _finish(hot, record, db, list(keys.values()), done)


def resume(hot: Hot, record: Record) -> Erasure | None:
    """Finish the erasures that were begun; None where there is none."""
    if not unfinished(hot):
        return None
    with _alone(record), _open(record) as db:
        keys = unfinished(hot)  # another process may have done it meanwhile
        return _finish(hot, record, db, keys, erase_rows.Erased()) if keys else None


def unfinished(hot: Hot) -> list[int]:
    """Return the sessions whose erasure was begun and not finished."""
    with hot.read() as db:
        return [key for (key,) in db.execute("SELECT session_key FROM erasing ORDER BY 1")]


def _bring(record: Record) -> None:
    """Move what is final, and bring the record forward where it is an older version's."""
    with told(record.path):
        try:
            record.bring()
        except Damaged as damage:
            was_put_right = record.recover(str(damage))
            record.bring()
            if was_put_right:
                return
            raise StoreBusy(
                f"{record.path.name} was damaged and is set aside; it may still have the person's texts, so "
                "that it will be removed when you run the same again: copy it elsewhere first if you need it"
            ) from None


def _erase_hot(
    hot: Hot,
    record: duckdb.DuckDBPyConnection | None,
    keys: dict[str, int],
    found: list[dict[str, Any]],
    doubted: Collection[str],
    who: str,
    now: float,
) -> erase_rows.Erased:
    with hot.write() as db:
        db.execute("PRAGMA secure_delete = ON").fetchall()
        sessions = erase_rows.sessions_of(db, keys.values())
        _require_ended(db, sessions)
        names = erase_rows.names_of([*sessions.values(), *found])
        done = erase_rows.erase_rows(db, sessions, names)
        if record is not None:
            erase_record.seal_rows(record, keys.values(), names, done)
        for session_id in doubted:
            done.seals.pop(keys[session_id], None)
        erase_rows.erase_sessions(db, sessions, names, erasure.new_pseudonym())
        after = erase_rows.sessions_of(db, sessions)
        renamed = [key for key in after if after[key]["session_id"] != sessions[key]["session_id"]]
        erase_rows.record_erasure(db, sessions, done, who, now, renamed)
        db.executemany("INSERT OR IGNORE INTO erasing VALUES (?)", [(key,) for key in keys.values()])
    return done


def _require_ended(db: apsw.Connection, sessions: dict[int, dict[str, Any]]) -> None:
    for key, row in sessions.items():
        sql = "SELECT status FROM sessions WHERE session_key = ?"
        status = next(status for (status,) in db.execute(sql, (key,)))
        if status not in _ENDED:
            raise SessionInactive(f"session {row['session_id']} is {status}; end it first", status)
        held = "SELECT 1 FROM reservations WHERE session_key = ? AND state = 'held'"
        if db.execute(held, (key,)).fetchone():
            raise SessionInactive(
                f"a call of session {row['session_id']} has not ended; try again when its reply has", status
            )


def _finish(
    hot: Hot,
    record: Record,
    db: duckdb.DuckDBPyConnection | None,
    keys: list[int],
    done: erase_rows.Erased,
) -> Erasure:
    """Write every file anew that has, or had, more of the sessions than the hot ledger has now."""
    folder = record.path.parent
    with hot.read() as rows:
        sessions = erase_rows.sessions_of(rows, keys)
    pseudonym = next((str(row["candidate"]) for row in sessions.values()), erasure.new_pseudonym())
    names = {key: str(row["session_id"]) for key, row in sessions.items()}
    rewritten = [hot.path.name]
    if db is not None:
        erase_record.erase(db, keys, dict.fromkeys(keys, pseudonym) | _pseudonyms(sessions), names)
        erase_record.copy_clean(db, record.path)
        db.close()
        erase_record.take_place(record.path)
        rewritten.append(record.path.name)
    removed = snapshot.remove_left_behind(folder)
    for path in set_aside(folder):
        try:
            erase_copy(path, keys, pseudonym)
            rewritten.append(path.name)
        except (Damaged, apsw.CorruptError, apsw.NotADBError):
            erase_record.remove(path)
            removed.append(path.name)
    if not hot.write_anew():
        raise StoreBusy(
            f"another process has read {hot.path.name} all the time: its texts are erased, but not yet from "
            "free pages and its log; close what reads it, and run the same again"
        )
    with hot.write() as rows:
        rows.executemany("DELETE FROM erasing WHERE session_key = ?", [(key,) for key in keys])
    with suppress(StoreError, InUse, Damaged):  # what was recorded about it; otherwise the mover does it
        record.bring()
    ids = tuple(str(row["session_id"]) for row in sessions.values())
    return Erasure(ids, dict(done.rows), tuple(rewritten), tuple(removed), ELSEWHERE)


def _pseudonyms(sessions: dict[int, dict[str, Any]]) -> dict[int, str]:
    return {key: str(row["candidate"]) for key, row in sessions.items()}


def _keys(hot: Hot, record: duckdb.DuckDBPyConnection | None, session_ids: Sequence[str]) -> dict[str, int]:
    """Return the keys of sessions, also of those that only the record has."""
    keys: dict[str, int] = {}
    with hot.read() as db:
        for session_id in session_ids:
            sql = "SELECT session_key FROM sessions WHERE session_id = ?"
            for (key,) in db.execute(sql, (session_id,)):
                keys[session_id] = int(key)
    for session_id in session_ids:
        if session_id in keys:
            continue
        sql = "SELECT session_key FROM internal.session_rows WHERE session_id = ? LIMIT 1"
        row = record.execute(sql, [session_id]).fetchone() if record else None
        if row is None:
            raise UnknownSession(f"no session {session_id!r} in this ledger; see %interview sessions")
        keys[session_id] = int(row[0])
    return keys


@contextmanager
def _alone(record: Record) -> Iterator[None]:
    """Be the only one of our own who uses the record; calls go on."""
    with record.exclusive(WAIT_S) as free:
        if not free:
            raise _busy(record)
        foreign.let_go(record.path)
        if held_here(record.path):
            raise in_use(record.path, "this very process")
        yield


@contextmanager
def _open(record: Record) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """Yield the record open for writing, which nobody else then has; None where there is none yet."""
    if not record.path.exists():
        yield None
        return
    with told(record.path), record_file.opened(record.path, UndoLog(record.path)) as db:
        yield db


def _busy(record: Record) -> StoreBusy:
    return StoreBusy(
        f"{record.path.name} is in use, and has to be written anew; close what has it open (a query, another "
        "tool), and run the same again"
    )
