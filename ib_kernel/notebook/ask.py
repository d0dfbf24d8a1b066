"""`%%interview`: send the cell, show the reply while it comes, end with one output and its footer.

In a front end one display is redrawn (at most ten times a second, less often when a redraw is costly); in a
terminal, pieces are printed as they come. An interrupt keeps what has arrived and fails the cell with one
line.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from ib_kernel.notebook.render import Growing, to_html
from ib_kernel.notebook.show import escape, has_front_end, plain, publish

if TYPE_CHECKING:
    from ib_kernel.reply import Reply

REDRAW_S = 0.1
"""Seconds between two redraws at the least (DESIGN section 8; faster freezes the page)."""

PATIENCE_S = 0.4
"""Seconds before a line says that we are waiting; a quick refusal leaves nothing behind."""

SHARE = 10
"""A redraw may take at most one part in this many of the time, so that a long reply stays linear."""

FULL_SPEED = 20_000
"""Characters of HTML up to which the full rate is kept; the front end's work grows with the length."""

_FOOT = "margin-top:6px;font-size:90%"


def show_reply(shell: Any, reply: Reply, *, stream: str, waiting_for: str) -> None:
    """Run *reply* to its end and show it. Raises what refused, failed or stopped the turn."""
    if not has_front_end(shell) and stream == "live":
        screen: Screen = Terminal()
    else:
        screen = Live(waiting_for) if stream == "live" else Screen()
    reply.on_notice, reply.on_wait = screen.notice, screen.tick
    stopped = False
    try:
        with reply:
            for piece in reply:
                screen.piece(piece)
    except KeyboardInterrupt:
        stopped = True
    finally:
        try:
            screen.end(reply)
        except KeyboardInterrupt:
            stopped = True
            screen.end(reply)
    if stopped or reply.result is None:
        raise reply.stop_line()


def bundle(text: str, footer: str, warning: str) -> tuple[str, str]:
    """Return a finished reply as HTML and as text: the reply, then the footer and any warning."""
    notes = [line for line in (footer, warning) if line]
    rows = "".join(f'<div style="{_FOOT}">{escape(line)}</div>' for line in notes)
    body = to_html(text) if text else ""
    return f"<div>{body}{rows}</div>", "\n\n".join(
        part for part in (plain(text).rstrip(), "\n".join(notes)) if part
    )


def warning_line(reply: Reply) -> str:
    """Return the line about a warning level that this turn has reached, or ""."""
    result = reply.result
    if result is None or result.warning is None:
        return ""
    return (
        f"⚠ {result.warning:.0%} of the budget is used: {result.totals.left:,} tokens are left. "
        "%budget shows where they went."
    )


class Screen:
    """Shows nothing while waiting and the finished reply once: reproducible outputs (``stream = final``)."""

    def piece(self, text: str) -> None:
        """Take the next piece of the reply."""

    def notice(self, text: str) -> None:
        """Take a line worth showing while waiting, such as a retry."""

    def tick(self) -> None:
        """Take note that time passes without anything new."""

    def end(self, reply: Reply) -> None:
        """Show the reply as it is now, for good."""
        html, text = self.final(reply)
        if text:
            publish(html, text)

    def final(self, reply: Reply) -> tuple[str, str]:
        """Return the last state as HTML and text; both empty when nothing has arrived."""
        return (
            bundle(reply.text, reply.footer if reply.result else "", warning_line(reply))
            if (reply.text or reply.result)
            else ("", "")
        )


class Live(Screen):
    """Redraws one display while the reply arrives."""

    def __init__(self, waiting_for: str) -> None:
        self._id = uuid.uuid4().hex
        self._shown = False
        self._line = f"waiting for {waiting_for}…"
        self._text = Growing()
        self._plain: list[str] = []
        self._started = self._last = time.monotonic()
        self._pause = REDRAW_S
        self._stale = False

    def piece(self, text: str) -> None:
        """Add *text*; redraw unless that was done a moment ago."""
        self._text.add(text)
        self._plain.append(text)
        self._stale = True
        self._draw_if_due()

    def notice(self, text: str) -> None:
        """Show *text* in place of the waiting line."""
        self._line = text
        self._draw_progress()

    def tick(self) -> None:
        """Draw what is still undrawn, or say that we are waiting."""
        if self._plain:
            self._draw_if_due()
        elif not self._shown and time.monotonic() - self._started >= PATIENCE_S:
            self._draw_progress()

    def end(self, reply: Reply) -> None:
        """Replace everything by the finished reply."""
        html, text = self.final(reply)
        if not text and not self._shown:
            return
        if not text:
            html, text = f'<div style="{_FOOT}">no reply</div>', "no reply"
        self._publish(html, text)

    def _draw_if_due(self) -> None:
        now = time.monotonic()
        if self._stale and (not self._shown or now - self._last >= self._pause):
            html = self._text.html()
            self._publish(f"<div>{html}</div>", plain("".join(self._plain)))
            self._last, self._stale = time.monotonic(), False
            self._pause = max(REDRAW_S, SHARE * (self._last - now), REDRAW_S * len(html) / FULL_SPEED)

    def _draw_progress(self) -> None:
        line = plain(self._line)
        self._publish(f'<div style="{_FOOT}">{escape(line)}</div>', line)

    def _publish(self, html: str, text: str) -> None:
        publish(html, text, display_id=self._id, update=self._shown)
        self._shown = True


class Terminal(Screen):
    """Prints pieces as they come, for IPython in a terminal."""

    def __init__(self) -> None:
        self._any = False

    def piece(self, text: str) -> None:
        """Print *text*, control characters removed."""
        self._any = True
        print(plain(text), end="", flush=True)  # noqa: T201

    def notice(self, text: str) -> None:
        """Print a retry notice on a line of its own."""
        print(plain(text), flush=True)  # noqa: T201

    def end(self, reply: Reply) -> None:
        """Print the footer under what has been printed."""
        if self._any:
            print()  # noqa: T201
        for line in (reply.footer if reply.result else "", warning_line(reply)):
            if line:
                print(line)  # noqa: T201
