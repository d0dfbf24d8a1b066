"""Erasing a person on PostgreSQL: no dump and no file of the database has a word of theirs afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from postgres_servers import Databases, run
from test_store_erasure import ID, NAME, PLANTED, Clock, fill, found_in, say

from ib_kernel.assessment import export, privacy
from ib_kernel.errors import SessionInactive, StoreBusy, StoreError, UnknownSession
from ib_kernel.values import Message, NewSession, Status
from ib_kernel.values.erasure import PSEUDONYM

psycopg = pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
from ib_postgres.store import PostgresStore  # noqa: E402


class Ledger:
    """A ledger with every kind of row about one person, its database, and what is in it as bytes."""

    def __init__(self, ledgers: Databases, folder: Path) -> None:
        self.server, self.folder = ledgers.server, folder
        self.database = ledgers.take(folder)
        self.url = self.server.url(self.database)
        self.clock = Clock()
        self.store: Any = PostgresStore(self.url, clock=self.clock, store_timeout_s=30, background=False)
        fill(self.store, self.clock)

    def dump(self) -> Path:
        """Return a folder that has what pg_dump writes, and the statistics that it does not."""
        folder = self.folder / "dump"
        folder.mkdir(exist_ok=True)
        done = run(str(self.server.bin / "pg_dump"), "--inserts", self.url)
        (folder / "dump.sql").write_text(done.stdout, encoding="utf-8")
        with psycopg.connect(self.url) as db:
            stats = db.execute("SELECT * FROM pg_stats WHERE schemaname = 'ib'").fetchall()
        (folder / "statistics.txt").write_text("\n".join(map(str, stats)), encoding="utf-8")
        return folder

    def files(self) -> Path:
        """Return the database's folder once the server has let go of what it has removed."""
        self.server.execute("CHECKPOINT", database=self.database)
        with psycopg.connect(self.url) as db:
            (oid,) = db.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        return self.server.data / "base" / str(oid)


@pytest.fixture
def ledger(ledgers: Databases, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger in which one person was interviewed twice, and somebody else once."""
    made = Ledger(ledgers, tmp_path / "ledger")
    made.folder.mkdir(parents=True, exist_ok=True)
    yield made
    made.store.close()
    ledgers.give_back(tmp_path)


def test_no_byte_of_the_person_is_left(ledger: Ledger) -> None:
    """Dump, statistics and files have each planted word before, and none afterwards; all adds up."""
    store = ledger.store
    ledger.server.execute("ANALYZE", database=ledger.database)
    for place in (ledger.dump(), ledger.files()):
        assert {line.rpartition(" in ")[0] for line in found_in(place)} == set(PLANTED)
    sums = {name: store.totals(name) for name in ("s", "t", "other")}
    done = store.erase(["s", "t"], who="Ira")
    assert found_in(ledger.dump()) == []
    assert found_in(ledger.files()) == []
    assert {name: store.totals(name) for name in sums} == sums
    assert store.check() == []
    verified = store.verification()
    assert verified.differences == ()
    assert verified.erased > 10
    assert done.rows["messages"] == 4
    assert any("standbys" in place for place in done.elsewhere)
    assert {store.session(name).candidate for name in ("s", "t")} == {store.session("s").candidate}
    assert store.session("s").candidate.startswith(PSEUDONYM)
    assert [m.content for m in store.history("other")] == ["mine", "plain answer"]
    event = store.events("s")[-1]
    assert (event.kind, event.who) == ("erased", "Ira")
    assert store.invitations("s") == []
    assert store.grant("ab" * 32) is None


def test_a_change_after_an_erasure_is_still_named(ledger: Ledger) -> None:
    """Seals vouch for what is left; nothing vouches for what differed before."""
    store = ledger.store
    change = "UPDATE ib.calls SET output_tokens = output_tokens + 1 WHERE session_key = ib.session_key('{}')"
    ledger.server.execute(change.format("t"), database=ledger.database)
    assert store.verify("t") != []
    store.erase(["s", "t"], who="Ira")
    assert store.verify("s") == []
    assert store.verify("t") != []
    ledger.server.execute(change.format("s"), database=ledger.database)
    assert store.verify("s") != []


def test_a_session_id_with_the_name_in_it_is_replaced(ledger: Ledger) -> None:
    """And so is its key, which follows from the id, in every table."""
    store, with_name = ledger.store, f"{NAME} 1"
    store.open_session(NewSession(with_name, NAME, 10**6, "m", external_id=ID))
    store.set_status(with_name, Status.ACTIVE)
    say(store, with_name, "zebrafink-question")
    store.set_status(with_name, Status.COMPLETED)
    ids = store.erase([with_name, "s", "t"], who="Ira").sessions
    (new,) = set(ids) - {"s", "t"}
    assert [m.role for m in store.history(new)] == ["user", "assistant"]
    assert store.check() == []
    assert store.verify() == []
    assert found_in(ledger.dump()) == []
    with pytest.raises(UnknownSession):
        store.session(with_name)


def test_who_is_in_the_way_is_named(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running session changes nothing; a table that is in use leaves an erasure that is gone on with."""
    store = ledger.store
    store.open_session(NewSession("v", NAME, 10**6, "m"))
    store.set_status("v", Status.ACTIVE)
    with pytest.raises(SessionInactive, match="session v is active; end it first"):
        store.erase(["s", "v"])
    assert store.session("s").candidate == NAME
    monkeypatch.setattr("ib_postgres.privacy.LOCK_S", 1)
    with psycopg.connect(ledger.url) as reader:
        reader.execute("SELECT count(*) FROM ib.messages")  # its transaction goes on
        with pytest.raises(StoreBusy, match="run the same again"):
            store.erase(["s", "t"])
    assert any("was begun and not finished" in line for line in store.check())
    done = store.resume_erasures()
    assert done is not None
    assert set(done.sessions) == {"s", "t"}
    assert store.resume_erasures() is None
    assert store.check() == []
    assert [line for line in found_in(ledger.dump()) if NAME not in line] == []  # v goes on


def test_a_role_that_may_not_write_anew_is_told(ledger: Ledger) -> None:
    """The server only warns then: nothing is said to be done that is not, and its owner goes on."""
    rows = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ib"
    may = ("USAGE ON SCHEMA ib", rows, "EXECUTE ON ALL FUNCTIONS IN SCHEMA ib")
    grants = "; ".join(f"GRANT {right} TO eraser" for right in may)
    ledger.server.execute(f"CREATE ROLE eraser LOGIN BYPASSRLS; {grants}", database=ledger.database)
    try:
        url = ledger.server.url(ledger.database, "eraser")
        other = PostgresStore(url, clock=ledger.clock, store_timeout_s=30, background=False)
        with closing(other), pytest.raises(StoreError, match=r"may not write ib\.sessions anew"):
            other.erase(["s", "t"])
    finally:
        ledger.server.execute("DROP OWNED BY eraser; DROP ROLE eraser", database=ledger.database)
    assert ledger.store.resume_erasures() is not None
    assert found_in(ledger.files()) == []


def test_what_ib_does_works_here_too(ledger: Ledger) -> None:
    """Whose sessions, what is due, an export, who else names them, and which models have read it."""
    store = ledger.store
    store.add_message("other", Message(0, "interviewer", f"like {NAME.upper()}, I think"))
    person = privacy.find_person(store, ID)
    assert sorted(person.session_ids) == ["s", "t"]
    assert privacy.find_person(store, NAME.lower()).names == [NAME, ID]
    due = privacy.due(store, ledger.clock() + 2 * 86_400)
    assert {one.session_ids[0] for one in due} == {"s", "t", "other"}
    rows, page = export.write(store, person, ledger.folder / "out", ledger.clock(), "Ira")
    for file in (rows, page):
        text = file.read_text(encoding="utf-8")
        assert [word for word in PLANTED if word not in text] == []
    assert privacy.mentions(store, person) == ["other"]
    assert privacy.models_of(store, person.session_ids) == []  # the demo's
    assert store.events("s")[-1].kind == "exported"


def test_rows_about_a_person_are_all_of_theirs(ledger: Ledger) -> None:
    """Every planted word stands in the rows, no hash of a code or token, and nobody else's row."""
    rows = dict(ledger.store.rows_about(["s", "t"]))
    told = str(rows)
    assert [word for word in PLANTED if word not in told] == []
    assert "mine" not in {row.get("content") for row in rows["messages"]}
    assert "hash" not in " ".join(name for table in rows.values() for row in table for name in row)
    known = {session.session_id: session for session in ledger.store.known_sessions()}
    assert (known["s"].candidate, known["s"].external_id) == (NAME, ID)
