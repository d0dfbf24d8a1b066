"""`%interview judge`: what a judge would cost, then its looks one after the other."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from htpy import Node, div, progress

from ib_kernel.assessment.hiding import scores_for
from ib_kernel.assessment.judge.find import find_judge
from ib_kernel.assessment.judgement import Estimate, Judgement, Step
from ib_kernel.assessment.judging import Judging, client_of
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.budget.access import actor
from ib_kernel.errors import NotHere
from ib_kernel.notebook.output.frame import quiet
from ib_kernel.notebook.output.show import Output, publish, show_lines
from ib_kernel.text import format_usd, one_line, several

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview
    from ib_kernel.notebook.commands.args import Parsed
    from ib_kernel.notebook.engine import Engine

DEMO = "This is the demo's judge: it counts shared words. Its levels say nothing about anybody."


def judge(engine: Engine, parsed: Parsed) -> Output:
    """Say what a judge takes, ask it, and say what stands in the record; its levels stay folded."""
    if engine.remote is not None:
        raise NotHere("a judge is the interviewer's, at the host; this notebook is a candidate's")
    from ib_kernel.notebook.commands.passphrase import passphrase_for

    interview = engine.interview
    session_id = interview.session.session_id
    key = passphrase_for(interview.service, session_id)
    interview.service.unlock(session_id, key, "asking a judge")
    judging = prepare(
        interview,
        str(parsed.get("judge") or ""),
        client=str(parsed.get("client") or ""),
        model=str(parsed.get("model") or ""),
        again=bool(parsed.get("again")),
    )
    estimate = judging.estimate()
    if parsed.get("dry_run"):
        return show_lines("\n".join(said_before(estimate)))
    made = run(judging, estimate, parsed.get("budget"))
    return show_lines("\n".join(said_after(interview, made)))


def prepare(
    interview: Interview, name: str, *, client: str = "", model: str = "", again: bool = False
) -> Judging:
    """Return a judging of the session in use.

    Args:
        interview: Whose session.
        name: The judge; "": the settings'.
        client: The client plugin; "": the judge's, or the interview's.
        model: The model; "": the client's own.
        again: Whether what was judged is judged anew.
    """
    session = interview.session
    asked = client_of(interview, session, None, client)
    found = find_judge(interview.plugins, interview.settings, name, asked)
    rubric = Scorecards(interview).rubric(session)
    return Judging(interview, session, rubric, found, client=client, model=model, again=again)


def run(judging: Judging, estimate: Estimate, budget: int | None = None) -> Judgement:
    """Ask, with a bar that follows; what is interrupted is kept.

    Args:
        judging: What is asked.
        estimate: What it was said to take.
        budget: Tokens of the judge's session; None: what it can take at the most.
    """
    name, shown = uuid.uuid4().hex, False
    lines = said_before(estimate)

    def show(done: int, total: int, what: str) -> None:
        nonlocal shown
        word = f"{done} of {several(total, 'look')}{what}"
        publish(_bar(lines, done, total, word), "\n".join([*lines, word]), display_id=name, update=shown)
        shown = True

    def on_step(step: Step) -> None:
        dropped = len(step.look.dropped)
        quotes = f"{several(len(step.look.kept), 'quote')} found"
        quotes += f", {dropped} dropped" if dropped else ""
        show(step.done, step.total, f" · {one_line(step.look.criterion)}: {step.look.problem or quotes}")

    show(estimate.total - estimate.calls, estimate.total, "")
    return judging.run(on_step, budget=budget)


def said_before(estimate: Estimate) -> list[str]:
    """Return what is said before anything is asked."""
    cost = "" if estimate.cost_nano_usd is None else f", about {format_usd(estimate.cost_nano_usd)}"
    done = estimate.total - estimate.calls
    goes_on = f" {done} of {estimate.total} are answered already." if done else ""
    calls, who = several(estimate.calls, "call"), f"{estimate.judge} ({one_line(estimate.model)})"
    figures = f"about {estimate.tokens:,} tokens, {estimate.most:,} at the most{cost}"
    lines = [f"Judge {who}: {calls}, {figures}, from a session of its own.{goes_on}"]
    return [*lines, DEMO] if estimate.is_demo else lines


def said_after(interview: Interview, made: Judgement) -> list[str]:
    """Return what is said afterwards: quotes, and where levels are to be seen."""
    lines = [f"Judged: {several(made.kept, 'quote')} found in the record, {made.dropped} dropped."]
    unusable = sum(bool(look.problem) for look in made.looks)
    if unusable:
        lines.append(f"{several(unusable, 'answer')} could not be used.")
    visible = scores_for(interview.service.store, made.session_id, actor())
    seen = {score.criterion for score in visible if score.rater_kind == "model"}
    if len(seen) < len(made.levels):
        lines.append(
            "The judge's levels stay folded until you have given yours: %interview score CRITERION LEVEL "
            '"why" for each, then %interview report FILE.html.'
        )
    else:
        lines.append("You have given your levels: %interview report FILE.html shows the judge's beside them.")
    return lines


def _bar(lines: list[str], done: int, total: int, word: str) -> Node:
    return div[
        [div[line] for line in lines],
        progress(value=str(done), max=str(total), aria_label=word, style="width:240px"),
        quiet(word),
    ]
