"""What is particular to the embedded ledger: two files, one mover, and other tools that want to read."""

from __future__ import annotations

import datetime
import decimal
import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from clock import eventually

from ib_duckdb import make_store
from ib_duckdb.opened import VERSION as hot_version
from ib_duckdb.prune import KEEP_S
from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import QueryError, StoreBusy, StoreError
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import CallEnd, CallStart, Message, NewSession, Status

DAY = 86_400.0


class Clock:
    """Seconds since 1970, as the test says."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The ledger's time."""
    return Clock()


@pytest.fixture
def store(folder: Path, clock: Clock) -> Iterator[DuckDBStore]:
    """A ledger whose rows move when the test says so; at the end it must add up."""
    store = DuckDBStore(folder, clock=clock, background=False)
    store.open_session(NewSession("s", "Ada", 100_000, "gpt-5.4-mini", meta={"team": "a"}))
    store.set_status("s", Status.ACTIVE)
    yield store
    assert store.check() == []
    store.close()


@pytest.fixture(scope="module")
def one_call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    """A ledger with one call, for tests that only ask."""
    store = DuckDBStore(tmp_path_factory.mktemp("asked"), background=False)
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.set_status("s", Status.ACTIVE)
    call(store, 1, (10, 5))
    store.flush()
    yield store
    store.close()


def at(day: int) -> datetime.datetime:
    """The ledger's times are UTC without saying so."""
    return datetime.datetime(2026, 9, day, 14, 13, 20)  # noqa: DTZ001


def call(
    store: DuckDBStore,
    turn: int,
    used: tuple[int, int],
    *,
    session_id: str = "s",
    attempt: int = 1,
    **end: Any,
) -> None:
    """Reserve and settle one call of a turn."""
    start = CallStart(turn, attempt, "demo", "gpt-5.4-mini", counted_tokens=used[0], counted_exact=True)
    held = store.reserve(session_id, sum(used), lease_s=60.0, call=start)
    assert held
    texts = [Message(turn, "user", f"question {turn}"), Message(turn, "assistant", f"answer {turn}")]
    assert store.settle(held, CallEnd(*used, **end), messages=texts)


def plain(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask the file as any other tool would."""
    with duckdb.connect(str(folder / "usage.duckdb"), read_only=True) as db:
        return db.execute(query).fetchall()


def until_moved(store: DuckDBStore, seq: int) -> None:
    """Wait until the mover has moved the call of that number."""
    eventually(lambda: store._record.marks.get("calls") == seq)


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a fresh process."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)


@contextmanager
def other_process(folder: Path, *, read_only: bool) -> Iterator[subprocess.Popen[str]]:
    """Another process that has usage.duckdb open until the block ends."""
    script = (
        "import duckdb, sys; db = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'True');"
        "print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(folder / "usage.duckdb"), str(read_only)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.communicate()


def test_the_plugin_offers_its_store_and_loads_late(settings: Settings) -> None:
    """The factory is found by name; importing the plugin loads neither database, calls load no DuckDB."""
    script = (
        "import sys, ib_duckdb; assert not {'duckdb', 'apsw'} & set(sys.modules), 'import'\n"
        "from pathlib import Path; from ib_duckdb.store import DuckDBStore\n"
        "from ib_kernel.values import *\n"
        "s = DuckDBStore(Path(sys.argv[1]), background=False); s.open_session(NewSession('s', 'A', 9, 'm'))\n"
        "s.set_status('s', Status.ACTIVE); r = s.reserve('s', 5, lease_s=60)\n"
        "s.settle(r, CallEnd(1, 1)); s.totals('s'); s.sessions(); s.history('s')\n"
        "assert 'duckdb' not in sys.modules, 'calls'"
    )
    run(script, str(settings.data_dir))
    plugins = Plugins()
    plugins.load()
    store = plugins.store(settings)
    assert isinstance(store, DuckDBStore)
    assert store.location() == str(settings.data_dir / "usage.duckdb")
    assert store.totals("s").used == 2
    store.close()


def test_only_the_owner_can_read(store: DuckDBStore, folder: Path) -> None:
    """The folder and every file in it are closed to others."""
    store.flush()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.iterdir()}
    assert {"hot.sqlite3", "usage.duckdb"} <= set(names)
    assert names["hot.sqlite3"] == names["usage.duckdb"] == 0


def test_plain_duckdb_answers_the_same_sql(store: DuckDBStore, folder: Path, clock: Clock) -> None:
    """Tables and views give one answer, whether asked of the store (hot rows or moved) or of the file."""
    call(store, 1, (100, 50), cost_nano_usd=1, latency_ms=900.0)
    clock.now += DAY
    call(store, 2, (200, 70), cost_nano_usd=2)
    call(store, 2, (205, 10), attempt=2, source="counted")
    queries = {
        "SELECT count(*), sum(total_tokens), sum(cost_usd) FROM calls": [
            (3, 635, decimal.Decimal("0.000000003"))
        ],
        "SELECT calls, turns, total_tokens, left_tokens, cost_usd, unpriced_calls FROM session_usage": [
            (3, 2, 635, 99_365, decimal.Decimal("0.000000003"), 1)
        ],
        "SELECT model, calls, sessions, input_tokens, output_tokens FROM usage_by_model": [
            ("gpt-5.4-mini", 3, 1, 505, 130)
        ],
        "SELECT day, calls, total_tokens FROM usage_by_day ORDER BY day": [
            (datetime.date(2026, 9, 21), 1, 150),
            (datetime.date(2026, 9, 22), 2, 485),
        ],
        "SELECT call, turn, used, left_tokens FROM burn_down ORDER BY call": [
            (1, 1, 150, 99_850),
            (2, 2, 420, 99_580),
            (3, 2, 635, 99_365),
        ],
        "SELECT n, exact_share, mean_difference, constant_difference FROM count_accuracy": [(2, 1.0, 0.0, 0)],
        "SELECT role, content FROM messages WHERE turn = 1 ORDER BY seq": [
            ("user", "question 1"),
            ("assistant", "answer 1"),
        ],
        "SELECT candidate, status, token_budget, meta->>'team' FROM sessions": [
            ("Ada", "active", 100_000, "a")
        ],
        "SELECT kind, detail->>'to' FROM events ORDER BY seq": [("opened", None), ("status", "active")],
        "SELECT started_at FROM calls ORDER BY seq LIMIT 1": [(at(21),)],
    }
    for query, expected in queries.items():
        assert store.sql(query).rows == expected, query
    store.flush()
    for query, expected in queries.items():
        assert plain(folder, query) == store.sql(query).rows == expected, query


def test_sessions_show_their_last_state(store: DuckDBStore, folder: Path) -> None:
    """Rows are only ever appended, and the view shows the newest of each session."""
    store.flush()
    store.set_budget("s", tokens=5)
    store.flush()
    store.set_status("s", Status.COMPLETED)
    ask = "SELECT session_id, status, token_budget FROM sessions"
    assert store.sql(ask).rows == [("s", "completed", 5)]
    store.flush()
    assert plain(folder, ask) == [("s", "completed", 5)]


def test_rows_move_exactly_once(store: DuckDBStore, folder: Path) -> None:
    """Flushing again and again, also from two stores, moves every row once."""
    other = DuckDBStore(folder, background=False)
    for turn in range(1, 8):
        call(store, turn, (10, 5))
        (store if turn % 2 else other).flush()
        store.flush()
    other.close()
    assert plain(folder, "SELECT count(*), count(DISTINCT seq) FROM calls") == [(7, 7)]
    assert plain(folder, "SELECT count(*) FROM messages") == [(14,)]


def test_the_mover_moves_by_itself(folder: Path) -> None:
    """Nobody has to flush: a moment after a settle the row is in the file."""
    store = DuckDBStore(folder)
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.set_status("s", Status.ACTIVE)
    call(store, 1, (10, 5))
    until_moved(store, 1)
    call(store, 2, (10, 5))
    store.set_status("s", Status.COMPLETED)
    until_moved(store, 2)
    store.close()
    assert plain(folder, "SELECT count(*) FROM calls") == [(2,)]


def test_a_killed_mover_neither_loses_nor_doubles(folder: Path) -> None:
    """Movers are killed at any moment: afterwards every settled call is in the file once."""
    with opened(folder) as store:
        store.open_session(NewSession("s", "Ada", 10**9, "m"))
        store.set_status("s", Status.ACTIVE)
    script = (
        "import sys; from pathlib import Path; from ib_duckdb.store import DuckDBStore\n"
        "from ib_kernel.values import CallEnd\n"
        "s = DuckDBStore(Path(sys.argv[1]), background=False)\n"
        "while True:\n"
        "    for _ in range(3): s.charge('s', CallEnd(1, 1))\n"
        "    print('x', flush=True); s.flush()\n"
    )
    for kill in range(5):
        command = [sys.executable, "-c", script, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(2 + kill):
                process.stdout.readline()
            time.sleep(0.007 * kill)
            process.kill()
            process.communicate()
    with opened(folder) as store:
        assert store.check() == []
        store.flush()
        calls = store.totals("s").calls
        assert calls >= 3 * (2 + 3 + 4 + 5 + 6)
        assert store.check() == []
    assert plain(folder, "SELECT count(*), count(DISTINCT seq), sum(total_tokens) FROM calls") == [
        (calls, calls, 2 * calls)
    ]


@contextmanager
def opened(folder: Path) -> Iterator[DuckDBStore]:
    """A store that is closed again."""
    store = DuckDBStore(folder, background=False)
    yield store
    store.close()


def test_a_reader_elsewhere_delays_only_the_moving(store: DuckDBStore, folder: Path) -> None:
    """While another process reads the file, calls go on and SQL is fresh; afterwards the rows arrive."""
    call(store, 1, (10, 5))
    store.flush()
    with other_process(folder, read_only=True):
        call(store, 2, (10, 5))
        store.flush()
        assert store.sql("SELECT count(*) FROM calls").rows == [(2,)]
        assert store.check() == []
        assert plain(folder, "SELECT count(*) FROM calls") == [(1,)]
    store.flush()
    assert plain(folder, "SELECT count(*) FROM calls") == [(2,)]


def test_a_writer_elsewhere_stops_only_the_sql(store: DuckDBStore, folder: Path) -> None:
    """While another process writes the file, calls go on and SQL gets one line that names the process."""
    call(store, 1, (10, 5))
    store.flush()
    with other_process(folder, read_only=False) as process:
        call(store, 2, (10, 5))
        store.flush()
        assert store.totals("s").calls == 2
        with pytest.raises(StoreBusy) as caught:
            store.sql("SELECT 1")
        assert str(process.pid) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert store.check() == []
    assert store.sql("SELECT count(*) FROM calls").rows == [(2,)]


def test_an_analysis_in_the_same_kernel_is_in_nobodys_way(store: DuckDBStore, folder: Path) -> None:
    """The user's own read-only connection stays open beside SQL; one for writing gets the one line."""
    call(store, 1, (10, 5))
    store.flush()
    with duckdb.connect(str(folder / "usage.duckdb"), read_only=True) as mine:
        call(store, 2, (10, 5))
        store.flush()
        assert store.sql("SELECT count(*) FROM calls").rows == [(2,)]
        assert store.sql("SELECT count(*) FROM calls").rows == [(2,)]
        assert mine.execute("SELECT count(*) FROM calls").fetchall() == [(1,)]
        write = "import duckdb, sys; duckdb.connect(sys.argv[1])"
        with pytest.raises(subprocess.CalledProcessError) as caught:  # our queries left its lock alone
            run(write, str(folder / "usage.duckdb"))
        assert "Conflicting lock" in caught.value.stderr
    store.flush()
    assert plain(folder, "SELECT count(*) FROM calls") == [(2,)]
    with duckdb.connect(str(folder / "usage.duckdb")), pytest.raises(StoreBusy, match="this very process"):
        store.sql("SELECT 1")
    assert store.sql("SELECT count(*) FROM calls").rows == [(2,)]


def test_a_deleted_file_is_rebuilt(store: DuckDBStore, folder: Path) -> None:
    """Deleting usage.duckdb loses nothing of the last 30 days."""
    call(store, 1, (10, 5))
    store.flush()
    (folder / "usage.duckdb").unlink()
    assert store.sql("SELECT count(*) FROM calls").rows == [(1,)]
    call(store, 2, (10, 5))
    store.flush()
    assert plain(folder, "SELECT count(*) FROM calls") == [(2,)]


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "flipped"])
def test_a_damaged_file_is_kept_aside_and_rebuilt(store: DuckDBStore, folder: Path, damage: str) -> None:
    """A file that cannot be opened stops no call; it is renamed, and its rows are moved again."""
    call(store, 1, (10, 5))
    store.flush()
    path = folder / "usage.duckdb"
    content = path.read_bytes()  # nobody has it open here
    broken = {"text": b"hello" * 4000, "empty": b"", "cut": content[:9000]}
    path.write_bytes(broken.get(damage, content[:20000] + bytes(b ^ 255 for b in content[20000:60000])))
    call(store, 2, (10, 5))
    assert store.sql("SELECT count(*) FROM calls").rows == [(2,)]
    store.flush()
    assert plain(folder, "SELECT count(*) FROM calls") == [(2,)]
    assert [p.name for p in folder.glob("usage.damaged*")] == ["usage.damaged-1.duckdb"]


def test_old_rows_leave_the_hot_ledger_and_stay_readable(
    store: DuckDBStore, folder: Path, clock: Clock
) -> None:
    """After 30 days moved rows live in usage.duckdb only; totals, transcript and events are the same."""
    for turn in (1, 2, 3):
        call(store, turn, (10, 5), cost_nano_usd=7)
    before = (store.totals("s"), store.history("s"), store.events("s"))
    store.flush()
    clock.now += KEEP_S + DAY
    call(store, 4, (1, 1))
    store._mover._pruned_at = None
    store.flush()
    with store._hot.read() as db:
        assert db.execute("SELECT count(*) FROM calls").fetchone() == (1,)
    totals = store.totals("s")
    assert (totals.used, totals.turns, totals.cost_nano_usd) == (before[0].used + 2, 4, 21)
    assert store.history("s")[:6] == before[1]
    assert store.events("s") == before[2]
    assert store.check() == []
    assert store.sql("SELECT count(*), sum(total_tokens) FROM calls").rows == [(4, 47)]


def test_what_a_rebuild_cannot_bring_back_is_said(folder: Path, clock: Clock) -> None:
    """When old rows were only in a deleted file, `check` says how many, and the totals still count them."""
    store = DuckDBStore(folder, clock=clock, background=False)
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.set_status("s", Status.ACTIVE)
    for turn in (1, 2, 3):
        call(store, turn, (10, 5))
    clock.now += KEEP_S + DAY
    call(store, 4, (1, 1))
    store.flush()
    (folder / "usage.duckdb").unlink()
    store.flush()
    (line,) = store.check()
    assert line.startswith("session s: 3 calls older than 30 days")
    assert store.totals("s").used == 47
    store.close()


def test_a_wrong_total_is_noticed(folder: Path) -> None:
    """`check` names a session whose sums do not follow from its rows, and rows that are there twice."""
    store = DuckDBStore(folder, background=False)
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.set_status("s", Status.ACTIVE)
    call(store, 1, (10, 5))
    with store._hot.write() as db:
        db.execute("UPDATE sessions SET input_tokens = 11")
    line = "session s: input_tokens is 11 in its totals and 10 in its rows"
    assert store.check() == [line, f"{line} (usage.duckdb)"], "neither the kept rows nor those people query"
    with store._hot.write() as db:
        db.execute("UPDATE sessions SET input_tokens = 10")
    store.flush()
    assert store.check() == []
    with duckdb.connect(str(folder / "usage.duckdb")) as db:
        db.execute("INSERT INTO calls FROM calls")
    assert any("twice" in line for line in store.check())
    store.close()


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO calls (turn) VALUES (1)",
        "UPDATE calls SET turn = 1",
        "DROP VIEW calls",
        "CREATE TABLE mine (a INT)",
        "WITH x AS (INSERT INTO hot.calls (turn) VALUES (1) RETURNING *) FROM x",
        "EXPLAIN ANALYZE INSERT INTO hot.calls (turn) VALUES (1)",
        "ATTACH 'other.duckdb'",
        "COPY calls TO 'calls.csv'",
        "EXPORT DATABASE 'here'",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM query",
        "SELECT getenv('HOME')",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "INSTALL httpfs",
        "LOAD json",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW calls",
        "-- nothing",
        "BEGIN",
    ],
)
def test_sql_can_only_read_the_ledger(one_call: DuckDBStore, query: str) -> None:
    """Writing, other files, settings, our own variables and several statements are refused in one line."""
    with pytest.raises(QueryError) as caught:
        one_call.sql(query)
    assert "\n" not in str(caught.value)
    assert one_call.sql("SELECT count(*) FROM calls").rows == [(1,)]


@pytest.mark.parametrize(
    "query",
    [
        "FROM calls",
        "DESCRIBE calls",
        "SHOW TABLES",
        "SUMMARIZE calls",
        "EXPLAIN SELECT * FROM calls",
        "WITH x AS (FROM calls) SELECT count(*) FROM x",
        "PIVOT calls ON model USING sum(total_tokens) GROUP BY session_id",
        "-- a comment first\nPIVOT calls ON model USING sum(total_tokens)",
        "SELECT 'a;b' AS \"at\"",
        "VALUES (1)",
    ],
)
def test_every_way_to_read_is_allowed(one_call: DuckDBStore, query: str) -> None:
    """Reading in any of DuckDB's ways gives a result with columns."""
    assert one_call.sql(query).columns


def test_a_misspelt_name_gets_a_suggestion(one_call: DuckDBStore) -> None:
    """DuckDB's did-you-mean is kept, on one line."""
    with pytest.raises(QueryError, match=r'callz does not exist! Did you mean "calls"'):
        one_call.sql("SELECT * FROM callz")
    with pytest.raises(QueryError, match=r'"modl" not found .* "model"'):
        one_call.sql("SELECT modl FROM calls")


def test_the_result_is_a_small_table(store: DuckDBStore) -> None:
    """Show lists what people query and nothing else; the file is free when the answer is there."""
    names = [row[0] for row in store.sql("SHOW TABLES").rows]
    assert names == [
        "agreement", "apart_scores", "attempts", "burn_down", "calibration", "calls", "candidates",
        "cells", "challenges", "checks", "code_origin", "conditions", "count_accuracy",
        "count_accuracy_by_construct", "events", "failures", "forecast", "forecast_error", "hints",
        "latency", "latest_scores", "messages", "order_effect", "prompt_facts", "re_asks", "refusals",
        "scores", "session_usage", "sessions", "think_time", "timeline", "tokens_by_phase",
        "usage_by_day", "usage_by_hour", "usage_by_model", "verification",
    ]  # fmt: skip
    store.sql("FROM sessions").df()
    with duckdb.connect(str(store._record.path)) as db:
        assert db.execute("SELECT count(*) FROM sessions").fetchall() == [(1,)]


def test_newer_files_are_refused(folder: Path, clock: Clock) -> None:
    """A ledger of a newer version gives one clear line; a newer usage.duckdb stops no call."""
    store = DuckDBStore(folder, clock=clock, background=False)
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.set_status("s", Status.ACTIVE)
    store.flush()
    with duckdb.connect(str(folder / "usage.duckdb")) as db:
        db.execute("UPDATE internal.version SET version = 99")
    call(store, 1, (10, 5))
    store.flush()
    with pytest.raises(StoreError, match="newer version"):
        store.sql("SELECT 1")
    with store._hot.write() as hot:
        hot.execute("UPDATE ledger SET version = 99")
    store.close()
    with pytest.raises(StoreError, match=rf"newer version \(schema 99, known: {hot_version}\)"):
        DuckDBStore(folder)


def test_a_hot_ledger_that_is_not_one_is_refused(folder: Path) -> None:
    """A file that is no ledger, or a folder that is a file, gives one line that says what to do."""
    folder.mkdir()
    (folder / "hot.sqlite3").write_text("not a database at all, but long enough to look at" * 100)
    with pytest.raises(StoreError, match=r"is damaged .* move it"):
        DuckDBStore(folder)
    (folder / "file").write_text("")
    with pytest.raises(StoreError, match="IB_DATA_DIR"):
        DuckDBStore(folder / "file")


def test_a_full_disk_is_one_line_and_nothing_changes(store: DuckDBStore) -> None:
    """When the disk is full nothing is recorded, and once there is space it goes on."""
    with store._hot.read() as db:
        pages = db.execute("PRAGMA page_count").fetchone()
        assert pages is not None
        db.execute(f"PRAGMA max_page_count = {pages[0]}")
    with pytest.raises(StoreError, match="full"):
        store.charge("s", CallEnd(1, 1), messages=[Message(1, "user", "x" * 1_000_000)])
    assert store.totals("s").used == 0
    with store._hot.read() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    assert store.charge("s", CallEnd(1, 1)).used == 2


def test_a_closed_ledger_says_so(folder: Path) -> None:
    """Using a closed store is one clear line."""
    store = DuckDBStore(folder)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.sessions()


def test_a_new_hot_ledger_beside_an_old_record_mixes_nothing(folder: Path) -> None:
    """When the hot ledger was moved away, a new one adds to usage.duckdb and repeats no session key."""
    for name in ("one", "two"):
        with opened(folder) as store:
            store.open_session(NewSession(name, "Ada", 1_000, "m"))
            store.charge(name, CallEnd(1, 1))
        (folder / "hot.sqlite3").unlink()
    assert plain(folder, "SELECT session_id, total_tokens FROM session_usage ORDER BY 1") == [
        ("one", 2),
        ("two", 2),
    ]


def test_what_is_left_at_exit_is_moved(folder: Path) -> None:
    """A script that ends without closing its store leaves its rows in usage.duckdb."""
    script = (
        "import sys; from pathlib import Path; from ib_duckdb.store import DuckDBStore\n"
        "from ib_kernel.values import *\n"
        "s = DuckDBStore(Path(sys.argv[1])); s.open_session(NewSession('s', 'A', 10, 'm'))\n"
        "s.charge('s', CallEnd(1, 1))"
    )
    assert run(script, str(folder)).stderr == ""
    assert plain(folder, "SELECT count(*) FROM calls") == [(1,)]


def test_settings_decide_about_transcripts(settings: Settings) -> None:
    """`store_transcript = false` keeps texts out of both files; tokens are recorded either way."""
    store = make_store(settings.replace(store_transcript=False))
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.charge("s", CallEnd(1, 1), messages=[Message(1, "user", "zebra-crossing")])
    store.close()
    for path in settings.data_dir.iterdir():
        assert b"zebra-crossing" not in path.read_bytes()
    assert plain(settings.data_dir, "SELECT sum(total_tokens) FROM calls") == [(2,)]


def test_raw_usage_is_kept_as_it_came(store: DuckDBStore) -> None:
    """The service's own usage object is in the row, beside the numbers read from it."""
    raw = json.dumps({"prompt_tokens": 10, "completion_tokens": 5, "novelty": {"x": 1}})
    call(store, 1, (10, 5), raw_usage=raw, response_id="r-1", finish_reason="stop", model_returned="m-2026")
    (row,) = store.sql("SELECT raw_usage, response_id, finish_reason, model_returned FROM calls").rows
    assert row == (raw, "r-1", "stop", "m-2026")
