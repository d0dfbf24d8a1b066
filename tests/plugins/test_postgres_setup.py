"""Choosing the ledger on PostgreSQL: its address, `ib store`, a pooler, what is done while nobody calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_servers import Databases, PgBouncer, PostgresServer

from ib_kernel.errors import ConfigError, StoreError
from ib_kernel.host import store_tools
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.testing.store import Clock
from ib_kernel.values import CallEnd, CallStart, Change, LedgerEvent, NewSession, Status

pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
import psycopg

import ib_postgres
from ib_postgres.address import Address
from ib_postgres.migrate import migrate
from ib_postgres.store import PostgresStore


@pytest.fixture
def name(ledgers: Databases, tmp_path: Path) -> Iterator[str]:
    """An empty ledger's database."""
    yield ledgers.take(tmp_path)
    ledgers.give_back(tmp_path)


@pytest.fixture
def plugins() -> Plugins:
    """This plugin and nothing else."""
    return Plugins([ib_postgres])


def test_ib_store_makes_migrates_and_checks(
    postgres: PostgresServer, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty database becomes a ledger; one that is there is not made again; what is wrong is named."""
    postgres.execute("DROP DATABASE IF EXISTS chosen", "CREATE DATABASE chosen")
    monkeypatch.setenv("IB_POSTGRES_URL", postgres.url("chosen"))
    settings, said = Settings(store="postgres"), []
    with pytest.raises(StoreError, match="no ledger yet; ib store init"):
        store_tools.migrate(settings, said.append, plugins)
    assert store_tools.init(settings, said.append, plugins) == 0
    with pytest.raises(StoreError, match="ib store migrate"):
        store_tools.init(settings, said.append, plugins)
    assert store_tools.migrate(settings, said.append, plugins) == 0
    assert "up to date" in said[-1]
    store = plugins.store(settings)
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.close()
    assert store_tools.check(settings, said.append, plugins) == 0
    assert said[-1] == "the ledger adds up"
    postgres.execute("UPDATE ib.sessions SET held = 5", database="chosen")
    assert store_tools.check(settings, said.append, plugins) == 1
    assert "held is 5 in its totals and 0 in its rows" in said[-1]
    assert all("\n" not in line for line in said)


def test_a_ledger_of_files_needs_no_setting_up(plugins: Plugins) -> None:
    """And says so; an unknown one is told with what is installed."""
    import ib_duckdb

    both = Plugins([ib_postgres, ib_duckdb])
    with pytest.raises(ConfigError, match="the ledger duckdb needs no setting up"):
        store_tools.init(Settings(store="duckdb"), print, both)
    with pytest.raises(ConfigError, match="no store called 'oracle'"):
        store_tools.check(Settings(store="oracle"), print, both)


def test_the_environment_names_the_database(
    postgres: PostgresServer, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """PGSERVICE and its file, or PGHOST and its like, where no address is given."""
    file = tmp_path / "services"
    file.write_text(
        f"[interviews]\nhost=127.0.0.1\nport={postgres.port}\nuser=postgres\ndbname={name}\npassword=not-shown-7\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGSERVICE", "interviews")
    store = PostgresStore("", background=False)
    assert store.sessions() == []
    assert store.location() == f"postgresql://postgres@127.0.0.1:{postgres.port}/{name}"
    store.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ib:secret-word-9@db1,db2:6000/x", "postgresql://ib@db1:5432,db2:6000/x"),
        ("host=db1,db2 port=1,2 user=ib dbname=x password=secret-word-9", "postgresql://ib@db1:1,db2:2/x"),
        ("service=teams password=secret-word-9", "service teams"),
    ],
)
def test_an_address_is_shown_without_its_password(
    url: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several hosts the one that takes writes is asked for, unless somebody says otherwise."""
    for variable in ("PGPORT", "PGUSER", "PGHOST", "PGDATABASE", "PGSERVICE"):
        monkeypatch.delenv(variable, raising=False)
    address = Address(url)
    assert (str(address), repr(address)) == (shown, f"Address({shown})")
    assert "secret-word-9" not in repr(vars(address))
    how = address.connection(5.0, pooler=False)
    assert how.get("target_session_attrs") == ("read-write" if "," in shown else None)
    assert how["password"] == "secret-word-9"


def test_pgbouncer_without_being_told_is_one_line(postgres: PostgresServer, name: str) -> None:
    """It refuses what a connection is set up with; the line says what to set."""
    bouncer = PgBouncer(postgres)
    with pytest.raises(StoreError, match="pooler = true"):
        PostgresStore(bouncer.url(name), background=False)
    store = PostgresStore(bouncer.url(name), background=False, pooler=True)
    assert store.sessions() == []
    store.close()
    bouncer.remove()


def test_time_goes_on_while_nobody_calls(ledgers: Databases, name: str) -> None:
    """A look at running sessions counts their time; old changes and requests are forgotten on the way."""
    clock = Clock()
    store = PostgresStore(ledgers.server.url(name), clock=clock, background=False)
    for session in ("s", "t"):
        store.open_session(NewSession(session, "Ada", 1_000, "m"))
    store.set_status("s", Status.ACTIVE)
    assert store.reserve("s", 1, lease_s=10, call=CallStart(None, request_id="r"))
    _, old = store.changes()
    store.add_event(LedgerEvent("t", "note", 0.0))
    for _ in range(40):
        clock.step(100)
        asked: Any = {"most": 120, "every": 20, "now": clock.now}
        store._database.write("beat", asked)
    assert store.session("s").active_s == pytest.approx(4_000)
    store.add_event(LedgerEvent("s", "note", 0.0))
    told, cursor = store.changes(old)
    assert set(told) >= {Change("s", "session"), Change("t", "session")}  # too long ago to tell what
    assert store.changes(cursor)[0] == []
    store.add_event(LedgerEvent("t", "note", 0.0))
    assert store.changes(cursor)[0] == [Change("t", "event")]
    clock.step(31 * 86_400)
    assert store.request("s", "r") is not None
    store._database.write("beat", {"most": 120, "every": 20, "now": clock.now})
    assert store.request("s", "r") is None
    assert store.check() == []
    store.close()


def test_a_row_that_commits_late_is_not_missed(ledgers: Databases, name: str) -> None:
    """A cursor knows which transactions it has not seen, whatever order they end in."""
    import psycopg

    url = ledgers.server.url(name)
    store = PostgresStore(url, background=False)
    for session in ("s", "t"):
        store.open_session(NewSession(session, "Ada", 1_000, "m"))
    with psycopg.connect(url) as slow:
        key = "(SELECT session_key FROM ib.sessions WHERE session_id = 's')"
        slow.execute(f"SELECT ib.say_changed({key}, 1.0, 'event')")  # begun, and not committed
        _, cursor = store.changes()
        store.add_event(LedgerEvent("t", "note", 0.0))
        told, cursor = store.changes(cursor)
        assert told == [Change("t", "event")]
    assert store.changes(cursor)[0] == [Change("s", "event")]
    store.close()


def test_older_calls_say_what_their_session_had_been_charged(postgres: PostgresServer, name: str) -> None:
    """A ledger from before migration 0041 is filled in; a figure that does not follow from rows is named."""
    store = PostgresStore(postgres.url(name), background=False)
    store.open_session(NewSession("s", "Ada", 10_000, "m", charge="new"))
    store.set_status("s", Status.ACTIVE)
    for tokens in (100, 200, 300):
        store.charge("s", CallEnd(tokens, 5, charged_tokens=tokens // 10))
    with psycopg.connect(postgres.url(name), autocommit=True) as db:
        db.execute("ALTER TABLE ib.calls DROP COLUMN used CASCADE")
        db.execute("DELETE FROM ib.migrations WHERE number = 41")
        assert migrate(db)[0] == "0041_used"
        assert db.execute("SELECT used FROM ib.calls ORDER BY seq").fetchall() == [(10,), (30,), (60,)]
        store.charge("s", CallEnd(400, 5, charged_tokens=40))
        assert store.sql("SELECT used, used FROM burn_down ORDER BY call").rows[-1] == (100, 100)
        assert store.check() == []
        db.execute("UPDATE ib.calls SET used = used + 1 WHERE used = 30")
    assert store.check() == ["session s: its calls do not say what it had been charged by then"]
    store.close()
