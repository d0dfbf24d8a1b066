"""`%interview report`, `feedback` and `object`: what is said of an interview, and what its candidate says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_kernel.assessment.report.build import build
from ib_kernel.assessment.report.candidate import FEEDBACK, build_for_candidate
from ib_kernel.assessment.report.release import object_to, release
from ib_kernel.assessment.report.write import suffix_of, write_report
from ib_kernel.errors import ConfigError
from ib_kernel.notebook.commands.words import UsageError
from ib_kernel.notebook.output.show import Output, show_lines
from ib_kernel.text import one_line, several

if TYPE_CHECKING:
    from ib_kernel.assessment.report.values import Report
    from ib_kernel.notebook.commands.args import Parsed
    from ib_kernel.notebook.engine import Engine


def report(engine: Engine, parsed: Parsed) -> Output:
    """Write a report of the session in use; of a joined interview, what was released."""
    target = parsed.positional
    if not target:
        raise UsageError("%interview report needs a file, such as %interview report ada.html")
    suffix_of(target)
    overwrite = bool(parsed.get("overwrite"))
    if engine.remote is not None:
        path = write_report(target, engine.remote.report(), overwrite=overwrite)
        return show_lines(f"Your report is in {path}. {_OBJECT}")
    made = _made(engine, parsed)
    path = write_report(target, made, overwrite=overwrite)
    lines = [f"{'The report' if made.edition == 'interviewer' else 'The candidate’s report'} is in {path}"]
    if parsed.get("release"):
        release(engine.interview.service, made)
        lines.append("Released: the candidate can read it with %interview report FILE.html.")
    folded = sum(bool(criterion.folded) for criterion in made.criteria)
    if folded:
        lines.append(
            f"{several(folded, 'criterion').replace('criterions', 'criteria')} without a level of yours: "
            "others' and the judge's are left out there."
        )
    return show_lines("\n".join(lines))


_OBJECT = '%interview object "…" says what is wrong in it.'


def feedback(engine: Engine, parsed: Parsed) -> Output:
    """Keep what the candidate's edition says about one criterion."""
    from ib_kernel.assessment.scores import Scorecards
    from ib_kernel.budget.access import actor
    from ib_kernel.notebook.commands.passphrase import passphrase_for
    from ib_kernel.values import LedgerEvent

    interview = engine.interview
    if engine.remote is not None:
        raise ConfigError("feedback is the interviewer's, at the host; this notebook is a candidate's")
    told = {name: str(parsed.get(name) or "").strip() for name in ("strength", "next")}
    if not parsed.positional or not any(told.values()):
        raise UsageError(
            '%interview feedback CRITERION --strength "…" --next "…": one sentence each, for the candidate'
        )
    session = interview.session
    key = passphrase_for(interview.service, session.session_id)
    interview.service.unlock(session.session_id, key, "words for the candidate")
    criterion = Scorecards(interview).rubric(session).find(parsed.positional)
    detail = {"criterion": criterion.name, **{name: text for name, text in told.items() if text}}
    interview.service.record(LedgerEvent(session.session_id, FEEDBACK, 0.0, actor(), detail))
    return show_lines(f"Kept for the candidate's edition: {one_line(criterion.title)}.")


def object_(engine: Engine, parsed: Parsed) -> Output:
    """Keep an objection of the candidate's with the record."""
    text = parsed.positional
    if engine.remote is not None:
        count = engine.remote.object_to(text)
    else:
        interview = engine.interview
        session = interview.session
        count = object_to(interview.service, session.session_id, text, session.candidate)
    word = "Kept with the record" if count == 1 else f"Kept with the record, the {count} so far"
    return show_lines(f"{word}: whoever reads the interviewers' report reads it too.")


def _made(engine: Engine, parsed: Parsed) -> Report:
    from ib_kernel.notebook.commands.judge import prepare, run
    from ib_kernel.notebook.commands.passphrase import passphrase_for

    interview = engine.interview
    session, model = interview.session, not parsed.get("no_model")
    if parsed.get("judge") and not model:
        raise UsageError("--judge and --no-model are two wishes; leave one of them out")
    if parsed.get("release") and parsed.get("for") != "candidate":
        raise UsageError("--release is for the candidate's edition: add --for candidate")
    key = passphrase_for(interview.service, session.session_id)
    interview.service.unlock(session.session_id, key, "its report")
    if parsed.get("judge"):
        judging = prepare(interview, str(parsed.get("judge")))
        if not judging.is_done:
            run(judging, judging.estimate())
    if parsed.get("for") == "candidate":
        return build_for_candidate(interview, session, model=model)
    return build(interview, session, blind=bool(parsed.get("blind")), model=model, passphrase=key)
