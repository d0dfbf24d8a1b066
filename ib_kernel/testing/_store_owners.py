"""`BudgetStoreContract`: turns have numbers of their own, and a reservation ends only by its owner."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable

import pytest

from ib_kernel.errors import ConfigError, ReservationError
from ib_kernel.testing._store_base import Clock, StoreBase, begin, listed, refused, reserve
from ib_kernel.values import BudgetStore, CallEnd, CallStart, Message, Reservation, Status

NEW_TURN = CallStart(turn=None)


class Turns(StoreBase):
    """`(session, turn, attempt)` is unique for turns of at least 1; the ledger gives the numbers."""

    def test_turns_are_numbered_in_the_reserve(self, store: BudgetStore) -> None:
        """Each turn of a session gets the next number, whether or not the ones before have ended."""
        begin(store)
        begin(store, session_id="other")
        assert [reserve(store, 1, call=NEW_TURN).turn for _ in range(3)] == [1, 2, 3]
        assert reserve(store, 1, session_id="other", call=NEW_TURN).turn == 1
        assert [r.turn for r in store.reservations("s")] == [1, 2, 3]

    def test_a_failed_turn_keeps_its_number(self, store: BudgetStore) -> None:
        """A turn that failed twice and the good one after it have numbers of their own."""
        begin(store)
        first = reserve(store, 9, call=NEW_TURN)
        store.release(first, CallEnd(0, 0, error="ServerFailed"))
        again = reserve(store, 9, call=CallStart(turn=first.turn, attempt=2))
        store.release(again, CallEnd(0, 0, error="ServerFailed"))
        store.settle(reserve(store, 9, call=NEW_TURN), CallEnd(1, 1))
        assert (first.turn, again.turn) == (1, 1)
        assert store.totals("s").turns == 1
        if self.answers_sql:
            rows = store.sql("SELECT turn, attempt, status FROM calls ORDER BY turn, attempt").rows
            assert rows == [(1, 1, "failed"), (1, 2, "failed"), (2, 1, "settled")]

    def test_a_refusal_uses_no_number(self, store: BudgetStore) -> None:
        """What was not reserved was no turn."""
        begin(store, 10)
        refused(store, 11, call=NEW_TURN)
        assert reserve(store, 10, call=NEW_TURN).turn == 1

    def test_what_was_released_without_a_row_keeps_its_number(self, store: BudgetStore) -> None:
        """A number is given once."""
        begin(store)
        store.release(reserve(store, 1, call=NEW_TURN))
        assert reserve(store, 1, call=NEW_TURN).turn == 2

    @pytest.mark.parametrize("ending", ["open", "settled", "in doubt", "failed"])
    def test_an_attempt_is_made_once(self, store: BudgetStore, ending: str) -> None:
        """A repeated pair of turn and attempt is an error, and nothing is held for it."""
        begin(store)
        first = reserve(store, 1, call=NEW_TURN)
        if ending == "settled":
            store.settle(first, CallEnd(1, 0))
        elif ending == "in doubt":
            store.mark_unresolved(first, "timeout")
        elif ending == "failed":
            store.release(first, CallEnd(0, 0, error="ServerFailed"))
        before = store.totals("s")
        with pytest.raises(ReservationError):
            store.reserve("s", 5, lease_s=60.0, call=CallStart(turn=1))
        with pytest.raises(ReservationError):
            store.charge("s", CallEnd(5, 5), call=CallStart(turn=1))
        assert store.totals("s") == before
        assert reserve(store, 1, call=CallStart(turn=1, attempt=2)).turn == 1

    def test_calls_outside_turns_are_not_numbered(self, store: BudgetStore) -> None:
        """They keep 0, however many there are, and use no turn's number."""
        begin(store)
        assert [reserve(store, 1).turn for _ in range(2)] == [0, 0]
        store.charge("s", CallEnd(1, 1))
        assert reserve(store, 1, call=NEW_TURN).turn == 1
        assert store.totals("s").turns == 0

    def test_a_turn_that_was_only_charged_is_numbered_too(self, store: BudgetStore) -> None:
        """Nothing need be reserved for a turn to have a number; a number given by hand is passed over."""
        begin(store)
        store.charge("s", CallEnd(1, 1), call=NEW_TURN, messages=[Message(0, "user", "q")])
        store.charge("s", CallEnd(1, 1), call=CallStart(turn=5))
        assert reserve(store, 1, call=NEW_TURN).turn == 6
        assert [m.turn for m in store.history("s")] == [1]
        with pytest.raises(ConfigError):
            store.reserve("s", 1, lease_s=60.0, call=CallStart(turn=-1))

    def test_overlapping_turns_are_kept_apart(self, store: BudgetStore) -> None:
        """Whichever ends first, each turn's messages carry its number."""
        begin(store)
        slow, fast = (reserve(store, 10, call=NEW_TURN) for _ in range(2))
        for held, text in ((fast, "b"), (slow, "a")):
            said = [Message(0, "user", text), Message(0, "assistant", text.upper())]
            store.settle(held, CallEnd(1, 1), messages=said)
        assert [(m.turn, m.content) for m in store.history("s")] == [(2, "b"), (2, "B"), (1, "a"), (1, "A")]
        assert store.totals("s").turns == 2


Ending = Callable[[BudgetStore, Reservation], object]
ENDINGS: dict[str, Ending] = {
    "settle": lambda store, held: store.settle(held, CallEnd(1, 1)),
    "release": lambda store, held: store.release(held),
    "release with a row": lambda store, held: store.release(held, CallEnd(0, 0, error="NotConnected")),
    "mark_unresolved": lambda store, held: store.mark_unresolved(held, "lost"),
}


class Owners(StoreBase):
    """Who may end a reservation: whoever has the value that `reserve` returned, and nobody else."""

    @pytest.mark.parametrize("state", ["held", "lease over", "unresolved", "session ended"])
    @pytest.mark.parametrize("how", list(ENDINGS))
    def test_a_listing_ends_nothing(self, store: BudgetStore, clock: Clock, how: str, state: str) -> None:
        """A reservation as it is listed, or with somebody else's token, cannot be ended in any state."""
        begin(store)
        held, other = reserve(store, 100), reserve(store, 200)
        if state == "lease over":
            clock.step(61)
        elif state == "unresolved":
            store.mark_unresolved(held, "timeout")
        elif state == "session ended":
            store.set_status("s", Status.COMPLETED)
        forged = listed(store, held)
        before, events = store.totals("s"), store.events("s")
        for token in ("", "made up", other.owner_token, held.owner_token[:-1]):
            with pytest.raises(ReservationError):
                ENDINGS[how](store, dataclasses.replace(forged, owner_token=token))
        assert (store.totals("s"), store.events("s")) == (before, events)

    def test_only_its_owner_renews(self, store: BudgetStore, clock: Clock) -> None:
        """A lease that somebody else renews runs out all the same."""
        begin(store)
        held = reserve(store, 100, lease_s=60.0)
        clock.step(30)
        assert store.renew([listed(store, held)], lease_s=600.0) == set()
        clock.step(31)
        assert store.totals("s").in_doubt == 100

    @pytest.mark.parametrize("state", ["lease over", "unresolved", "session ended"])
    def test_the_owner_settles_late(self, store: BudgetStore, clock: Clock, state: str) -> None:
        """It knows more than the lease did, and more than whoever ended the session."""
        begin(store)
        held = reserve(store, 100)
        if state == "lease over":
            clock.step(61)
            assert listed(store, held).in_doubt
        elif state == "unresolved":
            store.mark_unresolved(held, "timeout")
        else:
            store.set_status("s", Status.COMPLETED)
        assert store.settle(held, CallEnd(30, 20))
        assert (store.totals("s").used, store.totals("s").in_doubt, store.totals("s").held) == (50, 0, 0)

    def test_nobody_else_repeats_a_settle(self, store: BudgetStore) -> None:
        """A settled reservation takes no messages and no event from who did not make it."""
        begin(store)
        held = reserve(store, 100, call=NEW_TURN)
        store.settle(held, CallEnd(1, 1))
        forged = dataclasses.replace(held, owner_token="")
        with pytest.raises(ReservationError):
            store.settle(forged, CallEnd(2, 2), messages=[Message(1, "assistant", "never said")])
        assert store.history("s") == []
        assert [e.kind for e in store.events("s")] == ["opened", "status"]

    def test_tokens_are_nowhere_to_be_read(self, store: BudgetStore) -> None:
        """Each reservation has its own token; listings, reprs, events and SQL have none of them."""
        begin(store)
        held = [reserve(store, 10, call=NEW_TURN) for _ in range(3)]
        store.settle(held[0], CallEnd(1, 1), messages=[Message(0, "user", "q")])
        store.mark_unresolved(held[1], "timeout")
        tokens = [r.owner_token for r in held]
        assert len({token for token in tokens if len(token) >= 16}) == 3
        seen = [repr(held), repr(store.reservations()), repr(store.events("s")), repr(store.history("s"))]
        seen += [r.owner_token for r in store.reservations()]
        if self.answers_sql:
            for table in ("calls", "messages", "events", "sessions"):
                seen.append(json.dumps(store.sql(f"SELECT * FROM {table}").dicts(), default=str))  # noqa: S608
        assert not [token for token in tokens for text in seen if token in text]

    def test_an_owner_may_hand_its_reservation_on(self, store: BudgetStore) -> None:
        """A copy of the value, in another process for example, is as good as the value."""
        begin(store)
        held: Reservation = pickle.loads(pickle.dumps(reserve(store, 100)))  # noqa: S301 (our own)
        assert store.settle(held, CallEnd(1, 1))
