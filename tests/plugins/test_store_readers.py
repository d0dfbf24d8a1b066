"""SQL for one person: what is hidden cannot be read, guessed from an error, or counted by a plan."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reader_cases import ANN, ATTACKS, BEN, CARA, OWNER, PLANTED, plant

from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import QueryError
from ib_kernel.values import LedgerEvent, Reader, Score


@pytest.fixture(params=[False, True], ids=["hot", "moved"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[DuckDBStore]:
    """A ledger of the test's own, before and after rows are moved."""
    yield from planted(tmp_path, request.param)


@pytest.fixture(params=[False, True], ids=["hot", "moved"], scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[DuckDBStore]:
    """The same for tests that only read."""
    yield from planted(tmp_path_factory.mktemp("kept"), request.param)


def planted(folder: Path, moved: bool) -> Iterator[DuckDBStore]:
    """Yield a ledger with what may not be seen by all."""
    store = DuckDBStore(folder, background=False)
    plant(store)
    if moved:
        store.flush()
    yield store
    store.close()


def rows(store: DuckDBStore, query: str, reader: Reader) -> list[Any]:
    """Return a reader's rows."""
    return list(store.sql(query, reader=reader).rows)


def test_a_rater_reads_levels_after_giving_their_own(store: DuckDBStore) -> None:
    """Others', the model's and what its looks found."""
    level = "SELECT rater, level FROM scores WHERE session_id = 'usual' ORDER BY seq"
    why = "SELECT detail ->> 'why' FROM events WHERE kind = 'judged'"
    assert rows(store, level, ANN) == []
    assert rows(store, why, ANN) == [(None,)]
    assert rows(store, level, BEN) == [("Ben", 3), ("judge", 2)]
    assert rows(store, why, BEN) == [(PLANTED,)]
    store.add_score(Score("usual", "races", "Ann", "person", level=0))
    assert rows(store, level, ANN) == [("Ben", 3), ("judge", 2), ("Ann", 0)]
    assert rows(store, "SELECT count(*) FROM scores WHERE session_id = 'locked'", ANN) == [(0,)]


def test_who_unfolds_a_session_reads_that_one(store: DuckDBStore) -> None:
    """And the words of its judge."""
    store.add_event(LedgerEvent("usual", "unfolded", 0.0, "Cara"))
    assert rows(store, "SELECT DISTINCT session_id FROM scores", CARA) == [("usual",)]
    assert rows(store, "SELECT content FROM messages", CARA) == [(PLANTED,)]
    assert rows(store, "SELECT detail ->> 'why' FROM events WHERE kind = 'judged'", CARA) == [(PLANTED,)]
    assert rows(store, "SELECT content FROM messages", BEN) == [(None,)]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_query_gets_at_a_hidden_level(kept: DuckDBStore, attack: str) -> None:
    """Neither as a row nor in the line of an error."""
    try:
        shown = repr(kept.sql(attack, reader=ANN).rows)
    except QueryError as error:
        shown = str(error)
        assert "\n" not in shown
    assert PLANTED not in shown


@pytest.mark.parametrize("how", ["EXPLAIN", "explain ANALYZE", "/* */ Explain (FORMAT json)"])
def test_a_plan_is_told_to_nobody_but_the_owner(kept: DuckDBStore, how: str) -> None:
    """It counts rows, those of somebody with more time among them."""
    query = f"{how} SELECT * FROM sessions WHERE session_key = 2"
    with pytest.raises(QueryError, match="EXPLAIN is for whoever owns"):
        kept.sql(query, reader=ANN)
    assert kept.sql(query).rows


def test_the_names_of_what_holds_more_are_others_each_time(store: DuckDBStore) -> None:
    """What one query finds out, the next cannot use."""
    listing = "SELECT table_schema FROM information_schema.tables WHERE table_schema LIKE 'hot%'"
    first = rows(store, listing, ANN)
    assert first
    assert not set(first) & set(rows(store, listing, ANN))
    with pytest.raises(QueryError):
        store.sql(f"SELECT * FROM {first[0][0]}.scores", reader=ANN)


def test_nothing_tells_who_was_given_more_time(store: DuckDBStore) -> None:
    """Limits, events and their form are those of any session; a coordinator reads the clock's."""
    limits = "SELECT time_limit_s, time_limit_at_start_s FROM sessions WHERE session_id = '{}'"
    usual, adapted = (rows(store, limits.format(name), ANN) for name in ("usual", "adapted"))
    assert usual == [(2_700.0, 2_700.0)]
    assert adapted == [(3_300.0, 2_700.0)]
    assert rows(store, limits.format("adapted"), CARA) == [(3_630.0, 2_970.0)]
    opened = """
        SELECT detail::VARCHAR, salt FROM events WHERE kind = 'opened' AND session_id IN ('usual', 'adapted')
    """
    shown = rows(store, opened, ANN)
    assert len(set(shown)) == 1
    assert shown[0][1] is None  # without it nobody can try what the row's commitment is of
    change = "SELECT detail ->> 'from', detail ->> 'to' FROM events WHERE kind = 'time_limit'"
    assert rows(store, change, ANN) == [("2700.0", "3300.0")]
    told = re.compile(
        r"(?<![\d.])(?:2970(?:\.0)?|3630(?:\.0)?|1\.10?|49\.5|60\.5)(?!\d)"
    )  # whole figures: moments have any digits
    for name in ("sessions", "events", "conditions", "timeline"):
        assert told.search(repr(rows(store, f"SELECT * FROM {name}", CARA))) is not None or name == "timeline"
        assert told.search(repr(rows(store, f"SELECT * FROM {name}", ANN))) is None


def test_an_owner_s_locked_sessions_keep_their_levels_and_notes(store: DuckDBStore) -> None:
    """Until the passphrase was given; in a copy for other tools as well."""
    levels = "SELECT DISTINCT session_id FROM scores ORDER BY session_id"
    notes = "SELECT session_id FROM events WHERE kind = 'note' AND detail IS NOT NULL ORDER BY session_id"
    assert rows(store, levels, OWNER) == [("usual",)]
    assert rows(store, notes, OWNER) == [("usual",)]
    opened = dataclasses.replace(OWNER, opened=frozenset({"locked"}))
    assert rows(store, levels, opened) == [("locked",), ("usual",)]
    assert rows(store, notes, opened) == [("locked",), ("usual",)]
    with store.connect(reader=OWNER) as copy:
        assert copy.execute(levels).fetchall() == [("usual",)]
        assert copy.execute(notes).fetchall() == [("usual",)]
    with store.connect(reader=opened) as copy:
        assert len(copy.execute(levels).fetchall()) == 2


def test_without_a_reader_everything_is_there(store: DuckDBStore) -> None:
    """The ledger's own tools see all rows."""
    assert len(store.sql("SELECT * FROM scores").rows) == 4
    assert store.verify() == []
