"""A reply that grows in a front end: finished blocks are left alone, only the open end is redrawn.

While it is short, a reply is one display. From `CHUNK` on, its finished blocks stay behind in displays of
their own, which are not sent again, and the end replaces them all by one output. That needs a cell that
shows nothing else; elsewhere one display is redrawn, the less often the longer it is.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from htpy import Node, div

from ib_kernel.notebook.output.frame import foot, quiet
from ib_kernel.notebook.output.screen import Screen
from ib_kernel.notebook.output.show import publish
from ib_kernel.show.render import Growing
from ib_kernel.text import clock, several

if TYPE_CHECKING:
    from ib_kernel.turn.reply import Reply

REDRAW_S = 0.1
"""Seconds between two redraws at the least (more often freezes the page; measured 2026-11)."""

PATIENCE_S = 0.4
"""Seconds before a line says that we are waiting; a quick refusal leaves nothing behind."""

SHARE = 10
"""A redraw may take at most one part in this many of the time, so that a long reply stays linear."""

FULL_SPEED = 20_000
"""Characters of HTML up to which the full rate is kept; the front end's work grows with the length."""

ARRIVING = "unfinished, still arriving"
"""Stands under a reply that has not ended: a notebook that is saved then, or whose kernel dies, says so."""

CLOCK_S = 1.0
"""Seconds after which a reply that pauses is drawn again where a clock runs down."""

CHARS_A_TOKEN = 4
"""English prose, roughly; the figure is an "about" until the service has told the real one."""

CHUNK = 6_000
"""Characters of HTML after which finished blocks get a display of their own."""


class Live(Screen):
    """Shows a reply while it arrives. *alone*: the cell shows nothing else."""

    def __init__(self, waiting_for: str, *, alone: bool = False) -> None:
        self._id = uuid.uuid4().hex
        self._shown = self._many = self._started_reply = self._stale = False
        self._alone = alone
        self._line = f"waiting for {waiting_for}…"
        self._waited = 0
        self._text = Growing()
        self._started = self._last = time.monotonic()
        self._pause = REDRAW_S
        self._arrived = 0

    def piece(self, text: str) -> None:
        """Add *text*; redraw unless that was done a moment ago."""
        self._text.add(text)
        self._arrived += len(text)
        self._started_reply = self._stale = True
        self._draw_if_due()

    def notice(self, text: str) -> None:
        """Show *text* in place of the waiting line."""
        self._line = text
        self._draw_progress(text)

    def tick(self) -> None:
        """Draw what is still undrawn, or say that we are waiting, and for how long."""
        if self._started_reply:
            self._stale = self._stale or self._clock_moved()
            self._draw_if_due()
            return
        waited = time.monotonic() - self._started
        if waited >= PATIENCE_S and (not self._shown or int(waited) > self._waited):
            self._waited = int(waited)
            waited_for = self._line + (f" {self._waited} s" if self._waited else "")
            self._draw_progress(" · ".join([waited_for, *self._standing()]))

    def end(self, reply: Reply) -> None:
        """Replace everything by the finished reply."""
        content, text = self.final(reply)
        if not text and not self._shown:
            return
        if self._alone and (self._many or not text):
            _clear()
            if text:
                publish(content, text)
            return
        if not text:
            content, text = quiet("no reply"), "no reply"
        self._publish(content, text)

    def _draw_if_due(self) -> None:
        now = time.monotonic()
        if not self._stale or (self._shown and now - self._last < self._pause):
            return
        html = self._text.html()
        finished = self._text.finished(CHUNK) if self._alone else None
        if finished:
            self._publish(*finished)
            self._id, self._shown, self._many = uuid.uuid4().hex, False, True
            html = self._text.html()
        line = " · ".join([ARRIVING, f"about {several(self._tokens(), 'token')} so far", *self._standing()])
        self._publish(div(".ib-growing")[html, foot(line)], f"{self._text.text().rstrip()}\n\n{line}")
        self._last, self._stale = time.monotonic(), False
        self._pause = max(REDRAW_S, SHARE * (self._last - now), REDRAW_S * len(html) / FULL_SPEED)

    def _tokens(self) -> int:
        return max(1, round(self._arrived / CHARS_A_TOKEN))

    def _standing(self) -> list[str]:
        """Return what is set aside for this reply, and the time that is left while it is written."""
        held = 0 if self.held is None else self.held()
        left = self._time_left()
        return [
            *([f"{held:,} held until it is done"] if held else []),
            *([f"{clock(left)} left"] if left is not None else []),
        ]

    def _time_left(self) -> float | None:
        if self.time_left_s is None:
            return None
        return max(0.0, self.time_left_s - (time.monotonic() - self._started))

    def _clock_moved(self) -> bool:
        """Return True if the seconds that are shown are no longer those that are left."""
        return self.time_left_s is not None and time.monotonic() - self._last >= CLOCK_S

    def _draw_progress(self, line: str) -> None:
        self._publish(div(".ib-growing")[quiet(line)], line)

    def _publish(self, content: Node, text: str) -> None:
        publish(content, text, display_id=self._id, update=self._shown)
        self._shown = True


def _clear() -> None:
    """Let the next output of this cell replace the ones so far, without a flicker in between."""
    from IPython.display import clear_output

    clear_output(wait=True)  # type: ignore[no-untyped-call]
