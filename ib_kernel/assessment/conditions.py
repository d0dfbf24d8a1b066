"""The conditions of an interview: what must be equal before two of them are read side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from ib_kernel.evidence.clock import ActiveClock
from ib_kernel.interview.sessions import CONDITIONS
from ib_kernel.text import format_usd, one_line, several
from ib_kernel.values import LedgerEvent, Session, Spent, Status
from ib_kernel.values.accommodation import time_factor


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a session was opened with. What was given on the way are `marks`, no conditions.

    `minutes` is the usual limit: what was adapted for one person is none of the conditions. `own_tools` is
    whether the candidate's own tools could spend through the gateway.
    """

    challenge: str
    challenge_version: str = ""
    challenge_sha: str = ""
    role: str = ""
    level: str = ""
    model: str = ""
    client: str = ""
    persona: str = ""
    prompt_version: str = ""
    temperature: float | None = None
    charge: str = ""
    token_budget: int = 0
    budget_nano_usd: int | None = None
    minutes: float | None = None
    hints: int | None = None
    own_tools: bool = False


def conditions_of(session: Session, events: Iterable[LedgerEvent], version: str = "") -> Conditions:
    """Return the conditions of *session*.

    Args:
        session: The session.
        events: All of its events.
        version: The version of the challenge that it was given.
    """
    events = list(events)
    kept = session.meta.get(CONDITIONS)
    more: dict[str, Any] = dict(kept) if isinstance(kept, dict) else {}
    budget = session.token_budget_at_start
    usual = more.get("time_limit_s")
    if not isinstance(usual, (int, float)) or isinstance(usual, bool):
        started = session.time_limit_at_start_s
        limit = started if started is not None else session.time_limit_s
        usual = limit / time_factor(session) if limit is not None else None
    hints, temperature = more.get("hints"), session.meta.get("temperature")
    return Conditions(
        challenge=session.challenge,
        challenge_version=version,
        challenge_sha=session.challenge_sha,
        role=" ".join(session.role.split()),
        level=" ".join(session.level.split()),
        model=session.model,
        client=session.client,
        persona=session.persona,
        prompt_version=session.prompt_version,
        temperature=float(temperature) if isinstance(temperature, (int, float)) else None,
        charge=session.charge,
        token_budget=session.token_budget if budget is None else budget,
        budget_nano_usd=_money_at_start(session, events),
        minutes=None if usual is None else round(usual / 60, 2),
        hints=hints if isinstance(hints, int) and not isinstance(hints, bool) else None,
        own_tools=any(e.kind == "invited" and e.detail.get("gateway") is True for e in events),
    )


def key(conditions: Conditions) -> tuple[Any, ...]:
    """Return what is equal for equal conditions; upper and lower case of role and level do not matter."""
    role, level = conditions.role.casefold(), conditions.level.casefold()
    return astuple(replace(conditions, role=role, level=level))


def lines(conditions: Conditions) -> list[tuple[str, str]]:
    """Return the conditions in words: what, and its value."""
    c = conditions
    found = [
        ("challenge", " ".join(part for part in (one_line(c.challenge), _version(c)) if part)),
        ("role", " ".join(part for part in (one_line(c.level), one_line(c.role)) if part) or "not said"),
        ("AI", f"{one_line(c.model)} through {one_line(c.client) or 'the default client'}"),
        ("prompt", f"{one_line(c.persona)} {one_line(c.prompt_version)}".strip()),
        ("temperature", "the model's" if c.temperature is None else f"{c.temperature:g}"),
        ("budget", _budget(c)),
        ("charged", "what each turn adds" if c.charge == "new" else "all that is billed"),
        ("time", "no limit" if c.minutes is None else f"{c.minutes:g} min"),
        ("hints", "not known" if c.hints is None else str(c.hints)),
        ("own tools", "through the gateway" if c.own_tools else "not through us"),
    ]
    return [(name, value) for name, value in found if value]


def differences(conditions: Conditions, base: Conditions) -> list[str]:
    """Return what differs from *base*, each as one phrase; empty where the conditions are equal."""
    if key(conditions) == key(base):
        return []
    before = dict(lines(base))
    found = [
        f"{name}: {value}, not {before.get(name, 'set')}"
        for name, value in lines(conditions)
        if before.get(name, "").casefold() != value.casefold()
    ]
    if conditions.challenge_version == base.challenge_version != "" and _sha_differs(conditions, base):
        found.insert(0, "the challenge's files: changed within one version")
    elif not found and _sha_differs(conditions, base):
        found.append("the challenge's files: changed")
    return found


def marks_of(
    session: Session, events: Sequence[LedgerEvent], calls: Sequence[Spent], factor: float
) -> list[str]:
    """Return what was changed or happened on the way and makes a session less comparable.

    Args:
        session: The session.
        events: All of its events.
        calls: Its settled calls.
        factor: How many times the usual time the person has; minutes are relative to the usual limit.
    """
    clock = ActiveClock(session, events, factor)
    began = session.started_at if session.started_at is not None else session.created_at
    changes = (e for e in events if e.created_at >= began or e.kind == "time_limit")
    found = [line for e in changes if (line := _change(e, clock, factor))]
    paused = sum(e.kind == "status" and e.detail.get("to") == Status.PAUSED for e in events)
    if paused:
        found.append(f"paused {several(paused, 'time')}")
    stopped = sum(_number(e.detail.get("seconds")) for e in events if e.kind == "clock_stopped")
    if stopped >= 1:
        found.append(f"clock stopped {several(round(stopped), 'second')} for an outage or a queue")
    others = {call.turn for call in calls if call.model and call.model != session.model and call.turn > 0}
    if others:
        found.append(f"another model in {several(len(others), 'turn')}")
    if any(e.kind == "recording" and e.detail.get("on") is False for e in events):
        found.append("cells not recorded all the time")
    if session.status in (Status.ACTIVE, Status.PAUSED):
        found.append("still going on")
    elif session.status is Status.CANCELLED:
        found.append("cancelled")
    return found


def _change(event: LedgerEvent, clock: ActiveClock, factor: float) -> str:
    before, after = _number(event.detail.get("from")), _number(event.detail.get("to"))
    at = _clock(clock.seconds(event.created_at))
    if event.kind == "budget" and event.detail.get("unit") == "token_budget" and after != before:
        return f"{after - before:+,.0f} tokens at {at}"
    if event.kind == "budget" and event.detail.get("unit") == "budget_nano_usd" and after != before:
        sign = "+" if after > before else "-"
        return f"{sign}{format_usd(round(abs(after - before)))} at {at}"
    if event.kind == "time_limit":
        if event.detail.get("to") is None:
            return f"time limit taken away at {at}"
        if event.detail.get("from") is None:
            return f"time limit set at {at}"
        if after != before:
            return f"{(after - before) / factor / 60:+g} min at {at}"
    return ""


def _money_at_start(session: Session, events: Iterable[LedgerEvent]) -> int | None:
    for event in events:
        if event.kind == "budget" and event.detail.get("unit") == "budget_nano_usd":
            before = event.detail.get("from")
            return before if isinstance(before, int) else None
    return session.budget_nano_usd


def _version(c: Conditions) -> str:
    return f"version {one_line(c.challenge_version)}" if c.challenge_version else ""


def _budget(c: Conditions) -> str:
    money = f" and {format_usd(c.budget_nano_usd)}" if c.budget_nano_usd is not None else ""
    return f"{c.token_budget:,} tokens{money}"


def _sha_differs(a: Conditions, b: Conditions) -> bool:
    return a.challenge_sha != b.challenge_sha


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0
