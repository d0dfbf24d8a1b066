"""`HostStoreContract`, third part: lines, clocks and changes of sessions, and evidence."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ib_kernel.errors import ConfigError, SessionInactive, UnknownSession
from ib_kernel.testing._host_base import HostProcesses, Ledger, go, hear
from ib_kernel.testing._store_base import Clock, StoreBase, begin, reserve, spend
from ib_kernel.values import (
    CallStart,
    Cell,
    Change,
    Check,
    KeptChallenge,
    LedgerEvent,
    Message,
    Score,
    Status,
)


class SessionsOfAHost(HostProcesses):
    """What a host writes beside calls, and how it hears of changes."""

    def test_a_line_from_the_interviewer_stands_in_the_transcript(self, store: Ledger, clock: Clock) -> None:
        """Under its own role, outside any turn, at its moment."""
        begin(store)
        clock.step(7)
        store.add_message("s", Message(0, "interviewer", "Five more minutes."))
        assert store.history("s") == [Message(0, "interviewer", "Five more minutes.", clock.now)]
        with pytest.raises(UnknownSession):
            store.add_message("nobody", Message(0, "interviewer", "hello"))

    def test_the_clock_did_not_run(self, store: Ledger, clock: Clock) -> None:
        """Seconds that were spent waiting are given back, never more than have run, with an event."""
        begin(store, time_limit_s=100.0)
        clock.step(60)
        assert store.credit_time("s", 25.5, "queued", who="the host").time_left_s == pytest.approx(65.5)
        event = store.events("s")[-1]
        assert (event.kind, event.who, event.detail) == (
            "clock_stopped",
            "the host",
            {"seconds": 25.5, "reason": "queued"},
        )
        assert store.credit_time("s", 1_000, "outage").active_s == 0
        for wrong in (-1, float("nan")):
            with pytest.raises(ConfigError):
                store.credit_time("s", wrong, "queued")

    def test_time_given_back_revives(self, store: Ledger, clock: Clock) -> None:
        """A session that expired while it waited goes on; an ended one does not."""
        begin(store, time_limit_s=100.0)
        clock.step(110)
        assert store.session("s").status == Status.EXPIRED
        revived = store.credit_time("s", 30, "outage")
        assert (revived.status, revived.time_left_s, revived.ended_at) == (Status.ACTIVE, 30, None)
        clock.step(10)
        assert store.session("s").time_left_s == pytest.approx(20)
        store.set_status("s", Status.COMPLETED)
        with pytest.raises(SessionInactive):
            store.credit_time("s", 5, "queued")

    def test_changes_are_told_once(self, store: Ledger) -> None:
        """From a cursor on: which sessions, and what kind; the next cursor has them no more."""
        begin(store)
        begin(store, session_id="t")
        none, cursor = store.changes()
        assert none == []
        assert store.changes(cursor)[0] == []
        spend(store, 1, 1)
        store.add_message("t", Message(0, "interviewer", "hello"))
        store.extend_budget("t", 5)
        held = reserve(store, 5, call=CallStart(None, request_id="r"))
        told, cursor = store.changes(cursor)
        kinds = {("s", "call"), ("t", "message"), ("t", "session"), ("t", "event"), ("s", "reply")}
        assert {(c.session_id, c.kind) for c in told} == kinds
        assert store.changes(cursor)[0] == []
        store.write_reply(held, "hel")
        told, cursor = store.changes(cursor)
        assert told == [Change("s", "reply")]
        store.add_cell(Cell("s", "x = 1"))
        store.add_check(Check("s", "visible", 1, 1))
        store.add_score(Score("s", "names it", "Grace", "person", 2))
        assert {c.kind for c in store.changes(cursor)[0]} == {"cell", "check", "score"}

    def test_a_cursor_of_nowhere_is_now(self, store: Ledger) -> None:
        """What no call has returned is no error and tells no changes."""
        begin(store)
        for cursor in ("what", "1.2.3", "00000000:1.1.1.1.1.1.1.1"):
            assert store.changes(cursor)[0] == []

    def test_a_change_ends_the_wait(self, store: Ledger) -> None:
        """Whoever waits hears of a change by another thread, and of none when there is none."""
        begin(store)
        _, cursor = store.changes()
        assert store.changes(cursor, wait_s=0.01)[0] == []
        teller = threading.Timer(0.05, lambda: store.add_event(LedgerEvent("s", "note", 0.0)))
        teller.start()
        assert store.changes(cursor, wait_s=60)[0] == [Change("s", "event")]
        teller.join()

    def test_changes_are_heard_across_processes(self, folder: Path) -> None:
        """What another process writes ends the wait here."""
        if not self.process_factory:
            pytest.skip(self.single_process_reason)
        store: Any = self.make_store(folder, Clock(time.time()))
        begin(store)
        _, cursor = store.changes()
        with self.child(folder, "speak", "note") as other:
            go(other)
            assert Change("s", "event") in store.changes(cursor, wait_s=60)[0]
            assert hear(other)["done"]
        store.close()

    def test_coroutines_do_what_their_namesakes_do(self, store: Ledger) -> None:
        """Where a store has them, a host on an event loop gets the same answers."""
        begin(store)
        mine: Any = store
        if not hasattr(mine, "awrite_reply"):
            pytest.skip("this store has no coroutines")
        held = reserve(store, 5, call=CallStart(None, request_id="r"))

        async def work() -> None:
            assert await mine.awrite_reply(held, "hello")
            assert (await mine.arequest("s", "r")).text == "hello"
            await mine.aadd_message("s", Message(0, "interviewer", "hi"))
            await mine.aadd_event(LedgerEvent("s", "note", 0.0, "Grace", {"text": "calm"}))
            assert (await mine.acredit_time("s", 1, "queued")).session_id == "s"
            assert await mine.agrant("0" * 64) is None
            _, cursor = await mine.achanges()
            waiting = asyncio.ensure_future(mine.achanges(cursor, wait_s=60))
            await asyncio.sleep(0)
            await mine.aadd_cell(Cell("s", "x = 1"))
            assert (await waiting)[0] == [Change("s", "cell")]

        asyncio.run(work())
        assert [m.content for m in store.history("s")] == ["hi"]


class Evidence(StoreBase):
    """Cells, checks, challenges and scores."""

    def test_cells_and_checks_are_numbered(self, store: Ledger, clock: Clock) -> None:
        """Each session's from 1 on, and they come back as they were given."""
        begin(store)
        begin(store, session_id="t")
        cell = Cell("s", "1/0\n", False, clock.now, clock.now + 1, 7, "python", "ZeroDivisionError", 3, "é\n")
        check = Check(
            "s",
            "hidden",
            1,
            2,
            ({"name": "a", "ok": True}, {"name": "b", "ok": False}),
            "sha",
            "source",
            "host",
            clock.now,
            clock.now + 2,
        )
        assert [store.add_cell(cell).n for _ in range(3)] == [1, 2, 3]
        assert store.add_cell(Cell("t", "")).n == 1
        assert store.add_check(check).n == 1
        assert [c.source for c in store.cells("s")] == ["1/0\n"] * 3
        assert store.cells("s")[0] == store.add_cell(cell).__class__(**_of(cell, n=1))
        assert store.checks("s") == [Check(**_of(check, n=1))]
        with pytest.raises(UnknownSession):
            store.add_cell(Cell("nobody", "x"))

    def test_wrong_evidence_is_one_line(self, store: Ledger) -> None:
        """Suites, places, levels and times that cannot be are refused."""
        begin(store)
        wrong: list[Any] = [
            lambda: store.add_check(Check("s", "secret", 1, 1)),  # type: ignore[arg-type]
            lambda: store.add_check(Check("s", "visible", -1, 1)),
            lambda: store.add_score(Score("s", "c", "Grace", "person", 4)),
            lambda: store.add_score(Score("s", "c", "Grace", "robot", 1)),  # type: ignore[arg-type]
            lambda: store.add_cell(Cell("s", "x", started_at=float("nan"))),
            lambda: store.keep_challenge(KeptChallenge("", "n", "1", "text")),
        ]
        for add in wrong:
            with pytest.raises(ConfigError):
                add()

    def test_a_challenge_is_kept_as_it_was_given(self, store: Ledger) -> None:
        """By its hash: the first one stays, whatever comes later under the same."""
        given = KeptChallenge("abc", "limiter", "1", "Write it.", {"starter.py": "def f(): ..."}, 5.0)
        store.keep_challenge(given)
        store.keep_challenge(KeptChallenge("abc", "forged", "2", "Other."))
        assert store.challenge("abc") == given
        assert store.challenge("abd") is None

    def test_scores_are_all_kept(self, store: Ledger, clock: Clock) -> None:
        """A later one of the same rater stands beside the first; nothing is replaced."""
        begin(store)
        first = Score("s", "names it", "Grace", "person", 1, reason="late", quotes=({"turn": 1},))
        second = Score("s", "names it", "Grace", "person", 2, saw_model=True)
        ranged = Score("s", "names it", "model", "model", None, 1, 2, model="m", prompt_version="p")
        given = [store.add_score(score) for score in (first, second, ranged)]
        assert [s.created_at for s in given] == [clock.now] * 3
        assert store.scores("s") == given


def _of(value: Any, **changed: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__} | changed
