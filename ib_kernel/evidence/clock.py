"""The candidate's clock: how many active seconds had passed at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ib_kernel.values import LedgerEvent, Session


class ActiveClock:
    """Turns moments of the wall clock into active seconds: pauses and stopped time do not count.

    Args:
        session: The session.
        events: All of its events.
        factor: How many times the usual time the person has; seconds are divided by it, so that they are
            relative to the usual limit.
    """

    def __init__(self, session: Session, events: Sequence[LedgerEvent], factor: float = 1.0) -> None:
        self.factor = factor
        self._steps: list[tuple[float, bool]] = []
        self._stops: list[tuple[float, float]] = []
        began = session.started_at
        if began is None:  # it stands at zero until the interview begins
            return
        self._steps.append((began, True))
        for event in events:
            if event.kind == "status" and event.created_at >= began:
                self._steps.append((event.created_at, event.detail.get("to") == "active"))
            elif event.kind == "clock_stopped":
                self._stops.append((event.created_at, _number(event.detail.get("seconds"))))

    def seconds(self, at: float) -> float:
        """Return the active seconds until *at*, never negative."""
        total, since = 0.0, None
        for moment, running in self._steps:
            if moment >= at:
                break
            if since is not None:
                total += moment - since
            since = moment if running else None
        if since is not None:
            total += at - since
        total -= sum(seconds for moment, seconds in self._stops if moment <= at)
        return round(max(0.0, total) / self.factor, 1)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0
