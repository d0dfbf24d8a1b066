"""`%interview practice`: a session for oneself, with feedback at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from htpy import div

from ib_kernel.notebook.commands.words import UsageError
from ib_kernel.notebook.output.show import Output
from ib_kernel.show.render import nested, to_html

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview
    from ib_kernel.notebook.commands.args import Parsed
    from ib_kernel.notebook.engine import Engine

NOTES = (
    "Practice: nobody else is shown this session, and comparisons leave it out. The AI interviews you; "
    "%interview check and hint work as in an interview.",
    "%interview end shows what you said that interviewers look for, in your own words. It needs no key.",
)


def practice(engine: Engine, parsed: Parsed) -> Output:
    """Start a session for oneself with a challenge."""
    from pathlib import Path

    from ib_kernel.assessment.practice import META_KEY
    from ib_kernel.notebook.commands.start import DEMO, carries, started
    from ib_kernel.notebook.handout import hand_out

    interview, given = engine.interview, dict(parsed.values)
    if engine.remote is not None:
        raise UsageError(
            "you are in an interview at a host; %interview leave goes back to sessions of your own"
        )
    if not parsed.positional:
        raise UsageError("%interview practice needs a challenge; %interview challenges lists them")
    minutes = given.pop("minutes", None)
    given["time_limit_s"] = None if minutes is None else 60 * minutes
    session = interview.start(challenge=parsed.positional, meta={META_KEY: True}, **given)
    challenge = interview.challenge(session)
    notes = [*carries(interview.service.estimate_turns_left(session.session_id)), *NOTES]
    if session.client == "demo" and engine.settings().client is None and "client" not in parsed.values:
        notes.append(DEMO)
    notes += hand_out(challenge, engine.insert_cell, Path())
    totals = interview.service.totals(session.session_id)
    return started(session, challenge, totals, verb="Practice started", notes=notes)


def feedback(interview: Interview) -> Output:
    """Return what a practice session that has ended has shown."""
    from ib_kernel.assessment.practice import as_markdown
    from ib_kernel.assessment.practice import feedback as found_in

    session = interview.session
    challenge = interview.challenge(session)
    title = f"Practice: {challenge.title}" if challenge else "Practice"
    text = as_markdown(found_in(interview.service, session), title)
    return Output(div[nested(to_html(text), 2)], text)
