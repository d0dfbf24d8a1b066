"""A ledger of version 4 is brought forward: each call says what its session had been charged by then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from older_ledger import read_older, write_older

from ib_duckdb import audit, moving
from ib_duckdb.store import DuckDBStore
from ib_kernel.values import CallEnd

OLDER = read_older("version_4")
NAMES = ("old", "both", "new", "plain")

OVER_ALL = """
SELECT session_id, turn, coalesce(sum(charged_tokens) FILTER (status = 'settled') OVER (
    PARTITION BY session_key, session_id ORDER BY seq
), 0), used
FROM calls WHERE status <> 'in_doubt' ORDER BY session_id, seq"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the ledger that the code of version 4 wrote: both files."""
    return write_older(OLDER, tmp_path / "data")


def opened(folder: Path) -> DuckDBStore:
    """Open it with today's code at the moment it was left."""
    return DuckDBStore(folder, clock=lambda: OLDER["now"], background=False)


@pytest.fixture
def store(folder: Path) -> Iterator[DuckDBStore]:
    """The ledger, opened by today's code; at the end it adds up."""
    store = opened(folder)
    yield store
    assert store.check() == []
    store.close()


def test_every_call_says_what_had_been_charged_by_then(store: DuckDBStore) -> None:
    """Those that only the record has, those in both files, hot ones, and what costs nothing."""
    store.flush()
    found = store.sql(OVER_ALL).rows
    assert len(found) == 16
    assert [summed for *_, summed, _ in found] == [used for *_, used in found]
    newest = dict(store.sql("SELECT session_id, max_by(used, seq) FROM calls GROUP BY 1").rows)
    assert newest == {name: store.totals(name).charged_tokens for name in NAMES}
    assert newest["new"] == 130 // 3 + 140 // 3


def test_new_calls_go_on_from_there(store: DuckDBStore) -> None:
    """Also beside calls that are in doubt, released, or charged for what is new only."""
    for name in ("plain", "new"):
        before = store.totals(name).charged_tokens
        store.charge(name, CallEnd(60, 3, charged_tokens=21))
        used = store.sql(f"SELECT used, left_tokens FROM burn_down WHERE session_id = '{name}'").rows[-1]
        charged = 21 if name == "new" else 63
        assert used == (before + charged, 100_000 - before - charged)


def test_calls_that_the_record_lost_are_still_counted(folder: Path) -> None:
    """It was rebuilt from the last thirty days: what is left says what the session had been charged."""
    with duckdb.connect(str(folder / "usage.duckdb")) as record:
        record.execute("DELETE FROM calls WHERE session_id = 'both' AND seq <= 6")
    store = opened(folder)
    store.flush()
    first = "SELECT min(used) FROM calls WHERE session_id = 'both' AND status = 'settled'"
    assert store.sql(first).rows == [(100 + 110 + 120 + 130,)]
    (line,) = store.check()
    assert "both: 3 calls older than 30 days are no longer in usage.duckdb" in line
    store.close()


@given(st.dictionaries(st.integers(-5, 40), st.integers(0, 9)), st.integers(1, 12))
def test_each_session_is_in_one_piece(counts: dict[int, int], size: int) -> None:
    """The conditions of `audit` part all sessions, known or not, so that few pieces are much too large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "PIECE", size)
        pieces = audit._pieces(list(counts.items()))
    with duckdb.connect(":memory:") as db:
        db.execute("CREATE TABLE t AS SELECT range AS session_key FROM range(-9, 45)")
        parts = [
            [key for (key,) in db.execute(f"SELECT session_key FROM t WHERE {piece}").fetchall()]
            for piece in pieces
        ]
    assert sorted(key for part in parts for key in part) == list(range(-9, 45))
    assert all(sum(counts.get(key, 0) for key in part[:-1]) < size + 9 for part in parts)


@pytest.mark.parametrize("piece", [1, audit.PIECE])
@pytest.mark.parametrize("where", ["hot", "record"])
def test_a_wrong_figure_is_found(
    folder: Path, where: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor names the session, whichever file says it, and however few calls it looks at together."""
    monkeypatch.setattr(audit, "PIECE", piece)
    store = opened(folder)
    store.flush()
    store.close()
    wrong = "UPDATE calls SET used = used + 1 WHERE seq = (SELECT min(seq) FROM calls WHERE used > 0)"
    if where == "hot":
        hot = apsw.Connection(str(folder / "hot.sqlite3"))
        hot.execute(wrong)
        hot.close()
    else:
        with duckdb.connect(str(folder / "usage.duckdb")) as record:
            record.execute(wrong)
    again = opened(folder)
    assert [line for line in again.check() if "what it had been charged by then" in line]
    again.close()


@pytest.mark.parametrize("piece", [1, audit.PIECE])
def test_rows_that_are_there_twice_are_counted(
    folder: Path, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whichever sessions they are."""
    monkeypatch.setattr(audit, "PIECE", piece)
    store = opened(folder)
    store.flush()
    store.close()
    with duckdb.connect(str(folder / "usage.duckdb")) as record:
        record.execute("INSERT INTO calls FROM calls WHERE seq IN (2, 3, (SELECT max(seq) FROM calls))")
    again = opened(folder)
    assert again.check()[0] == "3 rows of calls are in the record twice"
    again.close()


def test_a_program_that_has_it_open_may_go_on(store: DuckDBStore, folder: Path) -> None:
    """Of version 4, it writes calls without the figure; it is found when they are moved."""
    store.charge("plain", CallEnd(50, 5))
    store.charge("plain", CallEnd(60, 5))
    other = apsw.Connection(str(folder / "hot.sqlite3"))
    other.execute("UPDATE calls SET used = NULL WHERE seq > (SELECT max(seq) - 2 FROM calls)")
    other.close()
    store.flush()
    total = store.totals("plain").charged_tokens
    newest = "SELECT used FROM calls WHERE session_id = 'plain' AND used > 0 ORDER BY seq DESC LIMIT 2"
    assert store.sql(newest).rows == [(total,), (total - 65,)]
    assert store.verify() == []
    with moving.opened(folder) as source:  # and before the ledger moves to another place
        calls = [piece for piece in source.history({}) if piece.table == "calls"]
    at = calls[0].columns.index("used")
    assert [row[at] for row in calls[-1].rows[-2:]] == [total - 65, total]


def test_both_ways_to_the_schema_agree(store: DuckDBStore, folder: Path, tmp_path: Path) -> None:
    """A ledger that was brought forward has the same columns as a new one."""
    store.flush()
    new = DuckDBStore(tmp_path / "new", background=False)
    new.flush()
    new.close()
    shapes = []
    for place in (folder, tmp_path / "new"):
        db = apsw.Connection(str(place / "hot.sqlite3"), flags=apsw.SQLITE_OPEN_READONLY)
        shapes.append(db.execute("SELECT name, type FROM pragma_table_info('calls') ORDER BY 1").fetchall())
        db.close()
    assert shapes[0] == shapes[1]
