"""A clock that a test puts forward: nothing waits for the real one, or fails because the machine is busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ib_kernel import Interview
from ib_kernel.testing import FaultServer


def eventually(holds: Callable[[], object]) -> None:
    """Wait until *holds*; where it never does, pytest's own limit ends the test and names the line."""
    while not holds():
        time.sleep(0.01)


class Clock:
    """`time.monotonic`, by which turns and every event loop measure: it runs on, and can be put forward."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        real = time.monotonic
        self._ahead = 0.0
        patch.setattr(time, "monotonic", lambda: real() + self._ahead)

    def forward(self, seconds: float, *interviews: Interview) -> None:
        """Let *seconds* pass at once for the turns of *interviews*."""
        self._ahead += seconds
        for interview in interviews:
            loop = interview._loop._running()
            loop.call_soon_threadsafe(lambda: None)  # it sleeps until its next timer by the old time

    def forward_until(self, done: Callable[[], bool], seconds: float, *interviews: Interview) -> None:
        """Let *seconds* pass again and again, until *done*, however often a timer is set anew."""
        while not done():
            self.forward(seconds, *interviews)
            time.sleep(0.005)


@dataclass
class Waits:
    """An `on_notice` that lets *seconds* pass once for each wait of a turn, and keeps its first lines.

    `lines` has each wait's first line with the number of requests sent until then. A busy machine may show
    more lines of the same countdown; they are not counted.
    """

    clock: Clock
    seconds: float
    interview: Interview
    server: FaultServer
    lines: dict[int, str] = field(default_factory=dict)

    def __call__(self, text: str) -> None:
        sent = len(self.server.requests)
        if sent not in self.lines:
            self.lines[sent] = text
            self.clock.forward(self.seconds, self.interview)
