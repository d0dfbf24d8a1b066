"""What a session is opened with, what it is now, and which state may follow which."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


class Status(enum.StrEnum):
    """The states of a session.

    created → active ⇄ paused; active or paused → completed | cancelled; created → cancelled;
    active → expired by its time limit; expired → active when it gets more time.
    """

    CREATED = "created"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.CREATED: frozenset({Status.ACTIVE, Status.CANCELLED}),
    Status.ACTIVE: frozenset({Status.PAUSED, Status.COMPLETED, Status.EXPIRED, Status.CANCELLED}),
    Status.PAUSED: frozenset({Status.ACTIVE, Status.COMPLETED, Status.CANCELLED}),
    Status.EXPIRED: frozenset({Status.ACTIVE, Status.COMPLETED}),
    Status.COMPLETED: frozenset(),
    Status.CANCELLED: frozenset(),
}
"""Which state may follow which; anything else raises `SessionInactive`. `EXPIRED` → `ACTIVE` needs time
left, that is, a raised time limit."""

Charge = Literal["billed", "new"]
"""What a session charges: every token that the service bills, or what each turn adds."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a session is opened with. `session_id` is any non-empty text, unique in the ledger.

    `token_budget` is in charged tokens, `budget_nano_usd` an optional budget in money beside it, and
    `time_limit_s` counts active seconds only (None: no limit). `charge` says what is charged: "billed" (all
    that the service bills) or "new" (what each turn adds); `billed_ceiling` limits what may be billed beside
    it (None under "new": 10 × the budget; under "billed": no other limit). `meta` is JSON-able and for the
    caller.

    `external_id` names the person where a name does not (a candidate's id), `challenge_sha` the candidate's
    part of the challenge that was given. `notice_version` is the notice that was shown, `keep_until` when the
    rows may be erased (seconds since 1970), `accommodation` what was adapted for this person ("time=1.25"):
    it is in no SQL, and for coordinators only.
    """

    session_id: str
    candidate: str
    token_budget: int
    model: str
    role: str = ""
    level: str = ""
    challenge: str = ""
    persona: str = "interviewer"
    client: str = ""
    prompt_version: str = ""
    time_limit_s: float | None = None
    budget_nano_usd: int | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    charge: Charge = "billed"
    billed_ceiling: int | None = None
    external_id: str = ""
    challenge_sha: str = ""
    notice_version: str = ""
    keep_until: float | None = None
    accommodation: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Session(NewSession):
    """A session as the ledger has it now.

    `active_s` is how long it has been active so far, `time_left_s` what its time limit leaves (None: no
    limit; never negative). `billed_ceiling` is the one in force. `token_budget_at_start` and
    `time_limit_at_start_s` are what the limits were when it first became active (None: not yet).
    """

    status: Status = Status.CREATED
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    active_s: float = 0.0
    time_left_s: float | None = None
    token_budget_at_start: int | None = None
    time_limit_at_start_s: float | None = None
