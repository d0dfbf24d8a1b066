"""The interrupt button while a reply runs: a request to stop, not an exception at an arbitrary place."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

PATIENCE = 3
"""Presses after which `KeyboardInterrupt` is raised after all, should ending the turn hang."""


class Interrupts:
    """While entered, an interrupt calls *stop* and is counted in `pressed`; nothing is cut in the middle.

    A `KeyboardInterrupt` can come up between any two instructions, also between entering a ``with`` block
    and its first line, where nobody would end the turn. Works in the main thread only, where interrupts
    arrive; elsewhere it does nothing. It also reaches a magic called from a cell with ``await``, for which
    the kernel would keep an interrupt until the cell's end.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.pressed = 0
        self._stop = stop
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if self._before is not None:
                signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _press(self, number: int, frame: FrameType | None) -> None:
        self.pressed += 1
        self._stop()
        if self.pressed >= PATIENCE:
            raise KeyboardInterrupt
