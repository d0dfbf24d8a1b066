"""Where the ledger lives and who else uses it: file systems, rights, full disks, older files, other tools."""

from __future__ import annotations

import gc
import os
import resource
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import duckdb
import pytest

import ib_kernel
from ib_duckdb import migrate, mounts
from ib_duckdb.opened import VERSION
from ib_duckdb.store import DuckDBStore
from ib_kernel.budget.service import get_token_service
from ib_kernel.errors import ConfigError, StoreBusy, StoreError
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import CallEnd, NewSession, Status


@pytest.fixture
def store(folder: Path) -> Iterator[DuckDBStore]:
    """A ledger with one moved call; at the end it must add up."""
    store = DuckDBStore(folder, background=False)
    store.open_session(NewSession("s", "Ada", 10**9, "m"))
    store.set_status("s", Status.ACTIVE)
    spend(store)
    store.flush()
    yield store
    assert store.check() == []
    store.close()


def spend(store: DuckDBStore) -> None:
    """Hold and settle 15 tokens."""
    held = store.reserve("s", 20, lease_s=60.0)
    assert held
    store.settle(held, CallEnd(10, 5))


def in_child(work: Callable[[], None]) -> None:
    """Run *work* in a forked process; fail when it fails there."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


# --- file systems


MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:37 / /home rw,relatime shared:20 - nfs4 server:/home rw,vers=4.2
41 40 0:38 / /home/ada/my\040disk rw shared:21 - ext4 /dev/sdb1 rw
42 22 0:39 / /mnt/cloud rw,nosuid - fuse.sshfs ada@host:/ rw
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/var/lib/data", "ext4"),
        ("/home/ada/data", "nfs4"),
        ("/home/ada/my disk/data", "ext4"),
        ("/mnt/cloud/deep/down", "fuse.sshfs"),
        ("/homestead", "ext4"),
    ],
)
def test_the_mount_that_holds_a_folder_is_found(place: str, kind: str) -> None:
    """The longest mount point counts, whole names only, with escaped spaces."""
    assert mounts._longest(Path(place), mounts.linux_mounts(MOUNTINFO)) == kind


def test_a_network_file_system_is_refused_with_advice(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line names the file system, the way out, and the setting that overrides it."""
    monkeypatch.setattr(mounts, "kind_of", lambda folder: "nfs4")
    with pytest.raises(StoreError, match=r"network file system \(nfs4\).*IB_DATA_DIR.*IB_ALLOW_NETWORK_FS=1"):
        Plugins().store(settings)
    assert not settings.data_dir.exists()
    Plugins().store(Settings(data_dir=settings.data_dir, allow_network_fs=True)).close()


def test_this_machine_can_say_where_a_folder_is(tmp_path: Path) -> None:
    """On Linux every folder is on some file system, also one that does not exist yet."""
    if sys.platform != "linux":
        pytest.skip("written from documentation elsewhere")
    assert mounts.kind_of(tmp_path / "not" / "there")


# --- permissions and full disks


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_a_read_only_folder_is_one_line() -> None:
    """Without the right to write, opening says which file and what to do."""
    with tempfile.TemporaryDirectory(prefix="ib-read-only-") as name:
        place = Path(name)
        DuckDBStore(place, background=False).close()
        os.chmod(place, 0o555)
        for file in place.iterdir():
            os.chmod(file, 0o444)

        def work() -> None:
            if os.geteuid() == 0:
                os.seteuid(65_534)
            with pytest.raises(StoreError, match=r"cannot be written; check the folder's permissions"):
                DuckDBStore(place, background=False)

        in_child(work)
        os.chmod(place, 0o755)


def test_a_file_that_may_not_grow_loses_nothing(folder: Path, store: DuckDBStore) -> None:
    """With no room left calls are refused in one line; with room again everything acknowledged is there."""

    def work() -> None:
        mine = DuckDBStore(folder, background=False)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = max(file.stat().st_size for file in folder.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20_000, limits[1]))
        done = 0
        with pytest.raises(StoreError, match=r"full|cannot be used"):
            while True:
                spend(mine)
                done += 1
        assert done > 0
        mine.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        spend(mine)
        mine.flush()
        totals = mine.totals("s")
        assert totals.used == 15 * (done + 2)
        assert mine.check() == []

    in_child(work)


def test_no_room_for_the_record_leaves_no_half_of_it(folder: Path, store: DuckDBStore) -> None:
    """The disk was full when `usage.duckdb` was first made: with room again it is made anew."""

    def work() -> None:
        mine = DuckDBStore(folder, background=False)
        spend(mine)
        (folder / "usage.duckdb").unlink(missing_ok=True)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        for room in (0, 5_000, 13_000, 60_000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
            mine.flush()
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        mine.flush()
        assert mine.sql("SELECT count(*) FROM calls").rows == [(2,)]
        assert list(folder.glob("usage.damaged*")) == []
        assert mine.check() == []

    in_child(work)


# --- older files


def test_an_older_hot_ledger_is_brought_forward(
    folder: Path, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A made-up version 0 gets the missing column in one transaction; the file as it was is kept."""
    store.close()
    old = apsw.Connection(str(folder / "hot.sqlite3"))
    old.execute("ALTER TABLE sessions DROP COLUMN pruned_messages; UPDATE ledger SET version = 0")
    old.close()
    with pytest.raises(StoreError, match=f"has schema 0, and nothing here brings it to {VERSION}"):
        DuckDBStore(folder)
    step = "ALTER TABLE sessions ADD COLUMN pruned_messages INTEGER NOT NULL DEFAULT 0"
    later = dict.fromkeys(range(1, VERSION), lambda db: None)
    monkeypatch.setattr(migrate, "HOT_STEPS", {0: lambda db: db.execute(step), **later})
    again = DuckDBStore(folder, background=False)
    assert again.totals("s").used == 15
    assert again.check() == []
    again.close()
    kept = apsw.Connection(str(folder / "hot.version-0.sqlite3"))
    assert kept.execute("SELECT version FROM ledger").fetchall() == [(0,)]
    assert kept.execute("SELECT count(*) FROM calls").fetchall() == [(1,)]
    kept.close()


def test_a_step_that_fails_changes_nothing(
    folder: Path, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a migration is none: the version and the tables are as they were."""
    store.close()
    old = apsw.Connection(str(folder / "hot.sqlite3"))
    old.execute("UPDATE ledger SET version = 0")
    old.close()
    wrong = "DELETE FROM calls; SELECT nonsense FROM nowhere"
    monkeypatch.setitem(migrate.HOT_STEPS, 0, lambda db: db.execute(wrong))
    with pytest.raises((StoreError, apsw.Error)):
        DuckDBStore(folder)
    db = apsw.Connection(str(folder / "hot.sqlite3"))
    assert db.execute("SELECT version, (SELECT count(*) FROM calls) FROM ledger").fetchall() == [(0, 1)]
    db.execute("UPDATE ledger SET version = ?", (VERSION,))
    db.close()


def test_an_older_record_is_brought_forward(
    folder: Path, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A made-up version 0 of usage.duckdb gets its column at the next move, and a copy is kept."""
    path = folder / "usage.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute("CREATE OR REPLACE TABLE internal.version AS SELECT 0 AS version, '' AS views")
        for view in db.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
            db.execute(f"DROP VIEW IF EXISTS {view[0]} CASCADE")
        db.execute("ALTER TABLE calls DROP COLUMN raw_usage")
    step = "ALTER TABLE calls ADD COLUMN raw_usage VARCHAR"
    later = dict.fromkeys(range(1, VERSION), lambda db, hot: None)
    monkeypatch.setattr(migrate, "RECORD_STEPS", {0: lambda db, hot: db.execute(step), **later})
    again = DuckDBStore(folder, background=False)
    assert again.sql("SELECT count(*), count(raw_usage) FROM calls").rows == [(1, 0)]
    spend(again)
    again.flush()
    assert again.sql("SELECT total_tokens FROM session_usage").rows == [(30,)]
    again.close()
    with duckdb.connect(str(folder / "usage.version-0.duckdb"), read_only=True) as kept:
        assert kept.execute("SELECT count(*) FROM calls").fetchall() == [(1,)]


# --- other tools


@pytest.fixture
def handed_out(folder: Path, store: DuckDBStore) -> Iterator[Any]:
    """A connection for other tools, of a ledger with one moved and one hot call."""
    spend(store)
    with ib_kernel.connect_usage(Settings(data_dir=folder)) as db:
        yield db
    get_token_service(Settings(data_dir=folder)).close()


def test_other_tools_see_everything_and_views(handed_out: Any) -> None:
    """Tables and views cover the file and what is not in it yet, as SQL and as a data frame."""
    assert handed_out.execute("SELECT count(*) FROM calls").fetchall() == [(2,)]
    assert handed_out.execute("SELECT total_tokens FROM session_usage").fetchall() == [(30,)]
    frame = handed_out.execute("SELECT turn, total_tokens FROM calls").df()
    assert list(frame["total_tokens"]) == [15, 15]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM calls",
        "INSERT INTO calls (turn) VALUES (1)",
        "DROP VIEW sessions",
        "CREATE TABLE mine (a INTEGER)",
        "DETACH {name}",
    ],
)
def test_other_tools_can_only_read(handed_out: Any, statement: str) -> None:
    """What the connection shows cannot be changed or taken away on it."""
    (name,) = handed_out.execute("SELECT current_database()").fetchone()
    with pytest.raises(duckdb.Error):
        handed_out.execute(statement.format(name=f'"{name}"'))
    assert handed_out.execute("SELECT count(*) FROM calls").fetchall() == [(2,)]


def test_rows_go_on_moving_while_tools_are_connected(folder: Path, store: DuckDBStore) -> None:
    """A connection shows what was settled when it was made, and stands in nobody's way."""
    db = store.connect()
    spend(store)
    store.flush()
    assert store.sql("SELECT count(*) FROM calls").rows == [(2,)]
    assert db.execute("SELECT count(*) FROM calls").fetchall() == [(1,)]
    with duckdb.connect(str(folder / "usage.duckdb"), read_only=True) as plain:
        assert plain.execute("SELECT count(*) FROM calls").fetchall() == [(2,)]
    db.close()


def test_connections_that_nobody_closes_are_harmless(folder: Path, store: DuckDBStore) -> None:
    """Opened and forgotten, one after another or all at once, they leave no file, handle or lock behind."""
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    kept = []
    for count in range(2, 8):
        assert len(store.connect().sql("FROM calls").df()) == count - 1
        kept.append(store.connect())
        spend(store)
        store.flush()
        with duckdb.connect(str(folder / "usage.duckdb"), read_only=True) as plain:
            assert plain.execute("SELECT count(*) FROM calls").fetchall() == [(count,)]
    kept.pop(0).close()
    counts = [db.execute("SELECT count(*) FROM calls").fetchone()[0] for db in kept]  # type: ignore[index]
    assert counts == [2, 3, 4, 5, 6]
    assert not list(folder.glob(".usage-*"))
    kept.clear()
    del plain
    gc.collect()
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_a_busy_file_is_said_at_once(folder: Path, store: DuckDBStore) -> None:
    """While this kernel has the file open for writing itself, connecting gives the one clear line."""
    with duckdb.connect(str(folder / "usage.duckdb")), pytest.raises(StoreBusy):
        store.connect()
    store.connect().close()


def test_interviews_in_other_threads_go_on_while_a_tool_is_connected(store: DuckDBStore) -> None:
    """Nobody waits for an open connection."""
    with store.connect():
        threads = [threading.Thread(target=spend, args=(store,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.totals("s").calls == 5


def test_everything_is_exported_in_one_line(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection writes Parquet and CSV into the working directory; so does any result of %%usage."""
    spend(store)
    here = tmp_path / "notebooks"
    here.mkdir()
    monkeypatch.chdir(here)
    with store.connect() as ledger:
        ledger.execute("COPY calls TO 'calls.parquet'")
        ledger.execute(f"COPY (FROM usage_by_day) TO '{here / 'days.csv'}'")
    assert sorted(file.name for file in here.iterdir()) == ["calls.parquet", "days.csv"]
    result = store.sql("SELECT model, total_tokens, cost_usd FROM calls")
    assert result.to_parquet(tmp_path / "usage.parquet").stat().st_size > 0
    assert result.to_csv(tmp_path / "usage.csv").read_text().splitlines() == [
        "model,total_tokens,cost_usd", ",15,", ",15,",
    ]  # fmt: skip
    rows = duckdb.sql(f"SELECT sum(total_tokens) FROM '{tmp_path / 'usage.parquet'}'").fetchall()
    assert rows == [(30,)]
    with pytest.raises(ConfigError, match="cannot write"):
        result.to_csv(tmp_path / "missing" / "usage.csv")


def test_a_store_without_a_connection_says_so(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """A ledger that is not DuckDB's is named, with what works instead."""
    monkeypatch.delattr(DuckDBStore, "connect")
    with pytest.raises(StoreError, match="'duckdb' offers no connection"):
        ib_kernel.connect_usage(settings)
    get_token_service(settings).close()
