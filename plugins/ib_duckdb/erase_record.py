"""Erasing a person from a DuckDB file of the ledger: the rows first, then all of it into a new file.

A row that was changed leaves its older text in free blocks, so that the file is written anew and takes the
old one's place in one step. A process that is killed meanwhile leaves either file, whole, and perhaps a new
one without a place, which the next attempt removes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_duckdb.backups import sync
from ib_duckdb.columns import SESSION_ROWS, TABLES
from ib_duckdb.erase_rows import Erased, names_of
from ib_duckdb.proof import in_record, row_names
from ib_duckdb.undo_log import UndoLog
from ib_kernel.values import chain, erasure

if TYPE_CHECKING:
    import duckdb

_SESSION = (
    *("session_key", "session_id", "candidate", "external_id", "role", "level", "challenge", "persona"),
    *("client", "model", "prompt_version", "seq"),
)

_NULL_FOR_NOTHING = frozenset(
    (table.name, column.name) for table in TABLES for column in table.columns if "nullif" in column.source
)


def sessions_of(db: duckdb.DuckDBPyConnection, keys: Iterable[int]) -> list[dict[str, Any]]:
    """Return every version of the sessions' rows that the file has."""
    known = columns(db, SESSION_ROWS.schema, SESSION_ROWS.name)
    if not known:
        return []
    names = [*(name for name in _SESSION if name in known), "CAST(meta AS VARCHAR) AS meta"]
    where = "session_key IN (SELECT unnest(?::BIGINT[]))"
    sql = f"SELECT {', '.join(names)} FROM internal.session_rows WHERE {where}"  # noqa: S608 (our own names)
    return _dicts(db.execute(sql, [list(keys)]))


def rows_of(db: duckdb.DuckDBPyConnection, table: str, keys: Iterable[int]) -> list[dict[str, Any]]:
    """Return a table's rows of some sessions as the hot ledger would have them, times in microseconds."""
    known = columns(db, "main", table)
    names = [name for name in row_names(table) if name in known or name == "cost_nano_usd"]
    if not known:
        return []
    wanted = ", ".join(("session_key", *map(in_record, names)))
    where = "session_key IN (SELECT unnest(?::BIGINT[]))"
    sql = f"SELECT {wanted} FROM main.{table} WHERE {where}"  # noqa: S608 (our own names)
    return _dicts(db.execute(sql, [list(keys)]))


def seal_rows(db: duckdb.DuckDBPyConnection, keys: Iterable[int], names: erasure.Names, done: Erased) -> None:
    """Count and seal the rows that only the record has."""
    for table in chain.FIELDS:
        for row in rows_of(db, table, keys):
            if (table, row["seq"]) in done.seen:
                continue
            changed = erasure.erased_row(table, row, names)
            if changed:
                done.note(table, row["session_key"], row, changed, moved=True)


def erase(
    db: duckdb.DuckDBPyConnection,
    keys: Iterable[int],
    pseudonyms: Mapping[int, str],
    session_ids: Mapping[int, str],
) -> None:
    """Erase the person from every row of some sessions, in one transaction.

    Args:
        db: The file, open for writing.
        keys: The sessions.
        pseudonyms: What stands in place of the name, by session.
        session_ids: The sessions' ids from now on.
    """
    keys = list(keys)
    sessions = sessions_of(db, keys)
    names = names_of(sessions)
    db.execute("BEGIN")
    try:
        for table in chain.FIELDS:
            _update(db, "main", table, _erased_rows(db, table, keys, names), erasure.changeable(table))
        changed = []
        for row in sessions:
            new = erasure.erased_session(row, names, pseudonyms[row["session_key"]])
            new.pop("session_id", None)
            changed.append({**row, **new})
        _update(db, "internal", "session_rows", changed, (*_SESSION[2:-1], "meta"))
        if "keep_until" in columns(db, "internal", "session_rows"):
            where = "session_key IN (SELECT unnest(?::BIGINT[]))"
            db.execute(f"UPDATE internal.session_rows SET keep_until = NULL WHERE {where}", [keys])  # noqa: S608
        _rename(db, sessions, session_ids)
        db.execute("COMMIT")
    except BaseException:
        with suppress(Exception):
            db.execute("ROLLBACK")
        raise


def _erased_rows(
    db: duckdb.DuckDBPyConnection, table: str, keys: Sequence[int], names: erasure.Names
) -> list[dict[str, Any]]:
    rows = ((row, erasure.erased_row(table, row, names)) for row in rows_of(db, table, keys))
    return [{**row, **changed} for row, changed in rows if changed]


def _rename(
    db: duckdb.DuckDBPyConnection, sessions: Iterable[Mapping[str, Any]], session_ids: Mapping[int, str]
) -> None:
    for key, old in {(row["session_key"], row["session_id"]) for row in sessions}:
        new = session_ids.get(key, old)
        if new == old:
            continue
        for table in TABLES:
            if "session_id" in columns(db, table.schema, table.name):
                name = f"{table.schema}.{table.name}"
                db.execute(f"UPDATE {name} SET session_id = ? WHERE session_key = ?", [new, key])  # noqa: S608


def _update(
    db: duckdb.DuckDBPyConnection,
    schema: str,
    table: str,
    rows: Sequence[Mapping[str, Any]],
    changeable: Iterable[str],
) -> None:
    """Write what has changed of many rows in one statement."""
    known = columns(db, schema, table)
    names = [name for name in changeable if name in known]
    if not rows or not names:
        return
    lists, values = [], []
    for name, kind in (
        ("session_key", "BIGINT"),
        ("seq", "BIGINT"),
        *((name, known[name]) for name in names),
    ):
        bound = "VARCHAR" if kind == "JSON" else kind
        lists.append(f"unnest(?::{bound}[]) AS {name}")
        nothing = (table, name) in _NULL_FOR_NOTHING
        values.append([(row[name] or None) if nothing else row[name] for row in rows])
    sets = ", ".join(f"{name} = n.{name}" for name in names)
    db.execute(
        f"UPDATE {schema}.{table} AS t SET {sets} FROM (SELECT {', '.join(lists)}) AS n"  # noqa: S608 (ours)
        " WHERE t.session_key = n.session_key AND t.seq = n.seq",
        values,
    )


def columns(db: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, str]:
    """Return the columns that a table has in this version of the file, with their types."""
    sql = (
        "SELECT column_name, data_type FROM duckdb_columns()"
        " WHERE database_name = current_database() AND schema_name = ? AND table_name = ?"
    )
    return {str(name): str(kind) for name, kind in db.execute(sql, [schema, table]).fetchall()}


def write_anew(path: Path, work: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
    """Do *work* in the file at *path*, and put a copy without anything else in its place.

    What DuckDB raises about the file is the caller's to explain.
    """
    import duckdb

    with duckdb.connect(str(path)) as db:
        work(db)
        copy_clean(db, path)
    take_place(path)


def copy_clean(db: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Copy what the file at *path*, which *db* has open, has in it now, and nothing that it had before."""
    new = new_file(path)
    remove(new)
    db.execute("CHECKPOINT")
    name = db.execute("SELECT current_database()").fetchone()
    assert name is not None  # noqa: S101 (for the type checker)
    quoted = str(new).replace("'", "''")
    db.execute(f"ATTACH '{quoted}' AS clean_copy")
    db.execute(f'COPY FROM DATABASE "{name[0]}" TO clean_copy')
    db.execute("DETACH clean_copy")


def take_place(path: Path) -> None:
    """Put the clean copy in the place of the file at *path*, which nobody has open."""
    new = new_file(path)
    os.chmod(new, 0o600)
    sync(new)
    os.replace(new, path)
    log_of(path).unlink(missing_ok=True)
    UndoLog(path).forget()
    sync(path.parent)


def new_file(path: Path) -> Path:
    """Return where a file is written anew before it takes its place."""
    return path.with_name(f".{path.name}.erased")


def log_of(path: Path) -> Path:
    """Return where a DuckDB file's log is."""
    return path.with_name(f"{path.name}.wal")


def remove(path: Path) -> None:
    """Remove a DuckDB file and its log, if they are there."""
    for name in (path, log_of(path)):
        name.unlink(missing_ok=True)


def _dicts(found: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [name for name, *_ in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
