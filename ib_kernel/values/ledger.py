"""The plain values of the ledger: calls, messages, reservations, totals, events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ib_kernel.values.calls import Source


@dataclass(frozen=True, slots=True)
class CallStart:
    """What is known about an attempt when its tokens are reserved.

    `turn` is None for the first attempt of a turn: the ledger then gives it the session's next number, in
    the same write (`Reservation.turn` says which). A retry passes that number on with its own `attempt`,
    from 2 on; 0 is a call outside any turn. `counted_tokens` is the counter's best estimate of the prompt,
    `counted_exact` whether it claimed to be exact. The text of the prompt is deliberately absent:
    transcripts live in messages. `history_from_turn` is the oldest turn that the prompt has (None: all).

    `request_id` is the client's own id of the request ("": none), unique in its session, and `request_sha`
    the hash of its body; a retry passes them on. `sent_hmac` is the keyed hash (hex) of the body as sent.

    `most_running` is how many attempts of the session may be held at once, this one included, whoever works
    on them (None: any number). It is part of the reserve's condition and no part of a row.
    """

    turn: int | None = 0
    attempt: int = 1
    client: str = ""
    model: str = ""
    counted_tokens: int | None = None
    counted_exact: bool | None = None
    prompt_version: str = ""
    history_from_turn: int | None = None
    request_id: str = ""
    request_sha: str = ""
    sent_hmac: str = ""
    most_running: int | None = None


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How an attempt ended: tokens as billed (never clipped), where they come from, cost and timing.

    `finish_reason` is the service's word, or ours: "stopped" (the user), "cap" (our own hard stop).
    `error` is the name of our error class when the attempt failed. `price_source` names the price list
    and its version. `raw_usage` is the service's usage object as it came (JSON text), when it sent one.
    `charged_tokens` is what the session is charged for it (None: what was billed, input + output).
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
    charged_tokens: int | None = None

    @property
    def charged(self) -> int:
        """Tokens that the session is charged: `charged_tokens`, or what was billed."""
        return self.input_tokens + self.output_tokens if self.charged_tokens is None else self.charged_tokens


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a session's transcript. `partial` marks a reply that was cut short.

    `role` is "user", "assistant" or "interviewer": a line from the person who interviews, outside any turn
    (0), shown and exported and never sent to a model.

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

    `tokens` is what is held of the budget, `billed_tokens` what that may be billed as. `lease_until` is when
    it becomes unresolved (*in doubt* on screen and in SQL) unless renewed, `in_doubt` whether it has. `owner`
    names the process that made it. `owner_token` makes whoever has it the owner: only the value that
    `BudgetStore.reserve` returned has it, no listing does.
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
    billed_tokens: int = 0

    @property
    def turn(self) -> int:
        """The turn's number in its session, from 1 on; 0 for a call outside any turn."""
        return self.call.turn or 0


Reason = Literal["budget", "billed", "money", "ceiling", "running", "inactive", "expired", "unknown_session"]
"""Why nothing was reserved (see `Refusal`)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was reserved; always falsy. `left` is what could still have been held, in tokens.

    `reason` is "budget" (charged tokens), "billed" (the session's ceiling on what is billed), "money" (its
    budget in money), "ceiling" (what all sessions together may cost), "running" (as many calls of the session
    run as `CallStart.most_running` allows), or what is wrong with the session.
    """

    reason: Reason
    left: int = 0
    status: str = ""

    def __bool__(self) -> Literal[False]:
        return False


AS_BILLED = -1
"""In `Totals.charged_tokens`: as many as were billed."""


@dataclass(frozen=True, slots=True)
class Totals:
    """A session's sums: `charged_tokens` are used; `held` and `in_doubt` are charged too until they end.

    What the service bills is `input_tokens + output_tokens`; `held_billed` is what may yet be billed (held
    and in doubt), and `billed_ceiling` limits both together (None: no limit beside the budget).

    `calls` counts settled attempts that used tokens, `turns` the turns among them, `messages` the stored
    messages. `overdraft` is how far used exceeds the budget. `cost_nano_usd` is None when no call had a
    price; `unpriced_calls` counts those without. `chain_head` is the newest link of the
    session's hash chain (hex); it does not take part in comparisons.
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
    charged_tokens: int = AS_BILLED
    held_billed: int = 0
    billed_ceiling: int | None = None
    chain_head: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.charged_tokens == AS_BILLED:
            object.__setattr__(self, "charged_tokens", self.billed)

    @property
    def billed(self) -> int:
        """Tokens that the service has billed so far, input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def used(self) -> int:
        """Tokens charged so far."""
        return self.charged_tokens

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
    *reservation_id* and its figures), "warned" (*about* "turns", "time" or "budget"), "refused" (*reason*,
    *needed*, *left*), "counted" (what the calls to a model are made of from *turn* on; details *model*,
    *constructs*); of a host "invited", "joined", "revoked", "notice", "clock_stopped" (*seconds*, *reason*)
    and "note" (an interviewer's private one); "phase" (*phase*: the interview is in it from then on),
    "exported" and "erased" (*seals*: what vouches for the rows that are left; see `values.erasure`).
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
    come from (`Source`), `charged_tokens` what the session was charged (None: as billed).
    """

    turn: int
    ended_at: float
    input_tokens: int
    output_tokens: int
    token_budget: int
    model: str = ""
    counted_tokens: int | None = None
    source: str = ""
    charged_tokens: int | None = None

    @property
    def charged(self) -> int:
        """Tokens that the session was charged: `charged_tokens`, or what was billed."""
        return self.input_tokens + self.output_tokens if self.charged_tokens is None else self.charged_tokens
