"""What the candidate gets to see of an assessment, and what they say to it: released and objected, on record.

A release keeps what was released. Whoever pressed the button has read exactly that; later levels change
nothing of it until somebody releases anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.report.places import minutes
from ib_kernel.assessment.report.values import Report, Signed
from ib_kernel.budget.access import actor
from ib_kernel.errors import ConfigError
from ib_kernel.evidence.clock import ActiveClock
from ib_kernel.text import cut, one_line, plain
from ib_kernel.values import LedgerEvent
from ib_kernel.values.wire import read, to_value

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService

RELEASED, OBJECTION = "released", "objection"
"""Kinds of events: a report was released to the candidate, and the candidate objects."""

MOST_OBJECTIONS = 20
"""Objections of one session that are kept."""

MOST_CHARS = 5_000
"""Characters of one objection."""

_MOST_SHOWN = 1_500


def release(service: TokenService, report: Report, who: str = "") -> None:
    """Let the candidate see a report.

    Args:
        service: Of the session's ledger.
        report: The candidate's edition, as somebody has read it.
        who: Who releases it; "": the system's user.

    Raises:
        ConfigError: It is the interviewers' edition.
    """
    if report.edition != "candidate":
        raise ConfigError("only the candidate's edition is released; add --for candidate")
    detail = {"report": to_value(report)}
    service.record(LedgerEvent(report.session_id, RELEASED, 0.0, who or actor(), detail))


def released(events: Sequence[LedgerEvent]) -> Report | None:
    """Return the report that was released last, with the objections since; None when none was.

    Args:
        events: All of the session's events.
    """
    found = next((event for event in reversed(events) if event.kind == RELEASED), None)
    if found is None or not isinstance(found.detail.get("report"), dict):
        return None
    return from_value(found.detail["report"])


def from_value(value: Any) -> Report:
    """Return a report that was written as JSON-able values.

    Args:
        value: What JSON gave.

    Raises:
        StoreError: It is none.
    """
    return read(Report, value)


def object_to(service: TokenService, session_id: str, text: str, who: str) -> int:
    """Keep an objection of the candidate's.

    Args:
        service: Of the session's ledger.
        session_id: The session. `UnknownSession`.
        text: What the candidate objects to.
        who: The candidate's name.

    Returns:
        How many objections there are now.

    Raises:
        ConfigError: There is nothing in it, too much, or too many have been kept.
    """
    words = plain(text).strip()
    if not words:
        raise ConfigError('say what you object to: %interview object "turn 4 was cut off by an outage"')
    if len(words) > MOST_CHARS:
        raise ConfigError(f"an objection has at most {MOST_CHARS:,} characters; this one has {len(words):,}")
    before = sum(event.kind == OBJECTION for event in service.store.events(session_id))
    if before >= MOST_OBJECTIONS:
        raise ConfigError(f"{MOST_OBJECTIONS} objections are kept of one interview; talk to the interviewers")
    service.record(LedgerEvent(session_id, OBJECTION, 0.0, who, {"text": words}))
    return before + 1


def objections_of(events: Sequence[LedgerEvent], clock: ActiveClock | None = None) -> list[Signed]:
    """Return the objections of a session, oldest first.

    Args:
        events: All of its events.
        clock: Its clock; None: without times.
    """
    found = []
    for event in events:
        if event.kind == OBJECTION:
            at = minutes(clock.seconds(event.created_at)) if clock else ""
            text = cut(plain(str(event.detail.get("text", ""))), _MOST_SHOWN)
            found.append(Signed(at, one_line(event.who), text))
    return found


def to_json(report: Report) -> str:
    """Return a report as a JSON document.

    Args:
        report: Either edition.
    """
    return json.dumps(to_value(report), ensure_ascii=False, indent=2, default=str) + "\n"
