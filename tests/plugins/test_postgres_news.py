"""Who waits for changes is woken by others' notifications, or looks by itself; what a server is, is told."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_servers import Databases, nobody, run, wait_until

pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
from ib_kernel.values import Change, LedgerEvent, NewSession
from ib_postgres.news import OFTEN_S, News
from ib_postgres.store import PostgresStore


@pytest.fixture
def url(ledgers: Databases, tmp_path: Path) -> Iterator[str]:
    """An empty ledger with one session."""
    yield ledgers.server.url(ledgers.take(tmp_path))
    ledgers.give_back(tmp_path)


@pytest.fixture
def pair(url: str) -> Iterator[tuple[PostgresStore, PostgresStore]]:
    """Two stores that know of each other by the server only."""
    stores = [PostgresStore(url, background=False, store_timeout_s=30) for _ in "12"]
    stores[0].open_session(NewSession("s", "Ada", 1_000, "gpt-5.4-mini"))
    yield stores[0], stores[1]
    for store in stores:
        store.close()


def hears(waiting: PostgresStore, writing: PostgresStore) -> list[Change]:
    """Return what *waiting* hears when *writing* writes once it waits."""
    _, cursor = waiting.changes()
    heard: list[Change] = []
    thread = threading.Thread(target=lambda: heard.extend(waiting.changes(cursor, wait_s=60)[0]))
    thread.start()
    writing.add_event(LedgerEvent("s", "note", 0.0))
    thread.join()
    return heard


def test_a_notification_ends_the_wait(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by themselves in this test: what is heard was told."""
    for store in pair:
        store.changes("", wait_s=0.01)
        wait_until(lambda store=store: store._others._listening)
    monkeypatch.setattr(News, "poll_s", 600.0)
    first, second = pair
    assert hears(first, second) == [Change("s", "event")]
    assert hears(second, first) == [Change("s", "event")]


def test_nobody_is_told_who_takes_no_part(pair: Any) -> None:
    """A notebook that only writes opens no further connection; hosts find what it wrote by looking."""
    first, second = pair
    first.changes("", wait_s=0.01)
    wait_until(lambda: first._others._listening)
    assert hears(first, second) == [Change("s", "event")]
    assert second._others._threads == []


def test_a_lost_connection_is_opened_again(pair: Any, ledgers: Databases) -> None:
    """Meanwhile whoever waits looks often, and misses nothing."""
    first, second = pair
    first.changes("", wait_s=0.01)
    wait_until(lambda: first._others._listening)
    listening = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    ledgers.server.execute(listening)
    wait_until(lambda: first._others.poll_s == OFTEN_S)
    assert hears(first, second) == [Change("s", "event")]
    wait_until(lambda: first._others._listening)


def test_behind_a_pooler_everybody_looks(url: str) -> None:
    """It passes no notifications on, and no thread waits for any."""
    store = PostgresStore(url, background=False, pooler=True)
    other = PostgresStore(url, background=False)
    try:
        store.open_session(NewSession("s", "Ada", 1_000, "gpt-5.4-mini"))
        assert hears(store, other) == [Change("s", "event")]
        assert (store._others._threads, store._others.poll_s) == ([], OFTEN_S)
    finally:
        store.close()
        other.close()


def test_no_call_waits_for_notifications_of_others(ledgers: Databases, url: str) -> None:
    """No function of the ledger notifies: such transactions are committed one after the other."""
    import psycopg

    with psycopg.connect(url) as db:
        bodies = "SELECT proname FROM pg_proc WHERE pronamespace = 'ib'::regnamespace AND prosrc ~* 'notify'"
        assert db.execute(bodies).fetchall() == []


def test_an_asynchronous_standby_is_warned_of(ledgers: Databases, url: str) -> None:
    """Whatever copies the server without its commits' waiting for it loses calls when it takes over."""
    store = PostgresStore(url, background=False)
    try:
        assert all(well for _, well in store.about())
        folder = str(ledgers.server.home / "copy")
        run("mkdir", folder)
        copy = [str(ledgers.server.bin / "pg_receivewal"), "-D", folder, "-d", ledgers.server.url()]
        with subprocess.Popen([*nobody(), *copy], cwd="/", stderr=subprocess.DEVNULL) as process:
            wait_until(lambda: any("asynchronous" in line and not well for line, well in store.about()))
            process.terminate()
        wait_until(lambda: all(well for _, well in store.about()))
    finally:
        store.close()
