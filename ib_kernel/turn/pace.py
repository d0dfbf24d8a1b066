"""What a host may put before the calls of all its sessions: places, and a queue before the service."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ib_kernel.errors import ClientError
from ib_kernel.values import RateLimits


class PacedTurn(Protocol):
    """A turn that has its place: `admit` each attempt, say `heard`, then `answered`, `failed` or `end`."""

    async def admit(self, model: str, tokens: int, say: Callable[[str], None] | None = None) -> None:
        """Wait until an attempt may be sent.

        Args:
            model: The model that is asked.
            tokens: Tokens that it may take at most.
            say: Gets a line for each wait.
        """
        ...

    def heard(self, limits: RateLimits | None) -> None:
        """Note the limits that the attempt's answer told.

        Args:
            limits: The service's rate limits; None: it told none.
        """
        ...

    def answered(self) -> None:
        """Note that the attempt was answered well."""
        ...

    def end(self) -> None:
        """Note that the attempt is over, or was not sent. Idempotent."""
        ...

    async def failed(self, error: ClientError) -> None:
        """Note how the attempt failed.

        Args:
            error: What it failed with.
        """
        ...


class Pace(Protocol):
    """Lets calls go one after the other. Safe from several threads and event loops.

    Attributes:
        most_running: Calls of one session that may run at once (`CallStart.most_running`).
    """

    most_running: int

    def place(
        self, session_id: str, say: Callable[[str], object] = str
    ) -> AbstractAsyncContextManager[PacedTurn]:
        """Return a context that takes one of the session's places; leaving it ends an attempt left open.

        Args:
            session_id: The session.
            say: Gets a line for a wait.
        """
        ...
