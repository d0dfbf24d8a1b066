"""The moments that stand between the messages of a session, in its active seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.evidence.clock import ActiveClock
from ib_kernel.evidence.course import MOST, rows_of
from ib_kernel.host.openapi import COUNT, FLAG, NUMBER, TEXT, array, choice, fields, maybe
from ib_kernel.text import one_line

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.values import LedgerEvent, Session

SHOWN_EVENTS = frozenset(
    [
        *("status", "budget", "time_limit", "joined", "invited", "revoked", "clock_stopped", "refused"),
        *("warned", "withheld", "hint", "in_doubt", "resolved", "written_off", "notice", "phase"),
    ]
)
"""Kinds of events that stand in the conversation; the rest is bookkeeping."""

_DETAILS = (
    "from",
    "to",
    "unit",
    "seconds",
    "reason",
    "tokens",
    "needed",
    "left",
    "turn",
    "n",
    "of",
    "phase",
    "status",
)

MOMENT = fields(
    {"key": TEXT, "kind": TEXT, "at": NUMBER, "at_s": NUMBER, "who": TEXT},
    {"detail": {"type": "object"}},
)
COURSE = fields(
    {
        "questions": array(
            fields(
                {
                    "turn": COUNT,
                    "at_s": NUMBER,
                    "state": choice("answered", "asking", "in_doubt", "unanswered"),
                }
            )
        ),
        "cells": array(fields({"at_s": NUMBER, "ok": FLAG})),
        "checks": array(fields({"at_s": NUMBER, "passed": COUNT, "total": COUNT, "suite": TEXT})),
        "hints": array(fields({"at_s": NUMBER, "n": COUNT})),
        "left": array({"type": "array", "items": {"type": "number"}}),
        "now_s": NUMBER,
        "limit_s": maybe(NUMBER),
    }
)


def moments(
    service: TokenService, session: Session, events: Sequence[LedgerEvent], clock: ActiveClock
) -> list[dict[str, Any]]:
    """Return what stands between the messages: changes, cells, checks, hints, in the order of time."""
    found = [
        _moment(f"e{i}", event.kind, event.created_at, clock, event.who, _detail(event, clock.factor))
        for i, event in enumerate(events)
        if event.kind in SHOWN_EVENTS
    ]
    for cell in rows_of(service.store, "cells", session):
        detail = {"ok": cell.ok, "error": one_line(cell.error), "n": cell.n}
        found.append(_moment(f"c{cell.n}", "cell", cell.ended_at, clock, "", detail))
    for check in rows_of(service.store, "checks", session):
        missing = [one_line(str(t.get("name", ""))) for t in check.tests if not t.get("ok")]
        detail = {"passed": check.passed, "total": check.total, "suite": check.suite, "missing": missing[:5]}
        found.append(_moment(f"k{check.n}", "check", check.ended_at, clock, "", detail))
    found.sort(key=lambda moment: float(moment["at"]))
    return found[-MOST:]


def _moment(
    key: str, kind: str, at: float, clock: ActiveClock, who: str, detail: dict[str, Any]
) -> dict[str, Any]:
    return {
        "key": key,
        "kind": kind,
        "at": at,
        "at_s": clock.seconds(at),
        "who": one_line(who),
        "detail": detail,
    }


def _detail(event: LedgerEvent, factor: float) -> dict[str, Any]:
    """Return the details that the page puts into words, as numbers and one-line texts."""
    kept = {name: event.detail[name] for name in _DETAILS if name in event.detail}
    if event.kind == "time_limit":
        kept |= {
            k: v / factor for k, v in kept.items() if k in ("from", "to") and isinstance(v, (int, float))
        }
    return {
        name: one_line(value)[:200] if isinstance(value, str) else value
        for name, value in kept.items()
        if value is None or isinstance(value, (str, int, float))
    }
