"""A report as Markdown: the same sentences, somebody's text as quotations that nothing in it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ib_kernel.assessment.report.page import LEVELS
from ib_kernel.assessment.report.values import Quoted, Rated, Report, Said, Signed
from ib_kernel.show.quoting import escaped, quoted


def to_markdown(report: Report) -> str:
    """Return a report as one Markdown document.

    Args:
        report: Either edition.
    """
    kind = "Your interview" if report.edition == "candidate" else "Interview report, for the hiring team only"
    parts = [f"# {escaped(report.title)}", f"{kind}: {escaped(report.about)}"]
    parts += ["## Conditions", _lines((line.name, line.value) for line in report.conditions)]
    if report.marks:
        parts.append(f"On the way: {escaped('; '.join(report.marks))}.")
    parts += ["## What the record shows", _list(report.shown)]
    if report.edition == "interviewer":
        parts.append("**This report does not recommend.** The decision is yours.")
        parts += ["## Criteria", f"Levels: {LEVELS}.", *(escaped(line) for line in report.judge)]
        if report.is_demo:
            parts.append("**Demo.** The demo's judge counted shared words; it says nothing about anybody.")
    else:
        parts.append("## What you showed, and what next")
    for one in report.criteria:
        parts += _criterion(one) if report.edition == "interviewer" else _told(one)
    parts += _tests(report) + _computed(report)
    if report.origin:
        lines = ", ".join(f"{line.number} ({line.shared})" for line in report.code if line.shared)
        parts += ["## Where the final code comes from", report.origin, f"Lines: {lines}" if lines else ""]
    if report.flags:
        rows = (f"{line.name}: {line.value} ({line.note})" for line in report.flags)
        parts += [
            "## Evidence flagged",
            "This list accuses nobody; no level rests on any of it.",
            _list(rows),
        ]
    parts += _signed("Private notes", report.notes) + _signed("Objections", report.objections)
    parts += _usage(report) + _said(report.said)
    if report.contact:
        parts += ["## If something is wrong", escaped(report.contact)]
    parts += ["## How this was made", escaped(" ".join(report.method))]
    parts.append(escaped(f"Session {report.session_id}, made {report.made_at}. Chain head: {report.head}"))
    return "\n\n".join(part for part in parts if part) + "\n"


def _criterion(one: Rated) -> list[str]:
    parts = [f"### {escaped(one.title)}"]
    for view in one.people:
        parts.append(f"**{escaped(view.who)}: {view.word}**" + (" (had seen the judge's)" * view.saw_model))
        parts += [_quote(quote) for quote in view.quotes]
        parts += [quoted(view.reason)] if view.reason else []
    if one.folded:
        parts.append(one.folded)
    if one.model is not None:
        parts.append(f"Proposed by {escaped(one.model.who)}: {one.model.word}")
        parts += [_quote(quote) for quote in one.model.quotes]
        parts += [quoted(one.model.reason)] if one.model.reason else []
        parts += [escaped(f"Looks: {'; '.join(one.looks)}.")] if one.looks else []
        parts += [f"Dropped ({escaped(q.place)}, {q.reason}):\n\n{quoted(q.words)}" for q in one.omitted]
    if not (one.people or one.folded or one.model):
        parts.append("Nobody rated it, so nothing is said here.")
    return parts


def _told(one: Rated) -> list[str]:
    parts = [f"### {escaped(one.title)}", *(_quote(quote) for quote in one.quotes)]
    parts += [f"**Strength.** {escaped(one.strength)}"] if one.strength else []
    return [*parts, f"**Next step.** {escaped(one.next_step)}"]


def _quote(quote: Quoted) -> str:
    where = escaped(", ".join(part for part in (quote.place, quote.at) if part))
    after = f"; the AI had said this in {escaped(quote.after)}" if quote.after else ""
    return f"{quoted(quote.words)}\n\n({where}{after})" if quote.words else f"({where})"


def _tests(report: Report) -> list[str]:
    rows = [
        f"{test.name} ({test.suite}): {'passed' if test.passed else 'not passed'}"
        + (f", first at {test.first}" if test.first else "")
        for test in report.tests
    ]
    return ["## Checks", _list(rows), escaped(report.tests_note)] if rows else []


def _computed(report: Report) -> list[str]:
    rows = (f"{line.name}: {line.value}. {line.note}" for line in report.figures)
    return ["## Counted", _list(rows)] if report.figures else []


def _usage(report: Report) -> list[str]:
    u = report.usage
    if u is None:
        return []
    doubt = f", {u.in_doubt:,} in doubt" if u.in_doubt else ""
    words = (
        f"{u.used:,} of {u.budget:,} tokens used{doubt}, {u.left:,} left; billed {u.input_tokens:,} in and "
    )
    words += f"{u.output_tokens:,} out; time {u.time}; cost {u.cost}."
    return ["## Usage and cost", escaped(words)]


def _said(rows: Sequence[Said]) -> list[str]:
    found = [f"### {escaped(one.title)}\n\n{quoted(one.text)}" for one in rows]
    return ["## Turns quoted", *found] if found else []


def _signed(title: str, rows: Sequence[Signed]) -> list[str]:
    found = [f"{escaped(', '.join(p for p in (r.who, r.at) if p))}\n\n{quoted(r.text)}" for r in rows]
    return [f"## {title}", *found] if found else []


def _lines(rows: Iterable[tuple[str, str]]) -> str:
    return "  \n".join(f"{escaped(name)}: {escaped(value)}" for name, value in rows)


def _list(rows: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(row)}" for row in rows)
