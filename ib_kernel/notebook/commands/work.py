"""`%interview check`, `hint` and `challenges`: the work itself, beside the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from htpy import div, li, pre, strong, ul

from ib_kernel.errors import ConfigError
from ib_kernel.evidence.gather import gather
from ib_kernel.notebook.commands.words import UsageError
from ib_kernel.notebook.output.show import Output, as_divs, show_lines
from ib_kernel.text import plain
from ib_kernel.values.table import table_html, table_text

if TYPE_CHECKING:
    from ib_kernel.interview.challenges import Challenge
    from ib_kernel.notebook.commands.args import Parsed
    from ib_kernel.notebook.engine import Engine
    from ib_kernel.values.work import CheckReport, TestResult

WHY = {
    "same": "passed",
    "different": "another result",
    "error": "raised an error",
    "time": "took too long",
    "memory": "took too much memory",
    "ended": "the process ended in it",
    "not run": "was not run",
}
"""What a test showed, in words."""

_SHOWN = 300
"""Characters of one value that are shown."""


def check(engine: Engine, parsed: Parsed) -> Output:
    """Run the challenge's tests beside what this notebook defines."""
    interview = engine.interview
    session = interview.session
    challenge: Challenge | None = interview.challenge(session)
    if challenge is None:
        raise ConfigError("this session was given no challenge: start one with --challenge NAME")
    code = _code(engine, parsed, challenge)
    if parsed.get("hidden") or parsed.get("practice"):
        if engine.remote is None and not parsed.get("practice"):
            raise ConfigError("hidden checks are a host's; --practice runs them here, where they can be read")
        report = engine.work.hidden(session, code, practice=bool(parsed.get("practice")))
    else:
        report = engine.work.visible(session, code)
    return shown(report)


def shown(report: CheckReport) -> Output:
    """Return a report as it is shown: one line, then each test that may be named."""
    tests = [test for test in report.tests if not test.ok]
    passed = [test.name for test in report.tests if test.ok]
    head = report.line()
    notes = []
    if report.practice:
        notes.append("Practice: the hidden runs were run here, where they can be read.")
    if passed and tests:
        notes.append(f"Passed: {', '.join(plain(name) for name in passed)}")
    lines = [head, *(line for test in tests for line in _lines(test)), *notes]
    items = [li[strong[plain(test.name)], ": ", _why(test), _values(test)] for test in tests]
    body = div[div[strong[head]], ul[items] if items else None, as_divs(notes)]
    return Output(body, "\n".join(lines))


def hint(engine: Engine, parsed: Parsed) -> Output:
    """Show the next hint."""
    given = engine.work.hint(engine.interview.session)
    left = f"{given.left} more" if given.left else "the last one"
    head = f"Hint {given.rung} ({left})"
    text = plain(given.text)
    return Output(div[div[strong[head]], div[text]], f"{head}\n{text}")


def record(engine: Engine, parsed: Parsed) -> Output:
    """Switch the recording of cells on or off."""
    words = {"on": True, "off": False, "": engine.records}
    if parsed.positional not in words:
        raise UsageError(f"%interview record takes on or off, not {parsed.positional!r}")
    if parsed.positional:
        engine.records = words[parsed.positional]
        engine.note_recording()
    if engine.records:
        return show_lines("Cells that are run are recorded: source and sizes, not what they show.")
    return show_lines("Cells are not recorded; the interviewer is told so.")


def challenges(engine: Engine, parsed: Parsed) -> Output:
    """List the challenges that can be posed."""
    from ib_kernel.interview.challenges import list_challenges

    tag, level = str(parsed.get("tag") or "").lower(), str(parsed.get("level") or "").lower()
    found = [
        c
        for c in list_challenges(engine.plugins, engine.settings().challenges)
        if (not tag or tag in (t.lower() for t in c.tags)) and (not level or level in c.level.lower())
    ]
    if not found:
        raise ConfigError(_nothing(engine, tag, level))
    head = ["name", "title", "level", "minutes", "tags", "checks"]
    rows = [_row(c) for c in found]
    return Output(table_html(head, rows, stacks=True), table_text(head, rows))


def _row(c: Challenge) -> list[str]:
    minutes = "" if c.minutes is None else str(c.minutes)
    return [c.name, c.title, c.level, minutes, ", ".join(c.tags), "yes" if c.visible else ""]


def _nothing(engine: Engine, tag: str, level: str) -> str:
    from ib_kernel.interview.challenges import list_challenges

    tags = sorted({t for c in list_challenges(engine.plugins, engine.settings().challenges) for t in c.tags})
    asked = " and ".join(filter(None, [f"tag {tag!r}" if tag else "", f"level {level!r}" if level else ""]))
    return f"no challenge has {asked}; tags: {', '.join(tags)}; levels: junior, mid, senior"


def _code(engine: Engine, parsed: Parsed, challenge: Challenge) -> str:
    if not challenge.entry:
        raise ConfigError(f"the challenge {challenge.name} has no tests: it is talked through")
    ran = engine.cells_that_ran()
    number = parsed.get("cell")
    if number is not None:
        if not 0 < number < len(ran) or not ran[number]:
            raise ConfigError(f"--cell {number}: there is no such cell; the last one was {len(ran) - 1}")
        return str(ran[number])
    found = gather(ran, challenge.entry)
    if found.missing:
        names = ", ".join(found.missing)
        raise ConfigError(
            f"no cell that was run defines {names}; run your solution's cell first, or name it with --cell N"
        )
    return found.code


def _why(test: TestResult) -> str:
    return WHY.get(test.why, "failed")


def _lines(test: TestResult) -> list[str]:
    lines = [f"✗ {plain(test.name)}: {_why(test)}"]
    return lines + [f"    {label:<9}{value}" for label, value in _parts(test)]


def _values(test: TestResult) -> Any:
    parts = _parts(test)
    return pre["\n".join(f"{label:<9}{value}" for label, value in parts)] if parts else None


def _parts(test: TestResult) -> list[tuple[str, str]]:
    parts = [("asked", "source"), ("expected", "expected"), ("got", "got"), ("says", "said")]
    return [(label, _cut(getattr(test, name))) for label, name in parts if getattr(test, name)]


def _cut(value: Any) -> str:
    text = plain(str(value)).replace("\n", "⏎ ")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
