"""A ledger is backed up while it is used, and comes back whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from ib_duckdb import archive, backups
from ib_duckdb.backups import HOT, MANIFEST, RECORD
from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import StoreBusy, StoreError
from ib_kernel.values import CallEnd, Message, NewSession, Status, private_part
from ib_kernel.values.moving import LedgerRows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    """A ledger with a session, some of whose rows have moved."""
    store = DuckDBStore(tmp_path / "data", background=False)
    store.open_session(NewSession("s", "Ada", 10**9, "m"))
    store.set_status("s", Status.ACTIVE)
    spend(store, "first")
    store.flush()
    spend(store, "second")
    yield store
    store.close()


def spend(store: DuckDBStore, text: str) -> None:
    """Have a turn in which *text* is said."""
    held = store.reserve("s", 10, lease_s=600)
    assert held
    store.settle(held, CallEnd(3, 4), messages=[Message(1, "user", text)])


def restored(tmp_path: Path, source: Path) -> DuckDBStore:
    """A new ledger with the backup in it."""
    new = DuckDBStore(tmp_path / "new", background=False)
    assert new.restore(source) == []
    return new


def test_what_was_there_comes_back(store: DuckDBStore, tmp_path: Path) -> None:
    """Rows in both files, sums, people, the secret and private parts; and the ledger goes on."""
    store.add_person("Grace", "coordinator")
    store.host_secret()
    private_id = private_part.keep(tmp_path / "data", "the notes", ["c"])
    hashes = store.backup(tmp_path / "backup")
    assert {HOT, RECORD, f"challenges/{private_id}.json"} == hashes.keys()
    new = restored(tmp_path, tmp_path / "backup")
    assert new.totals("s") == store.totals("s")
    assert [m.content for m in new.history("s")] == ["first", "second"]
    assert new.sql("SELECT count(*) FROM calls").rows == [(2,)]
    assert (new.people(), new.host_secret()) == (store.people(), store.host_secret())
    assert private_part.read(tmp_path / "new", private_id)["notes"] == "the notes"
    spend(new, "third")
    new.flush()
    assert new.sql("SELECT sum(total_tokens) FROM calls").rows == [(21,)]
    new.close()
    again = DuckDBStore(tmp_path / "new", background=False)
    assert (again.totals("s").calls, again.check()) == (3, [])
    again.close()


def test_files_of_a_backup_are_their_owners_only(store: DuckDBStore, tmp_path: Path) -> None:
    """They hold what people said."""
    store.backup(tmp_path / "backup")
    for file in [tmp_path / "backup", *(tmp_path / "backup").rglob("*")]:
        assert file.stat().st_mode & 0o077 == 0, file


@pytest.fixture
def no_umask() -> Iterator[None]:
    """What is not said to be private is for everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def readable(folder: Path) -> list[Path]:
    """Return what another user can open under *folder*, which is open to all."""
    found = []
    for entry in folder.iterdir():
        mode = entry.stat().st_mode
        if entry.is_dir():
            found += readable(entry) if mode & 0o011 else []
        elif mode & 0o066:
            found.append(entry)
    return found


def test_nobody_reads_a_backup_that_is_being_written(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_umask: None
) -> None:
    """The folder may be open to all: who opens a file before it is private would read it for ever."""
    target, seen = tmp_path / "backup", []
    target.mkdir(mode=0o777)

    def finish(folder: Path, ledger_id: str) -> dict[str, str]:
        seen.append(readable(target))
        return write_manifest(folder, ledger_id)

    write_manifest = backups._write_manifest
    monkeypatch.setattr(backups, "_write_manifest", finish)
    store.backup(target)
    assert seen == [[]]
    assert readable(target) == []
    assert {file.name for file in target.iterdir()} == {HOT, RECORD, MANIFEST}


def test_nobody_reads_a_file_to_take_along_that_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_umask: None
) -> None:
    """Nor a file of another store's rows."""
    target, seen = tmp_path / "open" / "usage.duckdb", []
    target.parent.mkdir(mode=0o777)

    def finish(new: Path, tables: Iterable[LedgerRows]) -> None:
        fill(new, tables)
        seen.append(readable(target.parent))

    fill = archive._fill
    monkeypatch.setattr(archive, "_fill", finish)
    archive.DuckDBFormat().write(target, [])
    assert seen == [[]]
    assert [file.name for file in target.parent.iterdir()] == ["usage.duckdb"]
    assert readable(target.parent) == []


def test_a_backup_made_under_load_adds_up(store: DuckDBStore, tmp_path: Path) -> None:
    """While threads and another process settle and rows move, each of several backups is of one moment."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            spend(store, "x")
            store.flush()

    threads = [threading.Thread(target=work) for _ in range(2)]
    command = [sys.executable, "-m", "ib_kernel.testing._store_child", "ib_duckdb.store:DuckDBStore"]
    arguments = [str(tmp_path / "data"), "acknowledge", "100000"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, *arguments], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdin is not None
        other.stdin.write("go\n")
        other.stdin.flush()
        for thread in threads:
            thread.start()
        try:
            known = 0
            for count in range(3):
                at_least = store.totals("s").calls
                store.backup(tmp_path / f"backup-{count}")
                new = DuckDBStore(tmp_path / f"new-{count}", background=False)
                assert new.restore(tmp_path / f"backup-{count}") == []
                calls = new.totals("s").calls
                assert calls >= max(at_least, known)
                assert new.sql("SELECT count(*) FROM calls WHERE status = 'settled'").rows == [(calls,)]
                known = calls
                new.close()
        finally:
            done.set()
            for thread in threads:
                thread.join()
            other.kill()
    assert store.check() == []


def test_a_folder_with_files_is_refused(store: DuckDBStore, tmp_path: Path) -> None:
    """A backup never mixes with anything."""
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "mine").write_text("x")
    with pytest.raises(StoreError, match="has files in it"):
        store.backup(tmp_path / "backup")


def test_a_busy_record_is_said(store: DuckDBStore, tmp_path: Path) -> None:
    """Another tool that has usage.duckdb open for writing makes a backup impossible, in one line."""
    code = "import duckdb,sys,time; d=duckdb.connect(sys.argv[1]); print('open',flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, str(tmp_path / "data" / RECORD)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreBusy):
            store.backup(tmp_path / "second")
        other.kill()


@pytest.mark.parametrize("name", [HOT, RECORD])
def test_a_changed_backup_is_refused(store: DuckDBStore, tmp_path: Path, name: str) -> None:
    """One byte is enough, and nothing is restored."""
    store.backup(tmp_path / "backup")
    file = tmp_path / "backup" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    new = DuckDBStore(tmp_path / "new", background=False)
    with pytest.raises(StoreError, match=f"{name} is not the file"):
        new.restore(tmp_path / "backup")
    assert new.sessions() == []
    new.close()


def test_what_is_no_backup_is_refused(tmp_path: Path, store: DuckDBStore) -> None:
    """A folder without a manifest, one whose manifest points elsewhere, and one of a newer version."""
    new = DuckDBStore(tmp_path / "new", background=False)
    store.backup(tmp_path / "backup")
    manifest = tmp_path / "backup" / MANIFEST
    made = json.loads(manifest.read_text())
    wrong = [
        {**made, "schema": 99},
        {**made, "files": {"../data/hot.sqlite3": "0"}},
        {**made, "files": []},
        {"files": {}},
    ]
    for content in wrong:
        manifest.write_text(json.dumps(content))
        with pytest.raises(StoreError):
            new.restore(tmp_path / "backup")
    manifest.unlink()
    with pytest.raises(StoreError, match="no complete backup"):
        new.restore(tmp_path / "backup")
    new.close()


def test_a_ledger_with_sessions_is_not_replaced(store: DuckDBStore, tmp_path: Path) -> None:
    """Restoring is for a new folder; a record that stands alone there is kept under another name."""
    store.backup(tmp_path / "backup")
    with pytest.raises(StoreError, match="has a ledger already"):
        store.restore(tmp_path / "backup")
    (tmp_path / "new").mkdir()
    shutil.copyfile(tmp_path / "backup" / RECORD, tmp_path / "new" / RECORD)
    new = restored(tmp_path, tmp_path / "backup")
    assert len(list((tmp_path / "new").glob("usage.damaged-*.duckdb"))) == 1
    new.close()


def test_who_had_the_new_ledger_open_sees_what_was_restored(store: DuckDBStore, tmp_path: Path) -> None:
    """Its files are the same ones; nobody writes into files that are gone."""
    store.backup(tmp_path / "backup")
    other = DuckDBStore(tmp_path / "new", background=False)
    new = restored(tmp_path, tmp_path / "backup")
    assert other.totals("s") == new.totals("s")
    other.close()
    assert new.check() == []
    new.close()
