"""`%interview phase`: which part of the interview it is, and what the model is told from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_kernel.notebook.output.show import Output, show_lines

if TYPE_CHECKING:
    from ib_kernel.notebook.commands.args import Parsed
    from ib_kernel.notebook.engine import Engine


def phase(engine: Engine, parsed: Parsed) -> Output:
    """Enter a phase; without a word, say which there are and which it is."""
    interview = engine.interview
    if engine.remote is not None:
        raise engine.remote.not_here("enter_phase")
    if not parsed.positional:
        now, known = interview.phase() or "none", ", ".join(interview.phases())
        return show_lines(f"Phase: {now}. There are: {known}; %interview phase off leaves it.")
    from ib_kernel.notebook.commands.passphrase import passphrase_for

    key = passphrase_for(interview.service, interview.session.session_id)
    entered = interview.enter_phase(parsed.positional, passphrase=key)
    if not entered:
        return show_lines("No phase any more: the model is told nothing beside its prompt.")
    return show_lines(f"Phase: {entered}. The model is told so with each turn from now on.")
