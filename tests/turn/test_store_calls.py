"""How often a turn asks its ledger: once before it reserves, and then with its writes alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from notebook_shell import Paced

from ib_duckdb.store import DuckDBStore
from ib_kernel import Interview, Plugins, Settings, TokenService
from ib_kernel.errors import BudgetRefused
from ib_kernel.values import CallEnd, CallStart, LedgerEvent, Message
from ib_kernel.values.turn_view import TurnStore

AT_ONCE = ("standing", "turn_view", "settle_turn")


class Asked:
    """A ledger that notes what it is asked; without *at_once* it is one that offers none of `TurnStore`."""

    def __init__(self, store: DuckDBStore, *, at_once: bool) -> None:
        self._store, self._at_once = store, at_once
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in AT_ONCE and not self._at_once:
            raise AttributeError(name)
        found = getattr(self._store, name)

        def noted(*args: Any, **given: Any) -> Any:
            self.calls.append(name)
            return found(*args, **given)

        return noted if callable(found) else found


def interview(folder: Path, asked: Asked, client: Paced | None = None, **settings: Any) -> Interview:
    """Return an interview on a ledger that notes what it is asked, with two answered turns."""
    plugins = Plugins()
    plugins.register(client or Paced(["Fi", "ne."]), name="paced")
    given = Settings(data_dir=folder, client="paced", token_budget=50_000, **settings)
    service = TokenService(given, plugins=plugins, store=asked)  # type: ignore[arg-type]
    buddy = Interview(given, plugins=plugins, service=service)
    buddy.start()
    for text in ("one", "two"):
        buddy.say_sync(text)
    asked.calls.clear()
    return buddy


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    """A ledger of the test's own."""
    made = DuckDBStore(tmp_path / "data", background=False)
    yield made
    assert made.check() == []
    made.close()


def test_a_turn_reads_its_session_once(tmp_path: Path, store: DuckDBStore) -> None:
    """What it is composed from is one look; the reserve's and the settle's own writes tell the rest."""
    asked = Asked(store, at_once=True)
    with interview(tmp_path, asked) as buddy:
        result = buddy.say_sync("three")
        assert asked.calls == ["turn_view", "reserve", "settle_turn"]
        totals, session = store.totals(buddy.session.session_id), buddy.session
    assert result.totals == totals
    assert result.turns_left == buddy.service.turns_left(session, totals)


def test_a_ledger_of_the_older_kind_serves_as_well(tmp_path: Path, store: DuckDBStore) -> None:
    """Without the optional methods the older ones are asked, and every figure is the same."""
    at_once, older = Asked(store, at_once=True), Asked(store, at_once=False)
    with interview(tmp_path, at_once) as buddy:
        expected = buddy.say_sync("three")
        told = buddy.estimate("four")
    with interview(tmp_path, older) as buddy:
        found = buddy.say_sync("three")
        assert buddy.estimate("four") == told
    assert not {*AT_ONCE} & {*older.calls}
    assert (found.totals, found.turns_left, found.text) == (
        expected.totals,
        expected.turns_left,
        expected.text,
    )


def test_the_forecast_after_a_turn_is_what_the_ledger_would_say(tmp_path: Path, store: DuckDBStore) -> None:
    """The view that a turn has extended by itself foretells what one that is read anew does."""
    assert isinstance(store, TurnStore)
    with interview(tmp_path, Asked(store, at_once=True)) as buddy:
        session_id = buddy.session.session_id
        for text in ("a longer question than before, " * 20, "short", "and one more " * 7):
            result = buddy.say_sync(text)
            fresh = TokenService(buddy.settings, plugins=buddy.plugins, store=store)
            assert result.turns_left == fresh.estimate_turns_left(session_id)


def test_what_was_said_is_kept_as_the_ledger_has_it(tmp_path: Path, store: DuckDBStore) -> None:
    """The transcript that the next prompt is made of is the stored one: without keys and half characters."""
    key = "sk-proj-0123456789abcdefghij"
    asked = Asked(store, at_once=True)
    with interview(tmp_path, asked) as buddy:
        session_id = buddy.session.session_id
        for text in (f"my key is {key}", "half \ud83d of one", "and no more\x00"):
            buddy.say_sync(text)
            kept = buddy.service.turn_view(session_id)
            read = store.turn_view(session_id, turns=8)
            assert list(kept.history) == read.history == store.history(session_id)
            assert kept.is_of(read)
            assert (kept.totals, kept.phase) == (read.totals, read.phase)
        assert key not in repr(kept.history)


@pytest.mark.parametrize("change", ["event", "phase", "message", "call", "erased"])
def test_a_view_is_read_anew_after_any_change(tmp_path: Path, store: DuckDBStore, change: str) -> None:
    """Whatever was added, or taken away, by whomever: the next turn is composed of what is there."""
    with interview(tmp_path, Asked(store, at_once=True)) as buddy:
        session_id = buddy.session.session_id
        before = buddy.service.turn_view(session_id)
        assert buddy.service.turn_view(session_id).history is before.history
        if change == "event":
            store.add_event(LedgerEvent(session_id, "note", 0.0, "me", {"text": "x"}))
        elif change == "phase":
            store.add_event(LedgerEvent(session_id, "phase", 0.0, "me", {"phase": "design"}))
        elif change == "message":
            store.charge(session_id, CallEnd(0, 0), messages=[Message(0, "interviewer", "hello")])
        elif change == "call":
            store.charge(session_id, CallEnd(5, 5), call=CallStart(turn=None))
        else:
            buddy.service.complete(session_id)
            store.erase([session_id], who="me")
        after = buddy.service.turn_view(session_id)
        assert after.history is not before.history
        assert replace(after, session=before.session) == replace(
            store.turn_view(session_id, turns=8), session=before.session
        )


def test_what_others_have_done_meanwhile_is_read(tmp_path: Path, store: DuckDBStore) -> None:
    """A call that was settled while the turn ran makes its own view too old: it is read anew."""
    client = Paced(["Fine."])
    with interview(tmp_path, Asked(store, at_once=True), client) as buddy:
        session_id = buddy.session.session_id
        call = CallStart(turn=2, attempt=2)
        client.before = lambda i: store.charge(session_id, CallEnd(9_000, 500), call=call)
        with buddy.ask("three") as reply:
            for _ in reply:
                pass
        fresh = TokenService(buddy.settings, plugins=buddy.plugins, store=store)
        assert reply.result is not None
        assert reply.result.totals == store.totals(session_id)
        assert reply.result.turns_left == fresh.estimate_turns_left(session_id)


def test_a_reply_is_not_shortened_by_sums_that_are_over(tmp_path: Path, store: DuckDBStore) -> None:
    """What was held when the turn was composed and is free when it reserves leaves room for a whole reply."""
    with interview(tmp_path, Asked(store, at_once=True), reply_tokens=2_000) as buddy:
        session_id = buddy.session.session_id
        other = buddy.service.reserve(session_id, store.totals(session_id).left - 1_000, lease_s=60)
        reply = buddy.ask("three")  # composed while there is little left
        buddy.service.release(other)
        with reply:
            for _ in reply:
                pass
        assert reply.result is not None
        assert (reply.result.plan.cap, reply.result.plan.shrunk_by) == (2_000, "")


def test_a_turn_is_refused_by_the_sums_of_that_moment(tmp_path: Path, store: DuckDBStore) -> None:
    """What another call has taken since the turn was composed is named in the refusal."""
    with interview(tmp_path, Asked(store, at_once=True)) as buddy:
        session_id = buddy.session.session_id
        reply = buddy.ask("three")
        left = store.totals(session_id).left
        buddy.service.reserve(session_id, left - 7, lease_s=60)
        with pytest.raises(BudgetRefused, match="and 7 of 50,000 are left"), reply:
            list(reply)
