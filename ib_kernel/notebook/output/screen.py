"""A reply as it is shown for good, once (`Screen`), or printed piece by piece in a terminal (`Terminal`)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from htpy import Node, div

from ib_kernel.notebook.output.frame import foot, note, rails
from ib_kernel.notebook.output.show import publish
from ib_kernel.show.render import to_html
from ib_kernel.text import plain

if TYPE_CHECKING:
    from ib_kernel.turn.reply import Reply


def finished(text: str, footer: str, warning: str, bars: Node = None) -> tuple[Node, str]:
    """Return a finished reply as HTML and as text: the reply, then the figures, then any warning."""
    notes = [note(line) for line in warning.split("⚠") if line.strip()]
    content = div[to_html(text) if text else None, foot(footer, bars) if footer else None, notes]
    lines = "\n".join(line for line in (footer, warning) if line)
    return content, "\n\n".join(part for part in (plain(text).rstrip(), lines) if part)


def warning_line(reply: Reply) -> str:
    """Return the line about what comes to its end after this turn, or ""."""
    return "" if reply.result is None else " ".join(reply.result.warnings)


class Screen:
    """Shows nothing while waiting and the finished reply once: reproducible outputs (``stream = final``).

    `time_limit_s` is the session's, `time_left_s` what is left of it when the turn begins, both in seconds;
    None: it has none. `held` returns the tokens that the running attempt has reserved; None: nobody knows.
    """

    time_limit_s: float | None = None
    time_left_s: float | None = None
    held: Callable[[], int] | None = None

    def piece(self, text: str) -> None:
        """Take the next piece of the reply."""

    def notice(self, text: str) -> None:
        """Take a line worth showing while waiting, such as a retry."""

    def tick(self) -> None:
        """Take note that time passes without anything new."""

    def end(self, reply: Reply) -> None:
        """Show the reply as it is now, for good."""
        content, text = self.final(reply)
        if text:
            publish(content, text)

    def final(self, reply: Reply) -> tuple[Node, str]:
        """Return the last state as HTML and text; both empty when nothing has arrived."""
        result = reply.result
        if result is None:
            return finished(reply.text, "", "") if reply.text else (None, "")
        left, limit = result.time_left_s, self.time_limit_s
        gone = None if left is None or not limit else min(1.0, max(0.0, 1 - left / limit))
        bars = rails(result.totals, gone, height=10, width=96)
        return finished(reply.text, reply.footer, warning_line(reply), bars)


class Terminal(Screen):
    """Prints pieces as they come, for IPython in a terminal."""

    def __init__(self) -> None:
        self._any = False
        self._counting = ""
        self._started, self._told = time.monotonic(), 0

    def piece(self, text: str) -> None:
        """Print *text*, control characters removed."""
        self._any = True
        self._clear()
        print(plain(text), end="", flush=True)  # noqa: T201

    def notice(self, text: str) -> None:
        """Print a notice on a line of its own; a countdown replaces its line, or is printed once in a log."""
        kind = text.rpartition(" in ")[0] or text
        if sys.stdout.isatty():
            print(f"{_CLEAR_LINE if self._counting else ''}{plain(text)}", end="", flush=True)  # noqa: T201
            self._counting = kind
        elif kind != self._counting:
            print(plain(text), flush=True)  # noqa: T201
            self._counting = kind

    def tick(self) -> None:
        """Say for how long the model has been thinking, once a second."""
        seconds = int(time.monotonic() - self._started)
        if self._counting.endswith("…") and seconds > self._told and sys.stdout.isatty():
            self._told = seconds
            print(f"{_CLEAR_LINE}{self._counting} {seconds} s", end="", flush=True)  # noqa: T201

    def end(self, reply: Reply) -> None:
        """Print the footer under what has been printed."""
        self._clear()
        if self._any:
            print()  # noqa: T201
        for line in (reply.footer if reply.result else "", warning_line(reply)):
            if line:
                print(plain(line))  # noqa: T201

    def _clear(self) -> None:
        """End a countdown's line."""
        if self._counting and sys.stdout.isatty():
            print(_CLEAR_LINE, end="", flush=True)  # noqa: T201
        self._counting = ""


_CLEAR_LINE = "\r\x1b[2K"
