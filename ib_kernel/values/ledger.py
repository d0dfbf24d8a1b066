"""The plain values of the ledger: sessions, calls, messages, reservations, totals, events."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ib_kernel.values.calls import Source


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


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a session is opened with. `session_id` is any non-empty text, unique in the ledger.

    `token_budget` is in tokens (input + output), `budget_nano_usd` an optional budget in money beside it,
    `time_limit_s` counts active seconds only (None: no limit). `meta` is JSON-able and for the caller.
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


@dataclass(frozen=True, slots=True)
class Session(NewSession):
    """A session as the ledger has it now.

    `active_s` is how long it has been active so far, `time_left_s` what its time limit leaves (None: no
    limit; never negative).
    """

    status: Status = Status.CREATED
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    active_s: float = 0.0
    time_left_s: float | None = None


@dataclass(frozen=True, slots=True)
class CallStart:
    """What is known about an attempt when its tokens are reserved.

    `turn` is None for the first attempt of a turn: the ledger then gives it the session's next number, in
    the same write (`Reservation.turn` says which). A retry passes that number on with its own `attempt`,
    from 2 on; 0 is a call outside any turn. `counted_tokens` is the counter's best estimate of the prompt,
    `counted_exact` whether it claimed to be exact. The text of the prompt is deliberately absent:
    transcripts live in messages.
    """

    turn: int | None = 0
    attempt: int = 1
    client: str = ""
    model: str = ""
    counted_tokens: int | None = None
    counted_exact: bool | None = None
    prompt_version: str = ""


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How an attempt ended: tokens as billed (never clipped), where they come from, cost and timing.

    `finish_reason` is the service's word, or ours: "stopped" (the user), "cap" (our own hard stop).
    `error` is the name of our error class when the attempt failed. `price_source` names the price list
    and its version. `raw_usage` is the service's usage object as it came (JSON text), when it sent one.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    source: Source = "api"
    model_returned: str = ""
    cost_nano_usd: int | None = None
    price_source: str | None = None
    finish_reason: str = ""
    error: str | None = None
    response_id: str = ""
    latency_ms: float | None = None
    first_piece_ms: float | None = None
    raw_usage: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a session's transcript. `partial` marks a reply that was cut short.

    `asked_at` is when the turn's question was asked (None: not known), for the question and for its reply;
    `created_at` is when this message was complete, so that a reply took ``created_at - asked_at`` seconds.
    """

    turn: int
    role: str
    content: str
    created_at: float = 0.0
    partial: bool = False
    asked_at: float | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """Tokens that are held for one attempt until it ends; always truthy.

    `tokens` is what is held, `lease_until` when it becomes unresolved (*in doubt* on screen and in SQL)
    unless renewed, `in_doubt` whether it has. `owner` names the process that made it. `owner_token` makes
    whoever has it the owner: only the value that `BudgetStore.reserve` returned has it, no listing does.
    """

    reservation_id: str
    session_id: str
    tokens: int
    lease_until: float
    nano_usd: int = 0
    owner: str = ""
    created_at: float = 0.0
    in_doubt: bool = False
    doubt_reason: str = ""
    call: CallStart = field(default_factory=CallStart)
    owner_token: str = field(default="", repr=False, compare=False)

    @property
    def turn(self) -> int:
        """The turn's number in its session, from 1 on; 0 for a call outside any turn."""
        return self.call.turn or 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was reserved; always falsy. `left` is what could still have been held, in tokens."""

    reason: Literal["budget", "money", "inactive", "expired", "unknown_session"]
    left: int = 0
    status: str = ""

    def __bool__(self) -> Literal[False]:
        return False


@dataclass(frozen=True, slots=True)
class Totals:
    """A session's sums: `input_tokens + output_tokens` are used; `held` and `in_doubt` are charged too.

    `calls` counts settled attempts that used tokens, `turns` the turns among them, `messages` the stored
    messages. `overdraft` is how far used exceeds the budget. `cost_nano_usd` is None when no call had a
    price; `unpriced_calls` counts those without.
    """

    token_budget: int
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    held: int = 0
    in_doubt: int = 0
    calls: int = 0
    turns: int = 0
    messages: int = 0
    cost_nano_usd: int | None = None
    unpriced_calls: int = 0
    budget_nano_usd: int | None = None
    held_nano_usd: int = 0

    @property
    def used(self) -> int:
        """Tokens settled so far, input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def left(self) -> int:
        """Tokens that can still be held: budget less used, held and in doubt; never negative."""
        return max(0, self.token_budget - self.used - self.held - self.in_doubt)

    @property
    def overdraft(self) -> int:
        """How far used, held and in-doubt tokens exceed the budget; 0 when they do not."""
        return max(0, self.used + self.held + self.in_doubt - self.token_budget)


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """One recorded fact about a session: what (`kind`), when, by whom, and JSON-able details.

    Kinds that the core and every store use: "opened", "status" (details *from*, *to*), "budget",
    "time_limit", "in_doubt", "written_off", "resolved", "settled_again" (a second, different settle; details
    *reservation_id* and its figures), "budget_warning", "counted" (what the calls to a model are made of from
    *turn* on; details *model*, *constructs*).
    """

    session_id: str
    kind: str
    created_at: float
    who: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spent:
    """One settled attempt that used tokens: when it ended, and the session's budget at that moment.

    `counted_tokens` is our own count of the prompt (None: it was not counted), `source` where the figures
    come from (`Source`).
    """

    turn: int
    ended_at: float
    input_tokens: int
    output_tokens: int
    token_budget: int
    model: str = ""
    counted_tokens: int | None = None
    source: str = ""
