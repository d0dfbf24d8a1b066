"""What both editions of a report say: about what, when, which tests passed, and what was used."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from ib_kernel.assessment.report.places import minutes
from ib_kernel.assessment.report.record import RecordOf
from ib_kernel.assessment.report.values import TestLine, Usage
from ib_kernel.show.figures import cost_line
from ib_kernel.show.spending import tokens_per_turn
from ib_kernel.text import cut, one_line, plain

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview


def about(record: RecordOf) -> str:
    """Return what the interview was for, and when, in one line."""
    s, title = record.session, one_line(record.challenge.title) if record.challenge else ""
    role = " ".join(part for part in (one_line(s.level), one_line(s.role)) if part)
    began = s.started_at if s.started_at is not None else s.created_at
    when = datetime.datetime.fromtimestamp(began, datetime.UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    return ", ".join(part for part in (role, title, when) if part)


def tests(record: RecordOf) -> list[TestLine]:
    """Return each test as it ended, and when it first passed."""
    first: dict[tuple[str, str], str] = {}
    last: dict[tuple[str, str], bool] = {}
    for check in record.checks:
        for test in check.tests:
            key = check.suite, cut(one_line(plain(str(test.get("name", "")))), 80)
            last[key] = test.get("ok") is True
            if last[key]:
                first.setdefault(key, minutes(record.clock.seconds(check.ended_at)))
    return [
        TestLine(name, suite, passed, first.get((suite, name), "")) for (suite, name), passed in last.items()
    ]


def usage(interview: Interview, record: RecordOf) -> Usage:
    """Return what was used; time is relative to the usual limit."""
    t, s = record.totals, record.session
    limit = None if s.time_limit_s is None else s.time_limit_s / record.factor
    active = s.active_s / record.factor
    return Usage(
        t.token_budget,
        t.used,
        t.in_doubt,
        t.left,
        t.input_tokens,
        t.output_tokens,
        cost_line(s, t, interview.service),
        f"{minutes(active)} of {minutes(limit)}" if limit else minutes(active),
        min(1.0, active / limit) if limit else None,
        tuple(tuple(row) for row in tokens_per_turn(record.calls)),
    )


def moment(now: float | None = None) -> str:
    """Return a moment in words, UTC.

    Args:
        now: Seconds since 1970; None: now.
    """
    at = (
        datetime.datetime.now(datetime.UTC)
        if now is None
        else datetime.datetime.fromtimestamp(now, datetime.UTC)
    )
    return at.strftime("%d %B %Y, %H:%M UTC").lstrip("0")
