"""What a notebook asks of an interview, whoever holds it: this process (`Interview`) or a host.

The names are those of `Interview` and `TokenService`, so that nothing in a notebook knows which it talks to.
`ib_kernel.remote` implements them over HTTP; what only the interviewer can do raises `NotHere` there, in one
line that says so.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from ib_kernel.values.calls import RateLimits
from ib_kernel.values.forecast import NextTurn
from ib_kernel.values.ledger import LedgerEvent, Message, Reservation, Spent, Totals
from ib_kernel.values.session import NewSession, Session


@runtime_checkable
class SeatStore(Protocol):
    """What is read of the ledger."""

    def location(self) -> str:
        """Return where the ledger is, for people."""
        ...

    def history(self, session_id: str) -> list[Message]:
        """Return the transcript in order."""
        ...

    def events(self, session_id: str) -> list[LedgerEvent]:
        """Return what happened, as far as this person may know."""
        ...

    def spent(self, session_id: str) -> list[Spent]:
        """Return the settled attempts in order."""
        ...

    def reservations(self, session_id: str | None = None) -> list[Reservation]:
        """Return what is held or in doubt, as far as this person may know."""
        ...


@runtime_checkable
class SeatService(Protocol):
    """What is read of the budget, and the session's end."""

    def get_session(self, session_id: str) -> Session:
        """Return the session as it is now."""
        ...

    def totals(self, session_id: str) -> Totals:
        """Return the session's sums."""
        ...

    def get_remaining_budget(self, session_id: str) -> int:
        """Return the tokens that are left."""
        ...

    def estimate_turns_left(self, session_id: str) -> int | None:
        """Return how many turns are left; None where that is not known."""
        ...

    def is_locked(self, session_id: str) -> bool:
        """Return True if changes of the limits need a passphrase."""
        ...

    def complete(self, session_id: str) -> Session:
        """End the session for good."""
        ...


@runtime_checkable
class Seat(Protocol):
    """One person's place in an interview."""

    @property
    def session_id(self) -> str | None:
        """The id of the session in use, or None."""
        ...

    @property
    def session(self) -> Session:
        """The session in use, as it is now."""
        ...

    def history(self) -> list[Message]:
        """Return the transcript of the session in use."""
        ...

    def challenge(self, session: NewSession) -> Any:
        """Return the candidate's part of the challenge, None without one."""
        ...

    def ask(self, text: str, *, max_tokens: int | None = None) -> Any:
        """Ask; the reply has the surface of `ib_kernel.turn.reply.Reply`."""
        ...

    def say_sync(self, text: str) -> Any:
        """Ask and block until the whole reply is there."""
        ...

    def estimate(self, text: str, *, max_tokens: int | None = None, model: str | None = None) -> NextTurn:
        """Return what sending a text now would take."""
        ...

    def begin(self) -> Session:
        """Start the clock of a session that was only opened or joined."""
        ...

    def rate_limits(self) -> dict[str, RateLimits]:
        """Return what services said last about their rate limits, by model."""
        ...

    def close(self) -> None:
        """Close what is open. Idempotent."""
        ...
