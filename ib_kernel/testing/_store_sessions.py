"""`BudgetStoreContract`, second part: sessions, budgets, time limits, transcripts, events, SQL."""

from __future__ import annotations

import itertools

import pytest

from ib_kernel.errors import (
    BudgetRefused,
    ConfigError,
    QueryError,
    SessionError,
    SessionInactive,
    StoreError,
)
from ib_kernel.testing._store_base import Clock, StoreBase, begin, refused, reserve, spend
from ib_kernel.values import (
    TRANSITIONS,
    BudgetStore,
    CallEnd,
    CallStart,
    LedgerEvent,
    Message,
    NewSession,
    Status,
)

_WAY = {
    Status.CREATED: (),
    Status.ACTIVE: (Status.ACTIVE,),
    Status.PAUSED: (Status.ACTIVE, Status.PAUSED),
    Status.COMPLETED: (Status.ACTIVE, Status.COMPLETED),
    Status.CANCELLED: (Status.CANCELLED,),
    Status.EXPIRED: (Status.ACTIVE,),
}
"""How a session gets into each state (an expired one also needs its time to pass)."""


class Sessions(StoreBase):
    """Sessions and what they record."""

    def test_a_session_is_found_as_it_was_opened(self, store: BudgetStore, clock: Clock) -> None:
        """Every fact comes back, and the session begins as created."""
        new = NewSession(
            "s-1", "Ada", 500, "gpt-5.4-mini", role="Backend", level="senior", challenge="rate-limiter",
            persona="assistant", client="demo", prompt_version="v1", time_limit_s=60.0,
            meta={"a": [1, None, "é"]},
        )  # fmt: skip
        opened = store.open_session(new)
        assert opened == store.session("s-1")
        assert (opened.status, opened.created_at, opened.started_at) == (Status.CREATED, clock.now, None)
        for name in (
            "candidate",
            "token_budget",
            "role",
            "challenge",
            "persona",
            "client",
            "time_limit_s",
            "meta",
        ):
            assert getattr(opened, name) == getattr(new, name)
        with pytest.raises(SessionError):
            store.open_session(new)
        with pytest.raises(ConfigError):
            store.open_session(NewSession("", "Ada", 1, "m"))

    @pytest.mark.parametrize(("old", "new"), list(itertools.product(Status, Status)))
    def test_every_transition_is_checked(
        self, store: BudgetStore, clock: Clock, old: Status, new: Status
    ) -> None:
        """A transition happens exactly when the table allows it, and each is recorded with who did it."""
        store.open_session(NewSession("s", "Ada", 1_000, "m", time_limit_s=100.0))
        for step in _WAY[old]:
            store.set_status("s", step)
        if old == Status.EXPIRED:
            clock.step(100)
            assert store.session("s").status == Status.EXPIRED
            store.set_time_limit("s", 1_000.0)
        before = len(store.events("s"))
        if new in TRANSITIONS[old]:
            assert store.set_status("s", new, who="Ada").status == new
            event = store.events("s")[-1]
            assert (event.kind, event.who, event.detail["to"]) == ("status", "Ada", new.value)
            assert event.detail["from"] == old.value
        else:
            with pytest.raises(SessionInactive) as caught:
                store.set_status("s", new)
            assert caught.value.status == old.value
            assert len(store.events("s")) == before
            assert "\n" not in str(caught.value)

    def test_sessions_are_listed_newest_first(self, store: BudgetStore, clock: Clock) -> None:
        """The list can be limited and filtered by state."""
        for name in ("a", "b", "c"):
            begin(store, session_id=name)
            clock.step(1)
        store.set_status("b", Status.PAUSED)
        assert [s.session_id for s in store.sessions()] == ["c", "b", "a"]
        assert [s.session_id for s in store.sessions(limit=2)] == ["c", "b"]
        assert [s.session_id for s in store.sessions(status=Status.ACTIVE)] == ["c", "a"]

    @pytest.mark.parametrize("name", ["Ünï-日本", "a b'c\"d;--", "👩‍👩‍👧", "x" * 500])
    def test_any_text_is_an_id(self, store: BudgetStore, name: str) -> None:
        """Ids are text: no letter, quote or length confuses the ledger."""
        begin(store, session_id=name)
        spend(store, 1, 2, session_id=name)
        assert store.session(name).session_id == name
        assert store.totals(name).used == 3

    def test_a_budget_never_falls_below_what_is_charged(self, store: BudgetStore) -> None:
        """Used, held and in-doubt tokens stay covered; a change is recorded with who made it."""
        begin(store)
        spend(store, 50, 50)
        reserve(store, 100)
        store.mark_unresolved(reserve(store, 200), "timeout")
        with pytest.raises(BudgetRefused):
            store.set_budget("s", tokens=399)
        assert store.set_budget("s", tokens=400, who="Ada").token_budget == 400
        assert store.extend_budget("s", 100).token_budget == 500
        assert store.extend_budget("s", -100).token_budget == 400
        with pytest.raises(BudgetRefused):
            store.extend_budget("s", -1)
        with pytest.raises(BudgetRefused):
            store.extend_budget("s", -10_000)
        with pytest.raises(ConfigError):
            store.set_budget("s", tokens=-1)
        changes = [e for e in store.events("s") if e.kind == "budget"]
        assert [(e.who, e.detail["to"]) for e in changes] == [("Ada", 400), ("", 500), ("", 400)]

    def test_a_budget_grows_while_calls_are_in_flight(self, store: BudgetStore) -> None:
        """An extension is there for the next call at once, and the one in flight settles as before."""
        begin(store, 100)
        held = reserve(store, 100)
        refused(store, 1)
        store.extend_budget("s", 50)
        reserve(store, 50)
        refused(store, 1)
        assert store.settle(held, CallEnd(60, 40))
        assert store.totals("s").left == 0

    def test_active_time_counts_and_a_pause_does_not(self, store: BudgetStore, clock: Clock) -> None:
        """Only active seconds count towards the time limit."""
        begin(store, time_limit_s=100.0)
        clock.step(40)
        assert (store.session("s").active_s, store.session("s").time_left_s) == (40.0, 60.0)
        store.set_status("s", Status.PAUSED)
        clock.step(1_000)
        assert store.session("s").time_left_s == 60.0
        store.set_status("s", Status.ACTIVE)
        clock.step(59)
        reserve(store, 10)
        assert store.session("s").status == Status.ACTIVE

    @pytest.mark.parametrize("look", ["session", "totals", "reserve", "sessions"])
    def test_a_time_limit_expires_by_itself(self, store: BudgetStore, clock: Clock, look: str) -> None:
        """Whoever looks first finds the session expired; that is recorded; more time revives it."""
        begin(store, time_limit_s=100.0)
        clock.step(100)
        if look == "reserve":
            assert refused(store, 1).reason == "expired"
        elif look == "sessions":
            assert [s.status for s in store.sessions()] == [Status.EXPIRED]
        else:
            getattr(store, look)("s")
        assert store.events("s")[-1].detail["to"] == "expired"
        session = store.session("s")
        assert (session.status, session.time_left_s) == (Status.EXPIRED, 0.0)
        with pytest.raises(SessionInactive):
            store.set_status("s", Status.ACTIVE)
        store.set_time_limit("s", 160.0, who="Ada")
        assert store.set_status("s", Status.ACTIVE).time_left_s == 60.0
        reserve(store, 1)
        assert store.set_time_limit("s", None).time_left_s is None

    def test_what_ends_late_is_still_recorded(self, store: BudgetStore) -> None:
        """A call that was in flight when the session ended settles all the same."""
        begin(store)
        held = reserve(store, 100)
        store.set_status("s", Status.COMPLETED)
        assert store.settle(held, CallEnd(10, 10))
        assert store.totals("s").used == 20

    def test_the_transcript_comes_back_in_order(self, store: BudgetStore, clock: Clock) -> None:
        """Messages are stored with the call they belong to, whatever text they are."""
        begin(store)
        texts = ["naïve → 😀", "line\nbreak 'quotes\" {braces} $", "\x00\x7f", "x" * 100_000]
        for turn, text in enumerate(texts, start=1):
            store.charge("s", CallEnd(1, 1), messages=[Message(turn, "user", text)])
        store.charge("s", CallEnd(1, 1), messages=[Message(9, "assistant", "cut", partial=True)])
        history = store.history("s")
        assert [m.content for m in history] == [*texts, "cut"]
        assert (history[-1].partial, history[0].partial, history[0].created_at) == (True, False, clock.now)
        assert store.totals("s").messages == 5

    def test_a_question_keeps_its_own_moment(self, store: BudgetStore, clock: Clock) -> None:
        """When it was asked is kept apart from when the answer was complete."""
        begin(store)
        asked = clock.now
        held = reserve(store, 100, call=CallStart(turn=None))
        clock.step(40)
        question = Message(0, "user", "q", created_at=asked, asked_at=asked)
        store.settle(held, CallEnd(1, 1), messages=[question, Message(0, "assistant", "a", asked_at=asked)])
        found = [(m.turn, m.role, m.created_at, m.asked_at) for m in store.history("s")]
        assert found == [(1, "user", asked, asked), (1, "assistant", asked + 40, asked)]
        store.charge("s", CallEnd(1, 1), messages=[Message(0, "user", "when?")])
        assert store.history("s")[-1].asked_at is None
        if self.answers_sql:
            took = "SELECT epoch(created_at) - epoch(asked_at) FROM messages WHERE role = 'assistant'"
            assert store.sql(took).rows == [(40.0,)]

    def test_half_an_emoji_does_not_lose_a_call(self, store: BudgetStore) -> None:
        """A lone surrogate, which no file can store, is replaced; the rest is kept."""
        begin(store)
        store.charge("s", CallEnd(1, 1), messages=[Message(1, "user", "a\ud83db")])
        (message,) = store.history("s")
        assert message.content.startswith("a")
        assert message.content.endswith("b")

    def test_events_come_back_in_order(self, store: BudgetStore, clock: Clock) -> None:
        """An event keeps its kind, author and details; its time is now unless it says otherwise."""
        begin(store)
        store.add_event(LedgerEvent("s", "note", 0.0, "Ada", {"a": [1, {"b": None}]}))
        event = store.events("s")[-1]
        assert (event.kind, event.who, event.detail) == ("note", "Ada", {"a": [1, {"b": None}]})
        assert event.created_at == clock.now
        assert [e.kind for e in store.events("s")][:2] == ["opened", "status"]


class Queries(StoreBase):
    """SQL over everything that was settled before it was asked."""

    def test_sql_sees_every_settled_call(self, store: BudgetStore) -> None:
        """The row that was settled a moment ago is in the answer, before and after a flush."""
        self._sql(store)
        begin(store)
        sums = "SELECT count(*), sum(input_tokens), sum(output_tokens) FROM calls WHERE status = 'settled'"
        for count in (1, 2, 3):
            spend(store, 10, 5)
            assert store.sql(sums).rows == [(count, 10 * count, 5 * count)]
            store.flush()
            assert store.sql(sums).rows == [(count, 10 * count, 5 * count)]

    def test_what_is_unresolved_shows_as_in_doubt(self, store: BudgetStore) -> None:
        """A call nobody knows the outcome of is a row without numbers: missing usage is never zero."""
        self._sql(store)
        begin(store)
        held = reserve(store, 77)
        store.mark_unresolved(held, "timeout")
        ask = "SELECT status, input_tokens, held_tokens FROM calls"
        assert store.sql(ask).rows == [("in_doubt", None, 77)]
        store.write_off(held.reservation_id, who="Ada")
        assert store.sql(ask).rows == [("written_off", None, 77)]

    @pytest.mark.parametrize("query", ["", "SELEC 1", "SELECT * FROM nothing_like_it", "DELETE FROM calls"])
    def test_mistakes_are_one_line(self, store: BudgetStore, query: str) -> None:
        """A mistake, or an attempt to write, is a `QueryError` of one line."""
        self._sql(store)
        with pytest.raises(QueryError) as caught:
            store.sql(query)
        assert str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_store_without_sql_says_so(self, store: BudgetStore) -> None:
        """A store that cannot answer SQL raises one clear line."""
        if self.answers_sql:
            pytest.skip("this store answers SQL")
        with pytest.raises(StoreError):
            store.sql("SELECT 1")

    def _sql(self, store: BudgetStore) -> None:
        if not self.answers_sql:
            pytest.skip("this store says that it does not answer SQL")
