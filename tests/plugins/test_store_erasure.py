"""Erasing a person: afterwards no file of the ledger has their name or a word of theirs, and all adds up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import duckdb
import pytest

from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import SessionInactive, StoreBusy, StoreError, UnknownSession
from ib_kernel.values import (
    CallEnd,
    CallStart,
    Cell,
    Check,
    Grant,
    Invitation,
    LedgerEvent,
    Message,
    NewSession,
    Score,
    Status,
)
from ib_kernel.values.erasure import PSEUDONYM

NAME, ID = "Élodie Quaxenby", "cand-Zy77Qx"
DAY = 86_400.0

PLANTED = (
    NAME,
    ID,
    *("zebrafink-question", "zebrafink-answer", "zebrafink-cell", "zebrafink-output", "zebrafink-note"),
    *("zebrafink-check", "zebrafink-reason", "zebrafink-quote", "zebrafink-request", "zebrafink-usage"),
    *("zebrafink-error", "zebrafink-meta", "zebrafink-doubt", "time=1.7777"),
)
"""The person's name and id, and one word for each place where a text of theirs may stand."""


def forms(word: str) -> list[bytes]:
    """Return the ways in which a word may stand in a file."""
    found = {word, word.lower(), word.casefold(), json.dumps(word)[1:-1], json.dumps(word.lower())[1:-1]}
    return [form.encode(encoding) for form in found for encoding in ("utf-8", "utf-16-le")]


def found_in(folder: Path) -> list[str]:
    """Return which planted word stands in which file of a folder, as bytes."""
    return [
        f"{word} in {file.relative_to(folder)}"
        for file in sorted(path for path in folder.rglob("*") if path.is_file())
        for data in [file.read_bytes()]
        for word in PLANTED
        if any(form in data for form in forms(word))
    ]


@pytest.fixture(autouse=True)
def uncompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every DuckDB file keep its texts as they are, so that a search of bytes finds them."""
    connect = duckdb.connect

    def plain(*args: Any, **kwargs: Any) -> Any:
        db = connect(*args, **kwargs)
        db.execute("SET force_compression = 'uncompressed'")
        return db

    monkeypatch.setattr(duckdb, "connect", plain)


class Clock:
    """Moves a little with each look."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.25

    def __call__(self) -> float:
        self.now += 0.013
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time of the test's ledger."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[DuckDBStore]:
    """A ledger with every kind of row about one person, in two sessions, and somebody else's session."""
    store = DuckDBStore(tmp_path / "data", clock=clock, background=False)
    fill(store, clock)
    yield store
    store.close()


def fill(store: DuckDBStore, clock: Clock) -> None:
    """Write what the fixture promises."""
    for name, person, external in (("s", NAME, ID), ("t", NAME, ID), ("other", "Grace", "")):
        store.open_session(
            NewSession(
                name, person, 10**6, "m", external_id=external, keep_until=clock() + DAY,
                accommodation="time=1.7777" if external else "",
                meta={"title": "zebrafink-meta" if external else "", "temperature": 0.5},
            )
        )  # fmt: skip
        store.add_invitation(
            Invitation(
                f"i-{name}",
                name,
                f"{len(name)}{ord(name[0]):02x}".ljust(64, "0"),
                "Ira",
                clock(),
                clock() + DAY,
            )
        )
        store.set_status(name, Status.ACTIVE, who=person)
    for name in ("s", "t", "other"):
        say(store, name, f"zebrafink-question of {NAME}" if name != "other" else "mine")
    now = clock()
    store.add_cell(
        Cell(
            "s",
            "print('zebrafink-cell')",
            False,
            now - 1,
            now,
            3,
            "python",
            "ZebraError",
            9,
            "zebrafink-output",
        )
    )
    store.add_check(Check("s", "visible", 1, 2, ({"name": "zebrafink-check", "ok": False},), "c", "d" * 64))
    store.add_score(
        Score(
            "s", "c1", "Grace", "person", 2, reason="zebrafink-reason", quotes=({"words": "zebrafink-quote"},)
        )
    )
    store.add_event(LedgerEvent("s", "note", 0.0, "Ira", {"text": f"zebrafink-note about {NAME.lower()}"}))
    store.add_grant(Grant("ab" * 32, "candidate", "s", now, now + DAY))
    lost = store.reserve("t", 50, lease_s=60, owner=f"kernel of {NAME}", call=CallStart(None))
    assert lost
    assert store.mark_unresolved(lost, "zebrafink-doubt")
    for name in ("s", "t", "other"):
        store.set_status(name, Status.COMPLETED, who="Ira")


def say(store: DuckDBStore, name: str, text: str) -> None:
    """Have one turn, of a request that may be repeated, in a service that repeats what it was told."""
    mine = "zebrafink-" if name != "other" else "plain "
    call = CallStart(None, 1, "demo", "m", 90, True, "p-1", request_id=f"{mine}request", request_sha="ab")
    held = store.reserve(name, 100, lease_s=600, call=call)
    assert held
    store.write_reply(held, f"{mine}answer", state="running", result={"footer": f"{mine}answer"})
    usage = json.dumps({"total": 3, "note": f"{mine}usage"})
    end = CallEnd(
        30, 20, 10, 5, cost_nano_usd=7, error=f"{mine}error: {text}", raw_usage=usage, response_id="r-1"
    )
    said = [Message(1, "user", text), Message(1, "assistant", f"{mine}answer")]
    assert store.settle(held, end, messages=said)


def test_no_byte_of_the_person_is_left(store: DuckDBStore, tmp_path: Path) -> None:
    """A search that finds each planted word before finds none afterwards; sums and chain are in order."""
    store.flush()
    before = found_in(tmp_path)
    assert {line.rpartition(" in ")[0] for line in before} == set(PLANTED)
    assert any("usage.duckdb" in line for line in before)
    sums = {name: store.totals(name) for name in ("s", "t", "other")}
    done = store.erase(["s", "t"], who="Ira")
    assert found_in(tmp_path) == []
    assert {name: store.totals(name) for name in sums} == sums
    assert store.check() == []
    verified = store.verification()
    assert verified.differences == ()
    assert verified.erased > 10
    assert done.sessions == ("s", "t")
    assert {"hot.sqlite3", "usage.duckdb"} <= set(done.rewritten)
    names = {store.session(name).candidate for name in ("s", "t")}
    assert len(names) == 1
    assert names.pop().startswith(PSEUDONYM)
    assert [m.content for m in store.history("other")] == ["mine", "plain answer"]


def test_an_erased_session_says_so_and_is_due_no_more(store: DuckDBStore) -> None:
    """Its event names who erased and when; nobody comes into it again, and it keeps no date."""
    store.erase(["s"], who="Ira")
    event = store.events("s")[-1]
    assert (event.kind, event.who) == ("erased", "Ira")
    assert store.session("s").keep_until is None
    assert store.session("t").keep_until is not None
    assert store.invitations("s") == []
    assert store.grant("ab" * 32) is None
    assert {row.session_id: row.candidate for row in store.known_sessions()}["t"] == NAME
    store.erase(["s"], who="Ira")  # once more changes nothing
    assert store.verify() == []


def test_rows_that_only_the_record_has_are_erased(store: DuckDBStore, tmp_path: Path, clock: Clock) -> None:
    """After thirty days, when the hot ledger has let go of them: their seals are made from the record."""
    store.flush()
    clock.now += 40 * DAY
    later = DuckDBStore(tmp_path / "data", clock=clock, background=False)
    later.flush()
    later.open_session(NewSession("u", "Zoe", 10**6, "m"))
    with later._hot.read() as db:
        assert db.execute("SELECT count(*) FROM messages WHERE content LIKE 'zebra%'").fetchall() == [(0,)]
    later.erase(["s", "t"], who="Ira")
    assert found_in(tmp_path) == []
    assert later.verify() == []
    assert later.check() == []
    later.close()


def test_files_that_were_set_aside_are_erased_or_removed(store: DuckDBStore, tmp_path: Path) -> None:
    """Backups of older versions, saved and damaged files: written anew, or removed if unreadable."""
    store.flush()
    data = tmp_path / "data"
    copy_database(data / "usage.duckdb", data / "usage.damaged-1.duckdb")
    copy_database(data / "usage.duckdb", data / "usage.version-3.duckdb")
    (data / "usage.damaged-2.duckdb").write_bytes(
        b"zebrafink-cell" + (data / "usage.duckdb").read_bytes()[14:]
    )
    backup = apsw.Connection(str(data / "hot.saved-1.sqlite3"))
    with store._hot.read() as db, backup.backup("main", db, "main") as running:
        running.step()
    backup.close()
    (data / ".usage-999999-1.duckdb").write_bytes(b"zebrafink-cell")  # of a process that is gone
    assert store.unreadable_copies() == ["usage.damaged-2.duckdb"]
    done = store.erase(["s", "t"], who="Ira")
    assert found_in(tmp_path) == []
    assert set(done.removed) == {"usage.damaged-2.duckdb", ".usage-999999-1.duckdb"}
    assert {"hot.saved-1.sqlite3", "usage.damaged-1.duckdb", "usage.version-3.duckdb"} <= set(done.rewritten)


def test_a_backup_is_erased_and_still_restores(store: DuckDBStore, tmp_path: Path, clock: Clock) -> None:
    """Made while the record had all rows; its manifest says what its files are now, and its chain follows."""
    store.backup(tmp_path / "backup")
    assert found_in(tmp_path / "backup") != []
    assert store.erase_in_backup(tmp_path / "backup", ["s", "t", "gone"], who="Ira") == ["s", "t"]
    assert found_in(tmp_path / "backup") == []
    assert [m.content for m in store.history("s")] != ["", ""]  # the ledger itself is another matter
    (tmp_path / "backup" / ".erasing").touch()  # as one that was cut short leaves it
    (tmp_path / "backup" / "backup.json").write_text(
        (tmp_path / "backup" / "backup.json").read_text().replace('"hot.sqlite3": "', '"hot.sqlite3": "0')
    )
    store.erase_in_backup(tmp_path / "backup", ["s", "t"], who="Ira")
    again = DuckDBStore(tmp_path / "again", clock=clock, background=False)
    assert again.restore(tmp_path / "backup") == []
    assert again.verify() == []
    assert [m.content for m in again.history("other")] == ["mine", "plain answer"]
    again.close()
    with pytest.raises(StoreError, match="is no complete backup"):
        store.erase_in_backup(tmp_path, ["s"])


def copy_database(source: Path, target: Path) -> None:
    """Copy a DuckDB file as DuckDB does."""
    with duckdb.connect() as db:
        db.execute(f"ATTACH '{source}' AS a (READ_ONLY); ATTACH '{target}' AS b; COPY FROM DATABASE a TO b")


def test_a_damaged_record_is_said_before_it_is_removed(store: DuckDBStore, tmp_path: Path) -> None:
    """Who looks for the person's sessions has it set aside; the erasure removes it."""
    store.flush()
    record = tmp_path / "data" / "usage.duckdb"
    record.write_bytes(b"zebrafink-cell" + record.read_bytes()[14:])
    assert {session.session_id for session in store.known_sessions()} == {"s", "t", "other"}
    assert store.unreadable_copies() == ["usage.damaged-1.duckdb"]
    assert store.erase(["s", "t"], who="Ira").removed == ("usage.damaged-1.duckdb",)
    assert found_in(tmp_path) == []
    with duckdb.connect(str(record), read_only=True) as db:  # people's tools find views as before
        assert len(db.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()) > 10


def test_a_change_after_an_erasure_is_still_named(store: DuckDBStore, tmp_path: Path) -> None:
    """What is left of a sealed row is vouched for: its figures, and who did it if somebody else."""
    store.erase(["s", "t"], who="Ira")
    assert store.verify() == []
    db = apsw.Connection(str(tmp_path / "data" / "hot.sqlite3"))
    for sql in (
        "UPDATE calls SET output_tokens = output_tokens + 1 WHERE seq = 1",
        "UPDATE calls SET output_tokens = output_tokens - 1 WHERE seq = 1",
        "UPDATE events SET who = 'Mallory' WHERE kind = 'erased'",
    ):
        db.execute(sql)
        differs = store.verify() != []
        assert differs is ("- 1" not in sql), sql
    db.close()


def test_an_erasure_vouches_for_nothing_that_differed_before(store: DuckDBStore, tmp_path: Path) -> None:
    """Somebody who has changed a figure is not helped by erasing the session."""
    db = apsw.Connection(str(tmp_path / "data" / "hot.sqlite3"))
    db.execute("UPDATE calls SET output_tokens = output_tokens + 1")
    db.close()
    assert store.verify("s") != []
    store.erase(["s"], who="Ira")
    assert store.verify("s") != []


def test_a_session_id_with_the_name_in_it_is_replaced(tmp_path: Path, clock: Clock) -> None:
    """The chain still follows, and the old id finds nothing."""
    with_name = f"{NAME} 1"
    store = DuckDBStore(tmp_path / "data", clock=clock, background=False)
    store.open_session(NewSession(with_name, NAME, 10**6, "m"))
    store.set_status(with_name, Status.ACTIVE)
    say(store, with_name, "zebrafink-question")
    store.set_status(with_name, Status.COMPLETED)
    store.flush()
    (new,) = store.erase([with_name], who="Ira").sessions
    assert found_in(tmp_path) == []
    assert store.verify() == []
    assert [m.role for m in store.history(new)] == ["user", "assistant"]
    with pytest.raises(UnknownSession):
        store.session(with_name)
    store.close()


def test_who_is_in_the_way_is_named_and_nothing_is_changed(store: DuckDBStore, tmp_path: Path) -> None:
    """A running session, an open call, a record that another tool has open; one line each."""
    store.open_session(NewSession("v", NAME, 10**6, "m"))
    store.set_status("v", Status.ACTIVE)
    with pytest.raises(SessionInactive, match="session v is active; end it first"):
        store.erase(["s", "v"])
    held = store.reserve("v", 5, lease_s=600)
    assert held
    store.set_status("v", Status.COMPLETED)
    with pytest.raises(SessionInactive, match="a call of session v has not ended"):
        store.erase(["v"])
    store.release(held)
    store.flush()
    path = str(tmp_path / "data" / "usage.duckdb")
    code = (
        f"import duckdb, time; db = duckdb.connect({path!r}, read_only=True); "
        "print('open', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreBusy, match=f"process {other.pid}.*close it there"):
            store.erase(["s"])
        other.kill()
    assert store.session("s").candidate == NAME
    with pytest.raises(UnknownSession):
        store.erase(["nobody"])


def test_others_go_on_while_somebody_is_erased(store: DuckDBStore, tmp_path: Path, clock: Clock) -> None:
    """Another process has the ledger open and writes before and after; its rows arrive."""
    other = DuckDBStore(tmp_path / "data", clock=clock, background=False)
    other.open_session(NewSession("w", "Hedy", 10**6, "m"))
    other.set_status("w", Status.ACTIVE)
    say(other, "w", "before")
    store.erase(["s", "t"], who="Ira")
    call = CallStart(None, 1, "demo", "m", request_id="second")
    held = other.reserve("w", 100, lease_s=600, call=call)
    assert held
    assert other.settle(held, CallEnd(1, 2), messages=[Message(2, "user", "after")])
    other.flush()
    assert [m.content for m in store.history("w")][-1] == "after"
    assert store.verify() == []
    assert store.check() == []
    other.close()


@pytest.mark.parametrize("step", ["take_place", "write_anew", "hot"])
def test_an_erasure_that_was_cut_short_is_gone_on_with(
    store: DuckDBStore, tmp_path: Path, clock: Clock, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever step fails, the next attempt finishes; meanwhile `check` says what was begun."""
    from ib_duckdb import erase_record, erase_rows
    from ib_duckdb.hot import Hot

    store.flush()
    copy_database(tmp_path / "data" / "usage.duckdb", tmp_path / "data" / "usage.damaged-1.duckdb")
    owner: Any = {"hot": erase_rows, "write_anew": Hot}.get(step, erase_record)
    name = "record_erasure" if step == "hot" else step

    def cut(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(owner, name, cut)
        store.erase(["s", "t"], who="Ira")
    later = DuckDBStore(tmp_path / "data", clock=clock, background=False)
    if step == "hot":  # not begun: nothing has changed
        assert later.check() == []
        assert later.session("s").candidate == NAME
        later.erase(["s", "t"], who="Ira")
    else:
        assert any("was begun and not finished" in line for line in later.check())
        assert later.resume_erasures() is not None
    assert later.resume_erasures() is None
    assert found_in(tmp_path) == []
    assert later.check() == []
    assert later.verify() == []
    later.close()


KILLED = """
import sys
from pathlib import Path
import duckdb
real = duckdb.connect
def plain(*args, **kwargs):
    db = real(*args, **kwargs)
    db.execute("SET force_compression = 'uncompressed'")
    return db
duckdb.connect = plain
from ib_duckdb.store import DuckDBStore
store = DuckDBStore(Path(sys.argv[1]), background=False)
print("ready", flush=True)
store.resume_erasures()
if any(s.candidate.startswith("\\u00c9lodie") for s in store.known_sessions()):
    store.erase(["s", "t"], who="Ira")
print("done", flush=True)
"""


@pytest.mark.parametrize("run", range(int(os.environ.get("ERASE_RUNS", "1"))))
def test_kills_at_any_moment_leave_nothing_behind(store: DuckDBStore, tmp_path: Path, run: int) -> None:
    """`kill -9` later at each attempt until one gets through; then no byte is left.

    ERASE_RUNS says how often, each time beginning at another moment (`make erase-crash`).
    """
    store.flush()
    store.close()
    data, wait, rest = tmp_path / "data", 0.4 + 0.031 * (run % 25), ""
    while "done" not in rest:
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(data)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            time.sleep(wait)
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read()
        wait *= 5
    assert found_in(tmp_path) == []
    again = DuckDBStore(data, background=False)
    assert again.check() == []
    assert again.verify() == []
    again.close()
