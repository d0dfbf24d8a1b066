"""Queries end: when they are interrupted, when their time, memory or rows are used up, and as one line."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_duckdb import foreign, kept, spare, statements
from ib_duckdb.limits import Limits, Running, _abandoned
from ib_duckdb.query import attach, reading
from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import QueryError, StoreBusy
from ib_kernel.values import CallEnd, LedgerEvent, NewSession, Status

ENDLESS = "SELECT count(*) FROM range(100000000) AS a, range(100000000) AS b"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the ledger lives."""
    return tmp_path_factory.mktemp("asked")


def one_call(folder: Path) -> DuckDBStore:
    """Make a ledger with one moved call."""
    store = DuckDBStore(folder, background=False)
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.set_status("s", Status.ACTIVE)
    store.charge("s", CallEnd(10, 5))
    store.flush()
    return store


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[DuckDBStore]:
    """A ledger with one moved call."""
    store = one_call(folder)
    yield store
    store.close()


def limited(folder: Path, **limits: float) -> DuckDBStore:
    """The same ledger with other limits."""
    return DuckDBStore(folder, background=False, limits=Limits(**limits))  # type: ignore[arg-type]


def one_line(store: DuckDBStore, query: str, match: str | None = None) -> None:
    """Ask; the answer must be one line, and the next question is answered."""
    with pytest.raises(QueryError, match=match) as caught:
        store.sql(query)
    assert "\n" not in str(caught.value)
    assert store.sql("SELECT count(*) FROM calls").rows == [(1,)]


def test_an_interrupt_ends_a_query_at_once(store: DuckDBStore) -> None:
    """The interrupt comes while DuckDB is at work, and nothing of it goes on."""
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    one_line(store, ENDLESS, "was stopped")
    timer.join()
    deadline = time.monotonic() + 30
    while any(thread.name == "ib-query" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("keeps", [False, True])
def test_a_query_that_cannot_be_stopped_is_left_behind(tmp_path: Path, keeps: bool) -> None:
    """The next one goes on beside it, with its share of the memory. (One function of DuckDB looks for no
    interrupt: `sha256` of a long text, for one.)"""
    begun, over, answers = threading.Event(), threading.Event(), []
    store = one_call(tmp_path)
    running = Running[int](Limits(), store._record.abandon_turn)

    def deaf(running: Running[int]) -> int:
        def ask(db: duckdb.DuckDBPyConnection) -> int:
            running.begin(db)
            begun.set()
            assert over.wait(60)
            return len(db.execute("FROM calls").fetchall())

        return reading(store._record, store._hot, time.time(), ask, "FROM calls", running.limits, keeps=keeps)

    thread = threading.Thread(target=lambda: answers.append(running.result(deaf)))
    thread.start()
    assert begun.wait(60)
    running._stop()
    assert _abandoned == {running}
    for _ in range(2):
        assert store.sql("SELECT count(*) FROM calls").rows == [(1,)]
    assert Running[int](Limits(memory=1_000)).limits.bytes == 500
    assert _abandoned == {running}, "the next query waited for it"
    over.set()
    thread.join(60)
    assert answers == [1]
    assert _abandoned == set()
    store.add_event(LedgerEvent("s", "note", time.time()))
    store.flush()
    assert store.sql("SELECT count(*) FROM events WHERE kind = 'note'").rows == [(1,)]
    assert store.check() == []
    store.close()


def test_a_child_may_end_although_its_parent_had_a_duckdb_in_reserve(store: DuckDBStore) -> None:
    """It is forgotten there, and so is the one that was kept: their threads are the parent's."""
    for _ in range(3):
        store.sql("SELECT 1")
        store.sql("SHOW TABLES")
    assert spare._making is not None
    assert spare._making.get() is not None
    assert kept._kept is not None
    pid = os.fork()
    if pid == 0:
        gc.collect()
        os._exit(spare._making is not None or kept._kept is not None)
    assert os.waitpid(pid, 0)[1] == 0
    assert store.sql("SELECT 1").rows == [(1,)]


def test_a_process_may_end_right_after_its_queries(folder: Path) -> None:
    """Also while a DuckDB is made for the next one."""
    code = (
        "import sys; from pathlib import Path\nfrom ib_duckdb import spare\n"
        "from ib_duckdb.store import DuckDBStore\n"
        "store = DuckDBStore(Path(sys.argv[1]), background=False)\n"
        "for _ in range(3): store.sql('SELECT 1'); store.sql('SHOW TABLES')\n"
        "assert not spare._making._thread.daemon"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_ledger_that_is_closed_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is closed and made beside queries is waited for, however long that takes."""
    made = spare.made

    def slowly(config: spare.Config) -> duckdb.DuckDBPyConnection:
        db = made(config)
        time.sleep(0.2)
        return db

    monkeypatch.setattr(spare, "made", slowly)
    before = set(threading.enumerate())
    store = DuckDBStore(tmp_path / "data", background=False)
    for _ in range(3):
        store.sql("SELECT 1")
        store.sql("SHOW TABLES")
    store.close()
    assert kept._kept is None
    ours = [one.name for one in set(threading.enumerate()) - before if one.name in ("ib-spare", "ib-close")]
    assert ours == []


@pytest.mark.parametrize("fails", [None, "its schema is too old"])
def test_the_record_is_closed_when_a_query_ends(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch, fails: str | None
) -> None:
    """At once and however it ends, while the rest is closed beside others: the mover may come next."""
    store.flush()

    def attached(*given: Any) -> str | None:
        found = attach(*given)
        if fails:
            raise StoreBusy(fails)
        return found

    monkeypatch.setattr("ib_duckdb.query.attach", attached)
    for query in 3 * ("SELECT count(*) FROM calls", "SELECT count(*) FROM calls, duckdb_settings()"):
        if fails:
            with pytest.raises(StoreBusy):
                store.sql(query)
        else:
            assert store.sql(query).rows
        assert foreign.handles(store._record.path) == []


def test_only_so_many_are_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them has memory and a core."""
    monkeypatch.setattr("ib_duckdb.limits._abandoned", {object(), object(), object()})
    with pytest.raises(QueryError, match="3 stopped queries are still at work"):
        Running[int](Limits())


def test_a_query_that_takes_long_is_stopped(store: DuckDBStore, folder: Path) -> None:
    """Its time is a setting, and the line names it."""
    brief = limited(folder, seconds=0.2)
    with pytest.raises(QueryError, match=r"longer than 0\.2 s .* query_s"):
        brief.sql(ENDLESS)
    brief.close()
    assert store.sql("SELECT count(*) FROM calls").rows == [(1,)]


def test_a_query_cannot_take_the_machines_memory(store: DuckDBStore, folder: Path) -> None:
    """What does not fit is one line that names the setting."""
    small = limited(folder, memory=64_000_000)
    one_line(
        small, "SELECT max(list) FROM (SELECT array_agg(range) AS list FROM range(80000000))", "query_memory"
    )
    small.close()


def test_a_long_result_is_cut_and_says_so(store: DuckDBStore, folder: Path) -> None:
    """Rows beyond the limit stay behind; those within it are all there."""
    short = limited(folder, rows=10_000)
    exact = short.sql("SELECT * FROM range(10000)")
    assert (len(exact), exact.note) == (10_000, "")
    cut = short.sql("SELECT * FROM range(30000)")
    assert len(cut) == 10_000
    assert "only the first 10,000 rows" in cut.note
    assert cut.note in repr(cut)
    assert cut.note in cut._repr_html_()
    short.close()
    small = limited(folder, memory=100_000_000)
    cut = small.sql("SELECT repeat('x', 20000) || range AS x FROM range(20000)")
    assert len(cut) < 20_000
    assert "query_memory" in cut.note
    small.close()


def test_a_million_rows_show_their_head_and_their_number(store: DuckDBStore) -> None:
    """The result is there as a whole, and what is shown is short."""
    result = store.sql("SELECT range AS n FROM range(1000000)")
    assert len(result) == 1_000_000
    assert "999,800 more rows" in repr(result)
    assert len(repr(result)) < 10_000


@pytest.mark.parametrize(
    "query",
    [
        "EXPLAIN ANALYZE SET memory_limit = '90GB'",
        "explain /* x */ analyze /**/ SET threads = 1",
        "EXPLAIN (ANALYZE) SET threads = 1",
        "EXPLAIN (ANALYZE, FORMAT json) COPY calls TO 'x.csv'",
        "EXPLAIN ANALYZE COPY calls TO 'x.csv'",
        "/**/" * 26 + "SET threads = 1",
        "/**/" * 26 + "x",
        "DETACH record",
        "ATTACH 'usage.duckdb' AS again",
        "EXPLAIN ANALYZE ATTACH 'usage.duckdb' AS again",
        "USE record",
        "SELECT 1 --" + "x" * statements.LONGEST,
        "SELECT '\ud800'",
        "SELECT error('a\nb')",
        "EXPLAIN",
    ],
)
def test_statements_are_judged_by_what_they_are(store: DuckDBStore, query: str) -> None:
    """Comments, options and brackets hide nothing, and the next question is answered."""
    one_line(store, query)


@pytest.mark.parametrize("function", ["read_blob", "read_text", "read_csv", "glob"])
def test_no_file_can_be_read_not_even_the_record(store: DuckDBStore, function: str) -> None:
    """Reading the record through another handle would drop its lock."""
    one_line(store, f"SELECT count(*) FROM {function}('{store.location()}')")


def test_every_explain_of_a_query_is_answered(store: DuckDBStore) -> None:
    """With options, with comments, with what looks like options, of a PIVOT."""
    for query in (
        "EXPLAIN FROM calls",
        "EXPLAIN ANALYZE FROM calls",
        "EXPLAIN (FORMAT json) SELECT 1",
        "EXPLAIN (SELECT 1)",
        "/* é */ EXPLAIN /* é */ ANALYZE -- é\n SELECT 'é'",
    ):
        assert store.sql(query).rows, query


SYNTAX = """
EXPLAIN ANALYZE SELECT SET threads = 1 ( ) , ; -- /* */ ' $$ PIVOT WITH x AS FROM calls COPY TO ATTACH 'a'
(FORMAT json) INSERT INTO VALUES DELETE PRAGMA CALL USE BEGIN " é
"""
WORDS = st.sampled_from([*SYNTAX.split(), "\x00", "\n", "\ud800"])


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(WORDS, max_size=12).map(" ".join), st.text(max_size=200)))
def test_fuzz_the_check_of_statements(query: str) -> None:
    """Any text is one statement that reads, or one line; what is let through never writes."""
    refusal = ""
    try:
        statements.check(query)
    except QueryError as error:
        refusal = str(error)
    assert "\n" not in refusal
    words = query.upper()
    assert refusal or any(
        word in words for word in ("SELECT", "FROM", "VALUES", "PIVOT", "SHOW", "DESCRIBE", "TABLE")
    )
