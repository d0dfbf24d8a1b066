"""What a turn reads of its session, at one moment: once before it is sent, once when it is settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ib_kernel.values.ledger import (
    CallEnd,
    CallStart,
    LedgerEvent,
    Message,
    Reservation,
    Spent,
    Totals,
)
from ib_kernel.values.session import Session

KEPT = 12
"""Turns whose figures a view keeps, beside the first: more than any forecast looks at."""

PHASE = "phase"
"""The kind of the event that a new phase leaves; its `phase` is "" when there is none any more."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A session and its sums, as they were at the same moment.

    `events` is how many events it has (None: not known). Whatever is added to a session, or erased of it,
    makes that more, or the calls or messages of its sums.
    """

    session: Session
    totals: Totals
    events: int | None = None


@dataclass(frozen=True, slots=True)
class TurnView(Standing):
    """All that a turn is composed from.

    `history` is the transcript in order, `spent` what the first answered turn and the newest ones have used,
    `phase` the newest event of the kind `PHASE` (None: there was none).
    """

    history: Sequence[Message] = ()
    spent: Sequence[Spent] = ()
    phase: LedgerEvent | None = None

    def is_of(self, standing: Standing) -> bool:
        """Return True if transcript, figures and phase are still what they were.

        Args:
            standing: The session as it is now.
        """
        before, now = self.totals, standing.totals
        return (
            self.events is not None
            and self.session.session_id == standing.session.session_id
            and (self.events, before.calls, before.messages) == (standing.events, now.calls, now.messages)
        )

    def now(self, standing: Standing) -> TurnView:
        """Return the view of a session that it `is_of`.

        Args:
            standing: The session as it is now.
        """
        return TurnView(
            standing.session, standing.totals, standing.events, self.history, self.spent, self.phase
        )

    def after(
        self, standing: Standing, call: CallStart, end: CallEnd, messages: Sequence[Message]
    ) -> TurnView | None:
        """Return the view with one more settled attempt, without reading it again.

        Args:
            standing: The session as the settle has left it.
            call: What was known of the attempt when its tokens were reserved.
            end: What it has used.
            messages: What was to be stored with it.

        Returns:
            None where the session's sums show that there is more than that: others have been at it too.
        """
        before, now = self.totals, standing.totals
        used, said = int(end.input_tokens + end.output_tokens > 0), now.messages - before.messages
        if now.calls != before.calls + used or said not in (0, len(messages)):
            return None
        spent = Spent(
            call.turn or 0,
            max((message.created_at for message in messages), default=0.0),
            end.input_tokens,
            end.output_tokens,
            now.token_budget,
            call.model,
            call.counted_tokens,
            end.source,
            end.charged_tokens,
        )
        first = {of.turn for of in self.spent[:1]}
        lately = {*first, *sorted({of.turn for of in self.spent})[-KEPT:]}
        return TurnView(
            standing.session,
            now,
            standing.events if standing.events == self.events else None,
            [*self.history, *(messages if said else ())],
            [*(of for of in self.spent if of.turn in lately), *([spent] if used else ())],
            self.phase,
        )


@runtime_checkable
class TurnStore(Protocol):
    """What a ledger may offer beside `BudgetStore`, so that a turn asks it once instead of eight times.

    Each method says what several of `BudgetStore` say; without it, these are asked.
    """

    def standing(self, session_id: str) -> Standing:
        """Return what `session` and `totals` say, of one moment. `UnknownSession`."""
        ...

    def turn_view(self, session_id: str, *, turns: int, known: TurnView | None = None) -> TurnView:
        """Return what `session`, `totals`, `history` and ``spent_lately`` say, and the newest phase.

        Args:
            session_id: The session. `UnknownSession`.
            turns: How many of the newest turns' figures.
            known: An earlier view: what of it still holds (`TurnView.is_of`) need not be read again.
        """
        ...

    def settle_turn(
        self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()
    ) -> tuple[bool, Standing]:
        """Settle like `settle`, and return its answer with the session as it is after that."""
        ...
