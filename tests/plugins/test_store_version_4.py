"""A ledger of version 3 is brought forward: charges, a host's tables, evidence, the first link of a chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import duckdb
import pytest
from older_ledger import read_older, write_older

from ib_duckdb.store import DuckDBStore
from ib_kernel.values import CallEnd, Cell, NewSession, Status

OLDER = read_older("version_3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the ledger that the code of version 3 wrote: both files."""
    return write_older(OLDER, tmp_path / "data")


@pytest.fixture
def store(folder: Path) -> Iterator[DuckDBStore]:
    """The ledger, opened by today's code at the moment it was left."""
    store = DuckDBStore(folder, clock=lambda: OLDER["now"], background=False)
    yield store
    assert [line for line in store.check() if "quarantine" not in line] == []
    store.close()


def test_nothing_is_lost_and_charged_is_what_was_billed(store: DuckDBStore) -> None:
    """Every call, message and event is there, hot or moved, with the figures it had."""
    store.flush()
    billed = store.sql("SELECT count(*), sum(total_tokens), sum(charged_tokens) FROM calls").rows
    counted, total, charged = billed[0]
    assert total == charged == sum(store.totals(name).billed for name in ("old", "both", "plain"))
    assert counted == 12  # one of them is in doubt
    for name in ("old", "both", "plain"):
        totals = store.totals(name)
        assert totals.charged_tokens == totals.billed > 0
        assert (store.session(name).charge, totals.billed_ceiling) == ("billed", None)
    texts = [m.content for m in store.history("old")]
    assert texts == ["o1", "re o1", "o2 — 𝔘nicode\n\ttab", "re o2 — 𝔘nicode\n\ttab"]


def test_limits_at_the_start_are_those_that_were_opened_with(store: DuckDBStore) -> None:
    """Where the event that says so is still there; else those of today."""
    plain, both = store.session("plain"), store.session("both")
    assert plain.token_budget == 100_500
    assert plain.token_budget_at_start in (100_000, 100_500)
    assert both.token_budget_at_start == 100_000


def test_each_chain_begins_with_one_link(store: DuckDBStore) -> None:
    """An event that holds the session's sums as they were, and how far rows have no link."""
    for name in ("old", "both", "plain"):
        begun = [e for e in store.events(name) if e.kind == "chain_began"]
        assert len(begun) == 1
        totals = store.totals(name)
        assert begun[0].detail["input_tokens"] == totals.input_tokens
        assert begun[0].detail["until"].keys() == {"calls", "messages", "events"}
    store.flush()
    rows = store.sql("SELECT count(*) FROM events WHERE (link IS NULL) = (kind = 'chain_began')").rows
    assert rows == [(0,)]


def test_the_older_ledger_takes_what_is_new(store: DuckDBStore) -> None:
    """A host's tables and evidence are there."""
    assert store.add_person("Grace", "coordinator").name == "Grace"
    assert store.add_cell(Cell("plain", "x")).n == 1
    assert store.set_ceiling(total_nano_usd=10**9).held == 14_000
    assert store.session("both").status == Status.COMPLETED


def test_a_backup_of_both_files_is_made(store: DuckDBStore, folder: Path) -> None:
    """As they were, before anything is changed."""
    store.flush()
    assert (folder / "usage.version-3.duckdb").exists()
    kept = apsw.Connection(str(folder / "hot.version-3.sqlite3"))
    assert kept.execute("SELECT version FROM ledger").fetchall() == [(3,)]
    kept.close()


def test_a_broken_step_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that fails half way leaves the older version, and the next try succeeds."""
    from ib_duckdb import version_4

    def broken(*_: object) -> None:
        raise RuntimeError("half way")

    with monkeypatch.context() as patched:
        patched.setattr(version_4, "begin", broken)
        with pytest.raises(RuntimeError):
            DuckDBStore(folder, background=False)
    db = apsw.Connection(str(folder / "hot.sqlite3"))
    assert db.execute("SELECT version FROM ledger").fetchall() == [(3,)]
    assert db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'people'").fetchall() == []
    db.close()
    store = DuckDBStore(folder, clock=lambda: OLDER["now"], background=False)
    assert store.events("old")[-1].kind == "chain_began"
    store.close()


def test_both_ways_to_the_schema_agree(store: DuckDBStore, folder: Path, tmp_path: Path) -> None:
    """A ledger that was brought forward has the same tables and columns as a new one."""
    store.flush()
    new = DuckDBStore(tmp_path / "new", background=False)
    info = "SELECT name, type, \"notnull\" FROM pragma_table_info('{}') ORDER BY name"
    shapes = []
    for place in (folder, tmp_path / "new"):
        db = apsw.Connection(str(place / "hot.sqlite3"), flags=apsw.SQLITE_OPEN_READONLY)
        tables = [n for (n,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")]
        shapes.append({table: db.execute(info.format(table)).fetchall() for table in tables})
        db.close()
    assert shapes[0] == shapes[1]
    new.open_session(NewSession("s", "Ada", 1, "m"))
    new.flush()
    columns = "SELECT table_name, column_name, data_type FROM information_schema.columns ORDER BY ALL"
    found = []
    for place in (folder, tmp_path / "new"):
        with duckdb.connect(str(place / "usage.duckdb"), read_only=True) as record:
            found.append(record.execute(columns).fetchall())
    assert found[0] == found[1]
    new.close()


def test_what_was_held_and_in_doubt_can_still_end(store: DuckDBStore) -> None:
    """A reservation of the older code ends as it would have, in charged and billed tokens."""
    assert store.totals("plain").held_billed == 400
    doubtful = next(r for r in store.reservations("plain") if r.in_doubt)
    assert doubtful.billed_tokens == 200
    assert store.resolve(doubtful.reservation_id, CallEnd(3, 4), who="Grace")
    assert store.totals("plain").held_billed == 200
