"""An embedded ledger moves into PostgreSQL with all of its rows, exactly once, and back out as a file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_servers import Databases
from usage_ledger import Hands, plant

from ib_duckdb.archive import DuckDBFormat
from ib_duckdb.prune import KEEP_S
from ib_duckdb.store import DuckDBStore
from ib_duckdb.views import definitions
from ib_kernel.cli import main
from ib_kernel.errors import StoreError
from ib_kernel.host.tokens import hashed
from ib_kernel.values import CallEnd, CallStart, LedgerEvent, Message, NewSession
from ib_kernel.values.host import Grant, Invitation

pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
import psycopg

from ib_postgres.asking_part import TABLES
from ib_postgres.store import PostgresStore

CHILD = """
import sys
from pathlib import Path
from ib_duckdb import moving
from ib_duckdb.archive import DuckDBFormat
from ib_postgres.store import PostgresStore
moving.PIECE = 3
with DuckDBFormat().source(Path(sys.argv[1])) as source:
    taken, brought = source.history, 0
    def until(after):
        global brought
        for piece in taken(after):
            yield piece
            brought += len(piece.rows)
            if brought >= int(sys.argv[3]):
                print("brought", flush=True)
                sys.stdin.read()
    source.history = until
    PostgresStore(sys.argv[2], background=False).take(source)
"""


ROWS = " + ".join(
    f"(SELECT count(*) FROM ib.{name})" for name in ("calls", "messages", "events", "cells", "checks")
)
"""How many rows there are of what was brought."""


@pytest.fixture
def url(ledgers: Databases, tmp_path: Path) -> Iterator[str]:
    """The address of an empty ledger."""
    yield ledgers.server.url(ledgers.take(tmp_path))
    ledgers.give_back(tmp_path)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[DuckDBStore]:
    """A ledger with sessions, a host's people and tokens, a ceiling and a call in doubt."""
    clock = Hands()
    store = DuckDBStore(tmp_path / "embedded", clock=clock, background=False)
    plant(store, clock)
    now = clock.now
    store.add_person("Grace", "coordinator")
    store.add_invitation(Invitation("i", "ada-1", hashed("code"), "Grace", now, now + 99))
    store.add_grant(Grant(hashed("token"), "candidate", "ada-1", now, now + 99))
    store.host_secret()
    store.set_ceiling(total_nano_usd=10**12, who="Grace")
    start = CallStart(None, 1, "openai", "m", request_id="q1", request_sha="x")
    asked = store.reserve("ben-1", 100, lease_s=60, call=start)
    assert asked
    store.write_reply(asked, "so far")
    store.settle(
        asked, CallEnd(3, 4), messages=[Message(0, "user", "a\0b ␀ é"), Message(0, "assistant", "c")]
    )
    clock.now += 100
    store.clock = clock  # type: ignore[attr-defined]
    yield store
    store.close()


def move(folder: Path, url: str) -> Any:
    """Move the ledger in *folder*; return what has come of it."""
    store = PostgresStore(url, background=False)
    try:
        with DuckDBFormat().source(folder) as source:
            return store.take(source)
    finally:
        store.close()


def test_everything_is_there_afterwards(embedded: DuckDBStore, url: str) -> None:
    """Sums, chains, transcripts, evidence, and what a host keeps; the new ledger goes on from there."""
    folder = Path(embedded.location()).parent
    moved = move(folder, url)
    assert (moved.differences, moved.apart) == ((), 0)
    store = PostgresStore(url, background=False, clock=lambda: embedded.clock.now)  # type: ignore[attr-defined]
    assert (store.check(), store.verify()) == ([], [])
    for session in embedded.sessions():
        name = session.session_id
        assert store.session(name) == session
        assert store.totals(name) == embedded.totals(name)
        assert store.totals(name).chain_head == embedded.totals(name).chain_head
        assert store.history(name) == embedded.history(name)
        assert store.events(name) == embedded.events(name)
        assert store.cells(name) == embedded.cells(name)
        assert store.checks(name) == embedded.checks(name)
        assert store.scores(name) == embedded.scores(name)
        assert store.spent(name) == embedded.spent(name)
    assert store.people() == embedded.people()
    assert store.invitations() == embedded.invitations()
    assert store.grants() == embedded.grants()
    assert store.host_secret() == embedded.host_secret()
    assert store.ceiling() == embedded.ceiling()
    found, known = store.request("ben-1", "q1"), embedded.request("ben-1", "q1")
    assert found is not None
    assert known is not None
    assert (found.text, found.state, found.turn) == (known.text, known.state, known.turn)
    (doubtful,) = store.reservations("ada-1")
    assert store.resolve(doubtful.reservation_id, CallEnd(1, 1), who="Grace")
    held = store.reserve("ben-1", 100, lease_s=60, call=CallStart(None, model="m"))
    assert held
    assert store.settle(held, CallEnd(5, 5), messages=[Message(0, "user", "on we go")])
    assert (store.check(), store.verify()) == ([], [])
    store.close()


def test_what_is_older_than_30_days_comes_along(embedded: DuckDBStore, url: str) -> None:
    """Rows that only the record has, by now, are part of the same sums and chains."""
    embedded.clock.now += KEEP_S + 100  # type: ignore[attr-defined]
    embedded.flush()
    moved = move(Path(embedded.location()).parent, url)
    assert moved.differences == ()
    store = PostgresStore(url, background=False)
    assert (store.check(), store.verify()) == ([], [])
    store.close()


def test_moving_again_brings_what_is_new(embedded: DuckDBStore, url: str) -> None:
    """As long as the new ledger was not used, the old one may go on; what is there is not doubled."""
    folder = Path(embedded.location()).parent
    first = move(folder, url)
    embedded.charge("ada-1", CallEnd(1, 2, cost_nano_usd=3), messages=[Message(20, "user", "late")])
    embedded.open_session(NewSession("dee", "Dee", 100, "m"))
    again = move(folder, url)
    assert again.differences == ()
    assert again.rows["calls"] == first.rows["calls"] + 1
    assert again.rows["sessions"] == first.rows["sessions"] + 1
    store = PostgresStore(url, background=False)
    assert (store.check(), store.verify()) == ([], [])
    store.close()


def test_a_ledger_that_has_gone_on_is_not_written_over(
    embedded: DuckDBStore, url: str, tmp_path: Path
) -> None:
    """Nor one with rows of its own, nor one that another ledger was moved into."""
    folder = Path(embedded.location()).parent
    move(folder, url)
    other = DuckDBStore(tmp_path / "other", background=False)
    other.open_session(NewSession("x", "X", 1, "m"))
    other.close()
    with pytest.raises(StoreError, match="moved here from"):
        move(tmp_path / "other", url)
    store = PostgresStore(url, background=False)
    store.add_event(LedgerEvent("ada-1", "note", 0.0, "Grace", {}))
    before = store.totals("ada-1")
    with pytest.raises(StoreError, match="has gone on"):
        move(folder, url)
    assert store.totals("ada-1") == before
    store.close()


def test_a_ledger_of_its_own_takes_no_other(embedded: DuckDBStore, url: str) -> None:
    """A database in which somebody has begun already is refused, and nothing of it changes."""
    store = PostgresStore(url, background=False)
    store.open_session(NewSession("mine", "Me", 1, "m"))
    with pytest.raises(StoreError, match="sessions of its own"):
        move(Path(embedded.location()).parent, url)
    assert [s.session_id for s in store.sessions()] == ["mine"]
    store.close()


def test_a_call_that_runs_keeps_a_ledger_where_it_is(embedded: DuckDBStore, url: str) -> None:
    """Its owner would settle it there, where nobody looks any more."""
    embedded._clock = time.time
    held = embedded.reserve("ben-1", 10, lease_s=600, call=CallStart(None, model="m"))
    assert held
    with pytest.raises(StoreError, match="1 call runs"):
        move(Path(embedded.location()).parent, url)


def test_a_move_that_is_killed_goes_on_where_it_was(embedded: DuckDBStore, url: str, tmp_path: Path) -> None:
    """`kill -9` in the middle, three times: nothing is lost or doubled, and nobody sees half of it."""
    folder = Path(embedded.location()).parent
    embedded.close()
    script = tmp_path / "child.py"
    script.write_text(CHILD, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    brought = []
    for more in ("3", "9", "27"):
        words = [sys.executable, str(script), str(folder), url, more]
        with subprocess.Popen(
            words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "brought\n"
            child.kill()
        with psycopg.connect(url) as db:
            brought.append(int((db.execute(f"SELECT {ROWS}").fetchone() or (0,))[0]))
            assert db.execute("SELECT count(*) FROM ib.sessions").fetchone() == (0,)
    assert brought == [3, 12, 39]
    moved = move(folder, url)
    assert moved.differences == ()
    store = PostgresStore(url, background=False)
    assert (store.check(), store.verify()) == ([], [])
    store.close()


def test_rows_that_do_not_fit_are_kept_and_stay_in_their_chain(embedded: DuckDBStore, url: str) -> None:
    """A time that is none and JSON that is none: named, kept as they were, and every link still follows."""
    folder = Path(embedded.location()).parent
    with embedded._hot.write() as db:
        db.execute("UPDATE calls SET ended_at = 1.7e15 WHERE seq = 2")
        db.execute("UPDATE events SET detail = '{broken' WHERE seq = 3")
    differing = embedded.verify()
    moved = move(folder, url)
    assert moved.apart == 2
    assert [line for line in moved.differences if "is in quarantine" in line] == list(moved.differences)
    store = PostgresStore(url, background=False)
    assert len([line for line in store.check() if "quarantine" in line]) == 2
    assert [line.split(":")[0] for line in store.verify()] == [line.split(":")[0] for line in differing]
    kept = "SELECT kept FROM ib.quarantine WHERE name = 'events'"
    with psycopg.connect(url) as conn:
        assert b"{broken" in bytes((conn.execute(kept).fetchone() or (b"",))[0])
    assert store.sql("SELECT count(*) FROM events").rows[0][0] == moved.rows["events"]
    store.close()


def test_the_words_of_ib_move_a_ledger_and_take_one_along(
    embedded: DuckDBStore, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """`ib store import-duckdb` and `export-duckdb`, as typed; the file answers what the ledger does."""
    import duckdb

    folder = Path(embedded.location()).parent
    embedded.close()
    monkeypatch.setenv("IB_POSTGRES_URL", url)
    file = tmp_path / "mine.duckdb"
    assert main(["store", "import-duckdb", str(folder), "--store", "postgres"]) == 0
    told = capsys.readouterr().out
    assert "the sums and chains of 3 sessions are the same" in told
    assert main(["store", "export-duckdb", str(file), "--store", "postgres"]) == 0
    assert main(["store", "export-duckdb", str(file), "--store", "postgres"]) == 1
    assert "is there already" in capsys.readouterr().err
    assert main(["store", "export-duckdb", str(tmp_path / "x"), "--data", str(folder)]) == 1
    assert "is files already" in capsys.readouterr().err
    store = PostgresStore(url, background=False)
    with duckdb.connect(str(file), read_only=True) as db:
        for name in (*TABLES, *definitions()):
            if name == "sessions":  # counts on
                continue
            rows = db.execute(f"SELECT count(*) FROM {name}").fetchall()
            assert store.sql(f"SELECT count(*) FROM {name}").rows == rows, name
        sums = "SELECT session_id, total_tokens, cost_usd FROM session_usage ORDER BY 1"
        assert db.execute(sums).fetchall() == store.sql(sums).rows
    store.close()


def test_connect_usage_is_a_copy_in_duckdb(
    embedded: DuckDBStore, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written for the embedded ledger runs on this one: relations, frames, files, and no way back."""
    from ib_kernel import connect_usage
    from ib_kernel.budget.service import get_token_service
    from ib_kernel.settings import Settings

    move(Path(embedded.location()).parent, url)
    settings = Settings(store="postgres", data_dir=tmp_path / "host", plugins={"postgres": {"url": url}})
    monkeypatch.chdir(tmp_path)
    with connect_usage(settings) as usage:
        assert usage.sql("FROM session_usage SELECT sum(calls)").fetchall() == [(19,)]
        usage.sql("COPY (FROM usage_by_day) TO 'days.csv'")
        assert (tmp_path / "days.csv").is_file()
    get_token_service(settings).close()
