"""An embedded ledger is read to be moved with all of its rows; other ledgers become files."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ib_duckdb.archive import DuckDBFormat
from ib_duckdb.prune import KEEP_S
from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import StoreError
from ib_kernel.testing._store_base import Clock
from ib_kernel.testing._views_planted import NOON, plant
from ib_kernel.values import CallEnd, LedgerRows, LedgerSource, NewSession, Status
from ib_kernel.values.chain import microseconds

TABLES = ("calls", "messages", "events", "cells", "checks", "scores", "challenges")


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at the end of what was planted."""
    return Clock(NOON)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[DuckDBStore]:
    """A ledger with the planted interview."""
    store = DuckDBStore(tmp_path / "ledger", clock=clock, background=False)
    plant(store, clock)
    yield store
    store.close()


def read(source: LedgerSource, after: dict[str, int] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return all rows by table, as dictionaries."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for piece in (*source.history(after or {}), *source.rest()):
        found[piece.table] += [dict(zip(piece.columns, row, strict=True)) for row in piece.rows]
    return found


def moved(store: DuckDBStore, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Close the ledger and read all of it as whoever moves it does."""
    store.close()
    with DuckDBFormat().source(folder) as source:
        return read(source)


def test_every_row_is_read_once(store: DuckDBStore, tmp_path: Path) -> None:
    """Also those that were moved to the record: the hot ledger still has them."""
    counts = {name: store.sql(f"SELECT count(*) FROM {name}").rows[0][0] for name in TABLES}
    store.flush()
    found = moved(store, tmp_path / "ledger")
    assert {name: len(found[name]) for name in TABLES} == counts | {"calls": counts["calls"] - 1}
    assert len(found["reservations"]) == 1  # the call in doubt, which SQL shows among calls
    assert {row["session_id"] for row in found["sessions"]} == {"ada", "ben"}
    assert all(row["changed_at"] for row in found["sessions"])


def test_rows_that_only_the_record_has_come_as_they_were(
    store: DuckDBStore, clock: Clock, tmp_path: Path
) -> None:
    """What is older than 30 days is read from the record, value by value as the hot ledger had it."""
    before = read_open(store)
    clock.step(KEEP_S + 1)
    store.flush()
    kept = "SELECT count(*) FROM calls"
    with store._hot.read() as db:
        assert next(iter(db.execute(kept)))[0] == 1  # the newest stays, so that no number is given twice
    after = moved(store, tmp_path / "ledger")
    for name in TABLES:
        ours, theirs = before[name], after[name]
        assert [row["seq"] for row in ours] == [row["seq"] for row in theirs]
        assert [in_microseconds(row) for row in ours] == [in_microseconds(row) for row in theirs]


def in_microseconds(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its moments as they stand in the chain, without what it was settled by."""
    kept = {name: value for name, value in row.items() if name not in ("rid", "owner_hash")}
    return {n: microseconds(v) if n.endswith("_at") else v for n, v in kept.items()}


def read_open(store: DuckDBStore) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of a ledger that goes on."""
    from ib_duckdb.moving import Embedded, _record

    with _record(store) as record, store._hot.snapshot() as hot:
        return read(Embedded(store, record, hot, Path()))


def test_a_session_of_a_lost_hot_ledger_comes_along(store: DuckDBStore, clock: Clock, tmp_path: Path) -> None:
    """The record keeps what was moved when the hot ledger was moved away: its sums are built from rows."""
    store.close()
    for file in (tmp_path / "ledger").glob("hot.sqlite3*"):
        file.unlink()
    new = DuckDBStore(tmp_path / "ledger", clock=clock, background=False)
    new.open_session(NewSession("cy", "Cy", 1_000, "m"))
    new.set_status("cy", Status.ACTIVE)
    new.charge("cy", CallEnd(1, 2))
    found = moved(new, tmp_path / "ledger")
    sessions = {row["session_id"]: row for row in found["sessions"]}
    assert set(sessions) == {"ada", "ben", "cy"}
    ada = sessions["ada"]
    sums = {"input_tokens": 1600, "charged_tokens": 2000, "calls": 4, "cost_nano_usd": 100_000}
    assert {name: ada[name] for name in sums} == sums
    assert len([row for row in found["calls"] if row["session_key"] == ada["session_key"]]) == 4
    assert len(found["messages"]) == 9


def test_only_what_is_new_is_read_again(store: DuckDBStore, tmp_path: Path) -> None:
    """Whoever knows rows up to a number gets those above it."""
    store.close()
    with DuckDBFormat().source(tmp_path / "ledger") as source:
        whole = read(source)
        marks = {name: whole[name][-1]["seq"] for name in TABLES}
        marks["messages"] -= 2
        again = read(source, marks)
    assert {name: len(again[name]) for name in TABLES} == dict.fromkeys(TABLES, 0) | {"messages": 2}


def test_a_folder_without_a_ledger_is_one_line(tmp_path: Path) -> None:
    """Nothing is made there."""
    with pytest.raises(StoreError, match="has no ledger"), DuckDBFormat().source(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def usage_rows(store: DuckDBStore) -> Iterator[LedgerRows]:
    """Return the documented tables as another store would hand them out."""
    for name in (*TABLES, "sessions"):
        found = store.sql(f"SELECT * FROM {name}")
        rows = found.rows
        yield LedgerRows(name, found.columns, rows[: len(rows) // 2])
        yield LedgerRows(name, found.columns, rows[len(rows) // 2 :])


def test_a_file_answers_every_view_as_the_ledger_does(store: DuckDBStore, tmp_path: Path) -> None:
    """Tables and views of a file made of rows are those of the ledger, types included."""
    import duckdb

    from ib_duckdb.views import definitions

    target = tmp_path / "usage.duckdb"
    DuckDBFormat().write(target, usage_rows(store))
    assert target.stat().st_mode & 0o777 == 0o600
    with duckdb.connect(str(target), read_only=True) as db:
        for name in (*TABLES, *definitions()):
            ours = store.sql(f"SELECT * FROM {name}")
            db.execute(f"SELECT * FROM {name}")
            assert tuple(column[0] for column in db.description or ()) == ours.columns
            assert sorted(db.fetchall(), key=repr) == sorted(ours.rows, key=repr), name
        money = db.execute("SELECT cost_usd, started_at FROM calls WHERE cost_usd > 0").fetchone()
    assert money is not None
    assert money[0] == Decimal("0.0001")
    assert isinstance(money[1], datetime.datetime)


def test_a_file_is_never_written_over(store: DuckDBStore, tmp_path: Path) -> None:
    """What is there stays, and nothing half-made is left where writing fails."""
    target = tmp_path / "mine.duckdb"
    target.write_text("mine")
    with pytest.raises(StoreError, match="is there already"):
        DuckDBFormat().write(target, usage_rows(store))
    assert target.read_text() == "mine"
    with pytest.raises(StoreError, match="cannot be written"):
        DuckDBFormat().write(tmp_path / "nowhere" / "a.duckdb", usage_rows(store))

    def broken() -> Iterator[LedgerRows]:
        yield from usage_rows(store)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DuckDBFormat().write(tmp_path / "cut.duckdb", broken())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger", "mine.duckdb"]


def test_a_connection_keeps_no_file(store: DuckDBStore) -> None:
    """It answers, changes nothing, and its file has no name any more."""
    import duckdb

    with DuckDBFormat().connect(usage_rows(store)) as db:
        assert db.execute("SELECT sum(total_tokens) FROM session_usage").fetchall() == [(2000,)]
        with pytest.raises(duckdb.Error):
            db.execute("DELETE FROM calls")
        files = db.execute("SELECT path FROM duckdb_databases() WHERE NOT internal").fetchall()
        assert not [path for (path,) in files if path and Path(path).exists()]
