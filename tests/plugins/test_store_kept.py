"""The DuckDB that is kept between questions answers as a new one does, and keeps nothing of a question."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_duckdb import foreign, kept, query, spare, views
from ib_duckdb.limits import Limits
from ib_duckdb.query import reading
from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import QueryError
from ib_kernel.values import CallEnd, LedgerEvent, NewSession, Status


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    """A ledger with one moved call of a session that runs."""
    store = DuckDBStore(tmp_path / "data", background=False)
    begin(store, "s")
    store.charge("s", CallEnd(10, 5))
    store.flush()
    yield store
    store.close()


def begin(store: DuckDBStore, session: str) -> None:
    """Open a session and let it run."""
    store.open_session(NewSession(session, "Ada", 1_000, "m"))
    store.set_status(session, Status.ACTIVE)


def plainly(store: DuckDBStore, sql: str, now: float) -> list[tuple[Any, ...]]:
    """Answer from a DuckDB that is made for this question."""
    return reading(store._record, store._hot, now, lambda db: db.execute(sql).fetchall(), sql)


QUESTIONS = (
    "SELECT * EXCLUDE (link, sent_hmac) FROM calls ORDER BY session_id, seq",
    "SELECT * FROM session_usage ORDER BY session_id",
    "SELECT * FROM burn_down ORDER BY session_id, call",
    "SELECT session_id, status, active_s FROM sessions ORDER BY ALL",
    "SELECT session_id, kind FROM events ORDER BY ALL",
    "SELECT * FROM usage_by_model ORDER BY model",
    "SELECT kind, turn, used FROM timeline ORDER BY ALL",
    "SELECT count(*) FROM messages, cells, checks, scores, challenges",
)
STEPS = ("charge", "hold", "event", "open", "end", "move", *map(str, range(len(QUESTIONS))))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(STEPS), min_size=6, max_size=14))
def test_it_answers_as_a_new_one_whatever_came_between(steps: list[str]) -> None:
    """Rows that are moved, not moved yet, in doubt, of sessions that run; views made by earlier questions."""
    with tempfile.TemporaryDirectory() as folder:
        clock = itertools.count(1_700_000_000)
        store = DuckDBStore(Path(folder), background=False, clock=lambda: float(next(clock)))
        begin(store, "first")
        names = ["first"]
        for step in [*steps, "0", "1"]:
            running = names[-1]
            if step == "charge":
                store.charge(running, CallEnd(10, 5))
            elif step == "hold":
                store.reserve(running, 7, lease_s=0)
            elif step == "event":
                store.add_event(LedgerEvent(running, "note", 1_700_000_000.0))
            elif step in ("open", "end"):
                if step == "end":
                    store.set_status(running, Status.COMPLETED)
                names.append(f"s{len(names)}")
                begin(store, names[-1])
            elif step == "move":
                store.flush()
            else:
                sql, now = QUESTIONS[int(step)], float(next(clock))
                found = query.run(store._record, store._hot, sql, now).rows
                assert kept._kept is not None
                assert found == plainly(store, sql, now)
                left = "SELECT count(*) FROM duckdb_tables()"
                assert kept._kept.connection().execute(left).fetchall() == [(0,)]
        store.close()
        assert kept._kept is None


def test_one_is_kept_and_has_no_file_open(store: DuckDBStore) -> None:
    """The same DuckDB answers the next question; movers and other tools are not in its way."""
    store.sql("SELECT count(*) FROM calls")
    first = kept._kept
    assert first is not None
    assert foreign.handles(store._record.path) == []
    with duckdb.connect(store.location()) as db:  # open for writing: nobody has it
        db.execute("SELECT 1")
    assert store.sql("SELECT calls FROM session_usage").rows == [(1,)]
    assert kept._kept is first


def test_what_can_leave_something_behind_is_asked_elsewhere(store: DuckDBStore) -> None:
    """Each of DuckDB's functions for a FROM, but those that only make rows; the list is DuckDB's own."""
    store.sql("SELECT 1")
    mine = kept._kept
    assert mine is not None
    with duckdb.connect() as db:
        sql = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'table'"
        names = {str(name) for (name,) in db.execute(sql).fetchall()}
    assert {"read_blob", "read_csv", "enable_logging", "query", "checkpoint"} <= names
    harmless = {"range", "generate_series", "unnest", "json_each", "json_tree", "repeat"}
    assert {name for name in names if mine.answers(f"FROM {name.upper()}(1)")} == harmless
    assert not mine.answers(f"FROM '{store.location()}'")
    assert not mine.answers("FROM E'usage.\\x64uckdb'")


@pytest.mark.parametrize(
    "sql",
    [
        "FROM duckdb_logs()",
        "SHOW TABLES",
        "DESCRIBE calls",
        "FROM (SUMMARIZE calls)",
        "EXPLAIN SELECT 1",
        "PIVOT calls ON status USING count(*)",
        "FROM query('SELECT 1')",
        "SELECT 1 FROM information_schema.tables",
    ],
)
def test_other_questions_get_one_of_their_own(store: DuckDBStore, sql: str) -> None:
    """What asks for names finds those that the docs list; none of it reaches the one that is kept."""
    store.sql("SELECT 1")
    mine = kept._kept
    assert mine is not None
    before = dict(mine._named), set(mine._views)
    store.sql(sql)
    assert kept._kept is mine
    assert (mine._named, mine._views) == before


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_blob('/etc/passwd')",
        "FROM '/etc/passwd.csv'",
        "ATTACH '{other}' AS other",
        "COPY (SELECT 1) TO '{other}.csv'",
        "SET memory_limit = '90GB'",
        "RESET allowed_paths",
        "SET allowed_directories = ['/']",
        "INSTALL httpfs",
    ],
)
def test_it_has_no_way_to_another_file_and_no_other_settings(
    store: DuckDBStore, tmp_path: Path, sql: str
) -> None:
    """Also for a statement that nobody checked."""
    store.sql("SELECT 1")
    mine = kept._kept
    assert mine is not None
    with pytest.raises((duckdb.PermissionException, duckdb.InvalidInputException)):
        mine.connection().execute(sql.format(other=tmp_path / "other.duckdb"))


def test_nothing_can_be_written_while_it_answers(store: DuckDBStore) -> None:
    """Not in the ledger's file, and not beside it."""
    with query.on_kept(store._record, store._hot, time.time(), "FROM calls", Limits()) as db:
        for sql in ("CREATE TABLE x (i INT)", "DELETE FROM record.calls", "DROP VIEW calls"):
            with pytest.raises((duckdb.TransactionException, duckdb.InvalidInputException)):
                db.execute(sql)
            db.execute("ROLLBACK; BEGIN TRANSACTION READ ONLY")


@pytest.mark.parametrize("sql", ["SELECT error('x')", "SELECT nothing FROM calls", "FROM nowhere"])
def test_a_question_that_fails_is_the_end_of_it(store: DuckDBStore, sql: str) -> None:
    """The next one is answered by another, and the line is that of a DuckDB with all views."""
    store.sql("SELECT 1")
    first = kept._kept
    with pytest.raises(QueryError):
        store.sql(sql)
    assert kept._kept is not first
    assert store.sql("SELECT count(*) FROM calls").rows == [(1,)]
    with pytest.raises(QueryError, match="session_usage"):
        store.sql("FROM session_usag")


def test_another_ledger_and_other_limits_have_another(store: DuckDBStore, tmp_path: Path) -> None:
    """One is kept in a process; what it may open and take is its own."""
    other = DuckDBStore(tmp_path / "other", background=False, limits=Limits(memory=64_000_000))
    for _ in range(2):
        assert store.sql("SELECT count(*) FROM calls").rows == [(1,)]
        assert other.sql("SELECT count(*) FROM calls").rows == [(0,)]
        limit = "SELECT current_setting('memory_limit')"
        assert other.sql(limit).rows != store.sql(limit).rows
    other.close()
    assert store.sql("SELECT count(*) FROM calls").rows == [(1,)]


def test_a_ledger_behind_a_link_is_read(store: DuckDBStore, tmp_path: Path) -> None:
    """The file that may be opened is compared by its name, quotes in it included."""
    link = tmp_path / "it's here"
    link.symlink_to(tmp_path / "data", target_is_directory=True)
    again = DuckDBStore(link, background=False)
    assert again.sql("SELECT count(*) FROM calls").rows == [(1,)]
    assert kept._kept is not None
    assert kept._kept.path == link / "usage.duckdb"
    again.close()


def test_every_view_answers_there(store: DuckDBStore) -> None:
    """In the order of the file, and again with rows that are not moved."""
    for step in range(2):
        for name in views.definitions():
            sql, now = f"SELECT count(*) FROM {name}", time.time()
            assert query.run(store._record, store._hot, sql, now).rows == plainly(store, sql, now), (
                name,
                step,
            )
        begin(store, f"another-{step}")
        store.reserve("s", 5, lease_s=0)


def test_a_child_makes_its_own(store: DuckDBStore) -> None:
    """The parent's has threads that a child does not have."""
    store.sql("SELECT 1")
    assert kept._kept is not None
    pid = os.fork()
    if pid == 0:
        os._exit(kept._kept is not None or spare._making is not None)
    assert os.waitpid(pid, 0)[1] == 0
