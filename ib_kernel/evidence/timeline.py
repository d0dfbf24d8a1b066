"""What happened in a session, in one order: for `%interview timeline` and for its replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.values import Cell, Check, LedgerEvent, Message, Session

Kind = Literal["question", "reply", "line", "cell", "check", "hint", "event"]
"""What a moment is; a "line" is the interviewing person's."""

Only = Literal["failed", "checks", "ai"]
"""Which moments are shown: what failed, checks and hints, or the conversation."""

_ROLES: dict[str, Kind] = {"user": "question", "assistant": "reply", "interviewer": "line", "hint": "hint"}
_STEPS: dict[Kind, int] = {"question": 0, "cell": 1, "check": 1, "event": 2, "line": 2, "hint": 2, "reply": 3}
_EVENTS = frozenset(
    [
        *("status", "budget", "time_limit", "refused", "warned", "withheld", "attached", "in_doubt"),
        *("resolved", "written_off", "clock_stopped", "recording", "phase"),
    ]
)
"""Events that people want to see; the rest is bookkeeping."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened.

    Args:
        kind: What it is.
        at: When, in seconds since the epoch: a question when it was asked, the rest when it ended.
        text: The words, a cell's source, or what a check or an event says.
        ok: False where it failed.
        turn: The turn of a question or reply; else 0.
        number: A cell's, check's or hint's number; else 0.
        note: An exception's name, a check's figures.
        left: Tokens left of the budget afterwards.
        budget: The budget then, in tokens.
    """

    kind: Kind
    at: float
    text: str
    ok: bool = True
    turn: int = 0
    number: int = 0
    note: str = ""
    left: int = 0
    budget: int = 0


def timeline(service: TokenService, session: Session) -> list[Moment]:
    """Return all that happened in *session*, in order.

    Args:
        service: The service of its ledger. A ledger that shows no cells (as a host shows none to its
            candidate) has none of them, and of checks what their events say.
        session: The session.
    """
    store: Any = service.store
    session_id = session.session_id
    events = store.events(session_id)
    found = [_said(message) for message in store.history(session_id)]
    hints = 0
    for i, moment in enumerate(found):
        if moment.kind == "hint":
            hints += 1
            found[i] = Moment("hint", moment.at, moment.text, number=hints)
    if hasattr(store, "cells"):
        found += [_cell(cell) for cell in store.cells(session_id)]
        found += [_check(check) for check in store.checks(session_id)]
    else:
        checks = [event for event in events if event.kind == "check"]
        found += [_told_check(event, n) for n, event in enumerate(checks, 1)]
    found += [_event(event) for event in events if event.kind in _EVENTS]
    found.sort(key=lambda moment: (moment.at, _STEPS[moment.kind]))
    return _with_budget(found, session, store.spent(session_id) if hasattr(store, "spent") else [], events)


def only(moments: Sequence[Moment], which: Only) -> list[Moment]:
    """Return the moments of one sort.

    Args:
        moments: All of them.
        which: "failed", "checks" (with hints) or "ai" (the conversation).
    """
    if which == "failed":
        return [moment for moment in moments if not moment.ok]
    kinds = ("check", "hint") if which == "checks" else ("question", "reply", "line")
    return [moment for moment in moments if moment.kind in kinds]


def _said(message: Message) -> Moment:
    asked = message.role != "assistant" and message.asked_at is not None
    at = message.asked_at if asked and message.asked_at is not None else message.created_at
    kind = _ROLES.get(message.role, "line")
    return Moment(kind, at, message.content, not message.partial, message.turn, note="cut" * message.partial)


def _cell(cell: Cell) -> Moment:
    return Moment("cell", cell.ended_at, cell.source, cell.ok, number=cell.n, note=cell.error)


def _check(check: Check) -> Moment:
    missing = [str(test.get("name", "")) for test in check.tests if not test.get("ok")]
    said = f"{check.suite} checks"
    figures = f"{check.passed} of {check.total}"
    text = f"{said}: not {', '.join(missing)}" if missing else said
    return Moment("check", check.ended_at, text, check.passed == check.total, number=check.n, note=figures)


def _told_check(event: LedgerEvent, number: int) -> Moment:
    passed, total = event.detail.get("passed"), event.detail.get("total")
    text = f"{event.detail.get('suite', '')} checks".strip()
    return Moment(
        "check", event.created_at, text, passed == total, number=number, note=f"{passed} of {total}"
    )


def _event(event: LedgerEvent) -> Moment:
    words = _words(event)
    ok = event.kind not in ("refused", "in_doubt", "withheld")
    return Moment("event", event.created_at, f"{event.kind}: {words}" if words else event.kind, ok)


def _words(event: LedgerEvent) -> str:
    """Return what an event's details say."""
    detail = event.detail
    if event.kind == "attached" and isinstance(detail.get("items"), list):
        return ", ".join(str(item.get("label", "")) for item in detail["items"] if isinstance(item, Mapping))
    if event.kind == "phase":
        return str(detail.get("phase") or "none")
    if event.kind == "refused" and detail.get("status"):
        return f"the session was {detail['status']}"
    if event.kind == "refused" and isinstance(detail.get("needed"), int):
        unit = "nano-dollars" if detail.get("reason") == "money" else "tokens"
        return f"{detail['needed']:,} {unit} needed, {detail.get('left', 0):,} left ({detail.get('reason')})"
    told = {name: value for name, value in detail.items() if isinstance(value, str | int | float)}
    return ", ".join(f"{name} {value}" for name, value in told.items())


def _with_budget(
    found: Sequence[Moment], session: Session, spent: Sequence[Any], events: Sequence[LedgerEvent]
) -> list[Moment]:
    """Return the moments with what was left after each; a reply's call is settled just after it."""
    replied = {moment.turn: moment.at for moment in found if moment.kind == "reply"}
    calls = [(min(c.ended_at, replied.get(c.turn, c.ended_at)), c.charged, c.token_budget) for c in spent]
    changes = [e for e in events if e.kind == "budget" and e.detail.get("unit") == "token_budget"]
    calls += [(e.created_at, 0, int(e.detail["to"])) for e in changes]
    calls.sort(key=lambda step: step[0])
    first = int(changes[0].detail["from"]) if changes else session.token_budget
    used, budget, place, made = 0, first, 0, []
    for moment in found:
        while place < len(calls) and calls[place][0] <= moment.at:
            used, budget = used + calls[place][1], calls[place][2]
            place += 1
        made.append(replace(moment, left=max(0, budget - used), budget=budget))
    return made
