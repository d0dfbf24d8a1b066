"""What a turn reads of its session: of a ledger that tells it at once, or put together from several reads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

from ib_kernel.budget.access import LedgerAccess
from ib_kernel.budget.forecast import RECENT
from ib_kernel.budget.parsing import parse_id
from ib_kernel.budget.reservations import ReservationManager
from ib_kernel.values import CallEnd, LedgerEvent, Message, Reservation, Spent
from ib_kernel.values.turn_view import PHASE, Standing, TurnView

SESSIONS = 32
"""Sessions whose last view is kept: a transcript is not read and put together anew for each of its turns."""


class TurnViews:
    """Reads for the turns of one ledger. Unknown sessions raise `UnknownSession`."""

    def __init__(self, access: LedgerAccess, reservations: ReservationManager) -> None:
        self._access, self._reservations = access, reservations
        self._known: OrderedDict[str, TurnView] = OrderedDict()
        self._lock = threading.Lock()

    def standing(self, session_id: str) -> Standing:
        """Return a session and its sums.

        Args:
            session_id: The session.

        Raises:
            UnknownSession: There is no such session.
        """
        store, name = self._access.store, parse_id(session_id)
        read = getattr(store, "standing", None)
        if read is not None:
            return cast(Standing, read(name))
        return Standing(store.session(name), store.totals(name))

    def turn_view(self, session_id: str) -> TurnView:
        """Return all that a turn is composed from.

        Args:
            session_id: The session.

        Raises:
            UnknownSession: There is no such session.
        """
        store, name = self._access.store, parse_id(session_id)
        read = getattr(store, "turn_view", None)
        if read is not None:
            with self._lock:
                known = self._known.get(name)
            return self.keep(read(name, turns=RECENT, known=known))
        session, totals = store.session(name), store.totals(name)
        return TurnView(session, totals, None, store.history(name), self.spent(name), self._phase(name))

    def keep(self, view: TurnView) -> TurnView:
        """Remember a view until its session's next turn; return it.

        Args:
            view: What a turn has read, or made of that when it was settled.
        """
        with self._lock:
            self._known[view.session.session_id] = view
            self._known.move_to_end(view.session.session_id)
            if len(self._known) > SESSIONS:
                self._known.popitem(last=False)
        return view

    def settle_turn(
        self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()
    ) -> Standing:
        """Settle like `settle_call`, and return where the session stands then.

        Args:
            reservation: What `reserve` returned.
            end: What the attempt has cost.
            messages: What was asked and answered, for the transcript.

        Raises:
            ReservationError: It was released or written off, or is not the caller's.
        """
        settle = getattr(self._access.store, "settle_turn", None)
        if settle is None:
            self._reservations.settle_call(reservation, end, messages=messages)
            return self.standing(reservation.session_id)
        with self._reservations.forgotten_after(reservation):
            return cast(tuple[bool, Standing], settle(reservation, end, messages=messages))[1]

    def spent(self, session_id: str) -> Sequence[Spent]:
        """Return what turns have used: all, or the first and the newest alone; none if nobody can say.

        A long session's turns cost no more to foretell than a short one's.
        """
        store: Any = self._access.store
        lately = getattr(store, "spent_lately", None)
        if lately is not None:
            return cast(Sequence[Spent], lately(session_id, RECENT))
        spent = getattr(store, "spent", None)
        return [] if spent is None else cast(Sequence[Spent], spent(session_id))

    def _phase(self, session_id: str) -> LedgerEvent | None:
        entered = [event for event in self._access.store.events(session_id) if event.kind == PHASE]
        return entered[-1] if entered else None
