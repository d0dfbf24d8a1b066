"""`%interview begin`, `extend` and `end`: the clock, the limits, and the end of the session in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_kernel.notebook.commands.words import UsageError
from ib_kernel.notebook.output.show import Output, show_lines

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview
    from ib_kernel.notebook.commands.args import Parsed
    from ib_kernel.notebook.engine import Engine


def begin(engine: Engine, parsed: Parsed) -> Output:
    """Start the clock of a session that was only opened, here or at a host."""
    from ib_kernel.notebook.commands.start import limits_line

    interview = engine.interview
    session = interview.begin()
    return show_lines(f"Begun: {limits_line(session, interview.service.totals(session.session_id))}")


def extend(engine: Engine, parsed: Parsed) -> Output:
    """Give the session more time or tokens; a reply that runs elsewhere goes on until the new end."""
    minutes, tokens = parsed.get("minutes"), parsed.get("tokens")
    if minutes is None and tokens is None:
        raise UsageError("%interview extend needs --minutes N or --tokens N, such as --minutes 10")
    from ib_kernel.notebook.commands.passphrase import passphrase_for

    interview = engine.interview
    session, service = interview.session, interview.service
    if minutes is not None and session.time_limit_s is None:
        raise UsageError("--minutes: this session has no time limit, so there is nothing to add to")
    key = passphrase_for(service, session.session_id)
    if minutes is not None:
        limit = (session.time_limit_s or 0.0) + 60 * minutes
        session = service.set_time_limit(session.session_id, limit, passphrase=key)
    if tokens is not None:
        service.extend_budget(session.session_id, tokens, passphrase=key)
    if session.status == "expired":
        service.resume(session.session_id, passphrase=key)
    return stand(interview, "Extended")


def end(engine: Engine, parsed: Parsed) -> Output:
    """End the session for good, after a question unless ``--yes`` was said."""
    from ib_kernel.text import several

    interview = engine.interview
    session = interview.session
    totals = interview.service.totals(session.session_id)
    turns = several(totals.turns, "turn")
    if not parsed.get("yes") and not _agreed(
        f"End {session.candidate}'s interview for good ({turns}, {totals.left:,} tokens left)? [y/N] "
    ):
        return show_lines("Nothing was ended.")
    interview.service.complete(session.session_id)
    if session.meta.get("practice") is True:
        from ib_kernel.notebook.commands.practice import feedback

        return feedback(interview)
    totals = interview.service.totals(session.session_id)
    return show_lines(
        f"Interview ended: {session.candidate} · {several(totals.turns, 'turn')} · {totals.used:,} of "
        f"{totals.token_budget:,} tokens used. %interview transcript FILE.md keeps the conversation."
    )


def stand(interview: Interview, verb: str) -> Output:
    """Return where the session in use stands, in one line.

    Args:
        interview: Whose session is meant.
        verb: What has just happened.
    """
    from ib_kernel.show.figures import time_line

    session = interview.session
    left = interview.service.get_remaining_budget(session.session_id)
    return show_lines(
        f"{verb}: {session.candidate} · {left:,} of {session.token_budget:,} tokens left · "
        f"{time_line(session)}"
    )


def _agreed(question: str) -> bool:
    """Ask; `UsageError` names what to type where nobody can be asked."""
    from IPython.core.error import StdinNotImplementedError

    try:
        return input(question).strip().lower() in ("y", "yes")
    except (StdinNotImplementedError, EOFError, OSError):
        raise UsageError("nobody can be asked here; %interview end --yes ends the session for good") from None
