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

PHASE = "phase"
"""The kind of the event that a new phase leaves; its `phase` is "" when there is none any more."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A session and its sums, as they were at the same moment."""

    session: Session
    totals: Totals


@dataclass(frozen=True, slots=True)
class TurnView(Standing):
    """All that a turn is composed from.

    `history` is the transcript in order, `spent` what the first answered turn and the newest ones have used,
    `phase` the newest event of the kind `PHASE` (None: there was none).
    """

    history: Sequence[Message] = ()
    spent: Sequence[Spent] = ()
    phase: LedgerEvent | None = None

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
        return TurnView(
            standing.session,
            now,
            [*self.history, *(messages if said else ())],
            [*self.spent, *([spent] if used else ())],
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

    def turn_view(self, session_id: str, *, turns: int) -> TurnView:
        """Return what `session`, `totals`, `history` and ``spent_lately`` say, and the newest phase.

        Args:
            session_id: The session. `UnknownSession`.
            turns: How many of the newest turns' figures.
        """
        ...

    def settle_turn(
        self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()
    ) -> tuple[bool, Standing]:
        """Settle like `settle`, and return its answer with the session as it is after that."""
        ...
