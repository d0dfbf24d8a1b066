"""What the ledger on PostgreSQL does when the server, the network or somebody else does not play along."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from postgres_servers import Databases, PostgresServer, binaries, wait_until

from ib_kernel.errors import BuddyError, StoreError
from ib_kernel.values import CallEnd, CallStart, LedgerEvent, Message, NewSession, Reservation, Status

pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
import psycopg

from ib_postgres.faults import Unconfirmed
from ib_postgres.migrate import migrate
from ib_postgres.store import PostgresStore

PASSWORD = "correct-horse-battery-9"
AWAY_S = 1.5
"""Seconds that a test's store waits for a ledger that is away."""


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop, kill and cut off."""
    server = PostgresServer(binaries()).make()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def own_ledgers(own_server: PostgresServer) -> Databases:
    """Empty ledgers on it."""
    return Databases(own_server)


@pytest.fixture
def url(ledgers: Databases, tmp_path: Path) -> Iterator[str]:
    """The address of an empty ledger."""
    yield ledgers.server.url(ledgers.take(tmp_path))
    ledgers.give_back(tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    """A store on it with a session that has begun."""
    store = opened(url)
    yield store
    assert store.check() == []
    assert store.verify() == []
    store.close()


def opened(url: str, timeout_s: float = 20.0, **more: Any) -> PostgresStore:
    """Open a ledger and begin a session in it, if there is none."""
    store = PostgresStore(url, store_timeout_s=timeout_s, background=False, **more)
    if not store.sessions():
        store.open_session(NewSession("s", "Ada", 10**9, "gpt-5.4-mini"))
        store.set_status("s", Status.ACTIVE)
    return store


def held(store: PostgresStore, **more: Any) -> Reservation:
    """Reserve ten tokens."""
    got = store.reserve("s", 10, lease_s=600, **more)
    assert isinstance(got, Reservation), got
    return got


class Proxy:
    """A way to the server that loses the server's answer to a statement, once, and then the connection."""

    def __init__(self, port: int) -> None:
        self._to, self.lose = port, b""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                lost = threading.Event()
                threading.Thread(target=self._forth, args=(near, far, lost), daemon=True).start()
                threading.Thread(target=self._back, args=(near, far, lost), daemon=True).start()

    def _forth(self, near: socket.socket, far: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                if self.lose and self.lose in data:
                    self.lose = b""
                    lost.set()
                far.sendall(data)
        with suppress(OSError):
            far.shutdown(socket.SHUT_WR)

    def _back(self, near: socket.socket, far: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := far.recv(65536):
                if lost.is_set():  # it was done, and nobody will hear of it
                    break
                near.sendall(data)
        for end in (near, far):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()


@pytest.fixture
def proxy(ledgers: Databases) -> Iterator[Proxy]:
    """A way to the run's server."""
    made = Proxy(ledgers.server.port)
    yield made
    made.close()


@pytest.fixture
def far(url: str, proxy: Proxy, ledgers: Databases) -> Iterator[PostgresStore]:
    """A store that is reached through the proxy."""
    store = opened(url.replace(str(ledgers.server.port), str(proxy.port)))
    yield store
    assert store.check() == []
    assert store.verify() == []
    store.close()


def test_a_lost_answer_to_a_reservation_is_found_again(far: PostgresStore, proxy: Proxy) -> None:
    """It was made; asking once more finds it, and makes no second one."""
    proxy.lose = b"ib.reserve"
    reservation = held(far, call=CallStart(None, request_id="r"))
    assert proxy.lose == b""
    assert (far.totals("s").held, reservation.turn, len(far.reservations())) == (10, 1, 1)
    proxy.lose = b"ib.settle"
    assert far.settle(reservation, CallEnd(3, 4), messages=[Message(0, "user", "hi")])
    assert proxy.lose == b""
    assert (far.totals("s").used, far.totals("s").messages) == (7, 1)


def test_lost_answers_to_the_rest_are_found_again(far: PostgresStore, proxy: Proxy) -> None:
    """Each was done once, and says so."""
    released, doubtful = held(far), held(far)
    proxy.lose = b"ib.release"
    assert far.release(released)
    proxy.lose = b"ib.mark_unresolved"
    assert far.mark_unresolved(doubtful, "TimedOut")
    proxy.lose = b"ib.charge"
    assert far.charge("s", CallEnd(1, 1)).used == 2
    proxy.lose = b"ib.add_event"
    far.add_event(LedgerEvent("s", "note", 0.0))
    proxy.lose = b"ib.add_message"
    far.add_message("s", Message(0, "interviewer", "hello"))
    proxy.lose = b"ib.set_status"
    assert far.set_status("s", Status.PAUSED).status == Status.PAUSED
    proxy.lose = b"ib.extend_budget"
    proxy.lose = b"ib.set_budget"
    assert far.extend_budget("s", 5).token_budget == 10**9 + 5
    assert proxy.lose == b""
    assert [event.kind for event in far.events("s")].count("note") == 1
    assert far.totals("s").messages == 1


def test_a_server_that_has_stopped_refuses_in_time(
    own_server: PostgresServer, own_ledgers: Databases
) -> None:
    """SIGSTOP: nothing is admitted, the line says so, and afterwards everything goes on."""
    store = opened(own_server.url(own_ledgers.take(Path("/stopped"))), AWAY_S)
    reservation = held(store)
    own_server.signal(signal.SIGSTOP)
    try:
        for work in (
            lambda: held(store),
            lambda: store.settle(reservation, CallEnd(1, 1)),
            lambda: store.totals("s"),
        ):
            with pytest.raises(StoreError, match="does not answer") as caught:
                work()
            assert "\n" not in str(caught.value)
    finally:
        own_server.signal(signal.SIGCONT)
    wait_until(lambda: _settled(store, reservation))
    assert store.totals("s").used == 2
    assert store.check() == []
    store.close()


def _settled(store: PostgresStore, reservation: Reservation) -> bool:
    with suppress(StoreError):
        return store.settle(reservation, CallEnd(1, 1))
    return False


def test_a_killed_server_loses_nothing(own_server: PostgresServer, own_ledgers: Databases) -> None:
    """`kill -9` amid pairs: what was acknowledged is there, once, and the same store goes on."""
    store = opened(own_server.url(own_ledgers.take(Path("/killed"))), AWAY_S)
    told: list[int] = []
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            with suppress(StoreError):
                if store.settle(held(store), CallEnd(1, 1)):
                    told.append(1)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        before = len(told)
        wait_until(lambda: len(told) > before + 20)  # noqa: B023 (waited for here)
        own_server.kill()
        own_server.start()
    over.set()
    for thread in threads:
        thread.join()
    totals = store.totals("s")
    assert len(told) <= totals.calls <= len(told) + 4 * 2  # settled, and the server killed before it said so
    assert totals.used == totals.calls * 2
    assert store.check() == []
    assert store.verify() == []
    store.close()


def test_a_wrong_password_is_one_line_and_is_shown_nowhere(
    own_server: PostgresServer,
    own_ledgers: Databases,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Neither the right one nor the wrong one stands in an error, a repr, a location or a log."""
    caplog.set_level(logging.DEBUG)
    name = own_ledgers.take(Path("/secret"))
    own_server.execute(
        "DROP ROLE IF EXISTS guarded", f"CREATE ROLE guarded SUPERUSER LOGIN PASSWORD '{PASSWORD}'"
    )
    rules = own_server.data / "pg_hba.conf"
    rules.write_text("host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
    own_server.execute("SELECT pg_reload_conf()")
    address = f"postgresql://guarded:{PASSWORD}@127.0.0.1:{own_server.port}/{name}"
    wait_until(lambda: not _lets_in(address.replace(PASSWORD, "another")))
    store = opened(address, AWAY_S)
    shown = [store.location(), repr(store), repr(vars(store)), repr(store._database.address)]
    _keeps(tmp_path / "pgpass", f"127.0.0.1:{own_server.port}:*:guarded:{PASSWORD}", monkeypatch)
    opened(address.replace(f":{PASSWORD}", ""), AWAY_S).close()  # where it belongs
    with pytest.raises(BuddyError) as wrong:
        opened(address.replace(PASSWORD, PASSWORD + "x"), AWAY_S)
    assert "password authentication failed" in str(wrong.value)
    with pytest.raises(BuddyError) as unreadable:
        opened(address.replace("postgresql://", "postgresql//"), AWAY_S)
    shown += [str(wrong.value), repr(wrong.value), str(unreadable.value), caplog.text]
    assert all(PASSWORD not in text for text in shown)
    assert "guarded@127.0.0.1" in store.location()
    store.close()


def _keeps(path: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(line, encoding="utf-8")
    path.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(path))


def _lets_in(address: str) -> bool:
    with suppress(psycopg.OperationalError):
        psycopg.connect(address).close()
        return True
    return False


def test_a_ledger_of_another_version_is_refused(ledgers: Databases, tmp_path: Path) -> None:
    """None yet, an older one, a newer one: one line each, and what to type."""
    server, name = ledgers.server, ledgers.take(tmp_path)
    with pytest.raises(StoreError, match="ib store init"):
        opened(server.url("postgres"))
    server.execute("DELETE FROM ib.migrations WHERE number = 8", database=name)
    with pytest.raises(StoreError, match="lacks 0008_evidence; ib store migrate"):
        opened(server.url(name))
    server.execute(
        "INSERT INTO ib.migrations VALUES (8, '0008_evidence'), (9999, '9999_later')", database=name
    )
    with pytest.raises(StoreError, match=r"9999_later.*upgrade"):
        opened(server.url(name))
    with psycopg.connect(server.url(name), autocommit=True) as db, pytest.raises(StoreError, match="upgrade"):
        migrate(db)
    server.execute("DELETE FROM ib.migrations WHERE number = 9999", database=name)
    opened(server.url(name)).close()
    ledgers.give_back(tmp_path)


def test_two_who_migrate_at_once_do_it_once(ledgers: Databases) -> None:
    """The second waits for the first, and finds nothing to do."""
    ledgers.server.execute("DROP DATABASE IF EXISTS raced", "CREATE DATABASE raced")
    done: list[list[str]] = []

    def work() -> None:
        with psycopg.connect(ledgers.server.url("raced"), autocommit=True) as db:
            done.append(migrate(db))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(bool, done)) == [False, False, True]


def test_a_commit_that_no_standby_confirms_is_unresolved(
    own_server: PostgresServer, own_ledgers: Databases
) -> None:
    """The wait for it is cancelled, the server calls that success with a warning: we do not."""
    store = opened(own_server.url(own_ledgers.take(Path("/unconfirmed"))), 30)
    own_server.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    canceller = threading.Thread(target=_cancel_when_waiting, args=(own_server, waiting))
    try:
        wait_until(lambda: _setting(own_server) == "nobody")
        canceller.start()
        with pytest.raises(Unconfirmed, match="has not confirmed"):
            held(store)
    finally:
        canceller.join()
        own_server.execute("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
    wait_until(lambda: _setting(own_server) == "")
    assert store.totals("s").held == 10  # done here, and nobody was told that it is safe
    store.close()


def _setting(server: PostgresServer) -> str:
    with psycopg.connect(server.url(), autocommit=True) as db:
        return str(db.execute("SHOW synchronous_standby_names").fetchone()[0])


def _cancel_when_waiting(server: PostgresServer, waiting: str) -> None:
    with psycopg.connect(server.url(), autocommit=True) as db:

        def found() -> list[Any]:
            return db.execute(waiting).fetchall()  # type: ignore[no-any-return]

        wait_until(found)
        for (pid,) in found():
            db.execute("SELECT pg_cancel_backend(%s)", (pid,))


LATE = """
CREATE SEQUENCE public.tries;
CREATE FUNCTION public.fail_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('public.tries') % 2 = 1 THEN
        RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON ib.reservations DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION public.fail_late()"""


def test_an_answer_whose_commit_fails_is_none(url: str, store: PostgresStore) -> None:
    """As under SERIALIZABLE: the function has answered, its commit fails, and it is asked again."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(LATE)
        try:
            alone = held(store)
            more = asyncio.run(_two(store))
        finally:
            db.execute("DROP TRIGGER late ON ib.reservations")
            db.execute("DROP FUNCTION public.fail_late")
            db.execute("DROP SEQUENCE public.tries")
    kept = {reservation.reservation_id for reservation in store.reservations("s")}
    assert kept == {reservation.reservation_id for reservation in (alone, *more)}


async def _two(store: PostgresStore) -> list[Reservation]:
    """Return two reservations that were asked for together."""
    both = (store.areserve("s", 10, lease_s=60.0) for _ in "12")
    found = await asyncio.gather(*both)
    assert all(isinstance(one, Reservation) for one in found)
    return [one for one in found if isinstance(one, Reservation)]


def test_rows_that_somebody_holds_are_no_endless_wait(url: str) -> None:
    """The statement is given up in time, and nothing of it is there."""
    store = opened(url, 1.0)
    with psycopg.connect(url) as other:
        other.execute("UPDATE ib.sessions SET held = held")
        with pytest.raises(StoreError, match=r"did not finish|does not answer"):
            held(store)
    assert store.totals("s").held == 0
    store.close()


def test_one_bad_write_of_many_spoils_no_other(store: PostgresStore) -> None:
    """Callers that share a transaction each get their own answer."""

    async def work() -> list[Any]:
        twice = CallStart(100, attempt=1)  # a turn that the numbers of the other 18 never come to
        asks = [
            store.areserve("s", 10, lease_s=60, call=twice if n in (3, 9) else CallStart(None))
            for n in range(20)
        ]
        return await asyncio.gather(*asks, return_exceptions=True)

    answers = asyncio.run(work())
    good = [answer for answer in answers if isinstance(answer, Reservation)]
    refused = [repr(answer) for answer in answers if not isinstance(answer, Reservation)]
    assert len(refused) == 1, refused
    assert "attempt 1 already" in refused[0]
    assert len(good) == 19
    assert store.totals("s").held == 190


def test_a_cancelled_caller_leaves_nothing_reserved(store: PostgresStore) -> None:
    """Whether its write was done or not."""

    async def work() -> None:
        asks = [asyncio.ensure_future(store.areserve("s", 10, lease_s=60)) for _ in range(20)]
        await asyncio.sleep(0)
        for ask in asks[::2]:
            ask.cancel()
        kept = await asyncio.gather(*asks, return_exceptions=True)
        assert sum(isinstance(one, Reservation) for one in kept) == 10

    asyncio.run(work())
    wait_until(lambda: store.totals("s").held == 100)


@pytest.mark.parametrize("ceiling", [None, 10**12])
def test_many_sessions_never_wait_in_a_circle(url: str, ceiling: int | None) -> None:
    """Two stores write to the same sessions in batches, in opposite order, also while a ceiling counts."""
    first, second = opened(url), opened(url)
    first.set_ceiling(total_nano_usd=ceiling)
    names = [f"t{n}" for n in range(8)]
    for name in names:
        first.open_session(NewSession(name, "Ada", 10**6, "m"))
        first.set_status(name, Status.ACTIVE)

    async def pairs(store: PostgresStore, order: list[str]) -> None:
        async def one(name: str) -> None:
            got = await store.areserve(name, 1, lease_s=60, nano_usd=3)
            await store.asettle(got, CallEnd(1, 0, cost_nano_usd=2))

        for _ in range(10):
            await asyncio.gather(*(one(name) for name in order))

    threads = [
        threading.Thread(target=lambda s=store, o=order: asyncio.run(pairs(s, o)))  # type: ignore[misc]
        for store, order in ((first, names), (second, names[::-1]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = 0 if ceiling is None else 8 * 2 * 10 * 2
    assert (first.ceiling().total_spent, first.ceiling().held) == (spent, 0)
    assert first.check() == []
    for store in (first, second):
        store.close()
    with psycopg.connect(url) as db:
        met = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert db.execute(met).fetchone() == (0,)


def test_a_forked_child_has_connections_of_its_own(store: PostgresStore) -> None:
    """It writes by itself, and its parent goes on."""
    held(store)
    child = os.fork()
    if not child:
        code = 1
        with suppress(BaseException):
            held(store)
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    held(store)
    assert store.totals("s").held == 30
