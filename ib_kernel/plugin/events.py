"""Frozen facts for observers (`ib_kernel.plugin.hookspecs`). No event has a secret or a prompt's text."""

from __future__ import annotations

from dataclasses import dataclass

from ib_kernel.values import CallEnd, Count, Session, Totals


@dataclass(frozen=True, slots=True)
class BeforeCall:
    """An attempt is about to be sent; its tokens are held."""

    session_id: str
    turn: int
    attempt: int
    client: str
    model: str
    counted: Count
    held_tokens: int


@dataclass(frozen=True, slots=True)
class AfterCall:
    """An attempt was settled. `totals` are the session's sums afterwards."""

    session_id: str
    turn: int
    attempt: int
    client: str
    model: str
    end: CallEnd
    totals: Totals


@dataclass(frozen=True, slots=True)
class CallFailed:
    """An attempt failed. `error` is our error's class name, `outcome` what it has cost.

    `retry_in_s` is how long the pipeline waits before the next attempt (None: there is none); then `gave_up`
    says why: "cannot help" (the error's kind), "reply had begun", "asked to wait too long", "attempts",
    "deadline" or "retry budget".
    """

    session_id: str
    turn: int
    attempt: int
    client: str
    model: str
    error: str
    message: str
    outcome: str
    retry_in_s: float | None = None
    gave_up: str = ""


@dataclass(frozen=True, slots=True)
class BudgetWarning:
    """Usage has reached a warning level. `level` is the fraction of the budget that was passed (0.75)."""

    session_id: str
    level: float
    totals: Totals


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """A session was opened, changed its state or got another budget or time limit. `change` says which."""

    session: Session
    change: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session was completed or cancelled, as its `status` says; `totals` are its sums at that moment.

    A call that is still running is settled afterwards; `ib_after_call` tells its figures.
    """

    session: Session
    totals: Totals
