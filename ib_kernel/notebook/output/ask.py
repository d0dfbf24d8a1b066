"""`%%interview`: send the cell, show the reply while it comes, end with one output and its footer.

In a front end the reply grows in place (`ib_kernel.notebook.output.live`); in a terminal, pieces are
printed as they come. An interrupt keeps what has arrived and fails the cell with one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ib_kernel.notebook.interrupts import Interrupts
from ib_kernel.notebook.output.live import Live
from ib_kernel.notebook.output.screen import Screen, Terminal
from ib_kernel.notebook.output.show import has_front_end

if TYPE_CHECKING:
    from ib_kernel.turn.reply import Reply
    from ib_kernel.values import Session


def show_reply(
    shell: Any,
    reply: Reply,
    *,
    stream: str,
    waiting_for: str,
    alone: bool = False,
    session: Session | None = None,
) -> None:
    """Run *reply* to its end and show it. Raises what refused, failed or stopped the turn.

    *alone* says that the running cell shows nothing else, so that its outputs may be replaced at the end;
    *session* is whose clock is shown while the reply comes, None: no clock.
    """
    if not has_front_end(shell) and stream == "live":
        screen: Screen = Terminal()
    else:
        screen = Live(waiting_for, alone=alone) if stream == "live" else Screen()
    if session is not None:
        screen.time_limit_s = session.time_limit_s
        screen.time_left_s = session.time_left_s
    screen.held = lambda: reply.reservation.tokens if reply.reservation is not None else 0
    reply.on_notice, reply.on_wait = screen.notice, screen.tick
    stopped = False
    with Interrupts(reply.stop) as interrupts:
        try:
            with reply:
                for piece in reply:
                    screen.piece(piece)
        except KeyboardInterrupt:  # not in the main thread, or pressed again and again
            stopped = True
        finally:
            screen.end(reply)
        stopped = stopped or interrupts.pressed > 0
    if stopped or reply.result is None:
        raise reply.stop_line()
