"""What the core asks of a counter, a client and a store, and the plain values that cross the border.

All token figures are whole tokens, all times are seconds since the Unix epoch (UTC), all durations are
seconds unless the name ends in ``_ms``, and money is integer nano-dollars (10⁻⁹ USD) with None for
"no price known". Values are frozen; a store or client hands out new ones instead of changing old ones.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from ib_kernel.results import QueryResult

# --- counting ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Count:
    """How many prompt tokens something costs.

    `tokens` is the best estimate. `exact` says that it is the truth. `upper` is never below the truth
    (equal to `tokens` when exact) and is what gets reserved; None means that no bound exists offline.
    `reason` says in a few words why a count is not exact ("" when it is).
    """

    tokens: int
    exact: bool = True
    upper: int | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.exact and self.upper is None:
            object.__setattr__(self, "upper", self.tokens)


@runtime_checkable
class TokenCounter(Protocol):
    """Counts tokens offline. Pure, thread-safe, never raises for any text or request shape."""

    name: str

    def count_text(self, text: str, model: str) -> Count:
        """Count the tokens of *text* as *model* sees it, special-token text as ordinary text."""
        ...

    def count_request(self, request: Mapping[str, Any], model: str) -> Count:
        """Count the prompt tokens of a request body: ``messages`` (chat) or ``input`` (responses)."""
        ...


# --- the client -------------------------------------------------------------------------------------

Source = Literal["api", "counted", "upper_bound"]
"""Where a row's token numbers come from: the service's own usage, our count of what was sent and
received, or the bound that was held."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What the pipeline wants from a model; a client turns it into the body it will send.

    `messages` are Chat Completions messages. `max_completion_tokens` caps the reply (visible and
    reasoning tokens together). `temperature` is None when it must be left out. `n` is the number of
    choices. `extra` holds further body fields (tools, response_format, …) by their API names.
    """

    model: str
    messages: tuple[Mapping[str, Any], ...]
    max_completion_tokens: int
    temperature: float | None = None
    n: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token usage as the service reports it.

    `cached_tokens` (read from the service's cache) and `cache_write_tokens` (written to it, priced apart
    by some models) are part of `input_tokens`, and `reasoning_tokens` are part of `output_tokens`: details
    are never added.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the reply's text, in the order it arrives."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a reply; always the last thing a stream yields.

    `usage` is None when the service sent none. `finish_reason` is the service's own word ("stop",
    "length", …). `service_tier` is what the service says it billed as, when it says so. `raw_usage` is the
    service's usage object as it came (JSON text), when it sent one and the client keeps it.
    """

    finish_reason: str
    usage: Usage | None = None
    model: str = ""
    response_id: str = ""
    created: int = 0
    service_tier: str | None = None
    raw_usage: str | None = None


ReplyStream = AsyncIterator["Piece | Done"]


@runtime_checkable
class LLMClient(Protocol):
    """Makes one attempt per call. Retrying, budgets and time limits are the pipeline's business.

    Used on one event loop only. Every error leaves as an `ib_kernel.errors.ClientError` whose `outcome`,
    `retryable` and `retry_after_s` are right; no message holds a secret. A stream that ends without
    a finish reason raises `StreamBroken`.

    Three attributes are optional: `default_model` names the model to use when the user names none;
    `billed` (default True) is False when nobody bills this client's tokens, so that our count is final;
    `rate_limits` maps models to what the service last said (`ib_kernel.pacing.RateLimits`): the pipeline
    waits for a short limit, and `%interview doctor` shows them.
    """

    name: str

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """Return the JSON body that `stream` would send: pure, and exactly what is counted."""
        ...

    def stream(self, body: Mapping[str, Any]) -> AbstractAsyncContextManager[ReplyStream]:
        """Send *body*; yield `Piece`s, then one `Done`. Leaving the context ends the HTTP response."""
        ...

    async def validate_api_key(self) -> bool:
        """Tell whether the service accepts the key, without spending tokens. Raises `ClientError`."""
        ...

    async def aclose(self) -> None:
        """Close connections. The client is not used afterwards."""
        ...


# --- the ledger -------------------------------------------------------------------------------------


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
    """What is known about an attempt when its tokens are held.

    `turn` counts from 1 in a session, `attempt` from 1 in a turn. `counted_tokens` is the counter's best
    estimate of the prompt, `counted_exact` whether it claimed to be exact. `request_hash` and the text of
    the prompt are deliberately absent: transcripts live in messages.
    """

    turn: int = 0
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
    """One message of a session's transcript. `partial` marks a reply that was cut short."""

    turn: int
    role: str
    content: str
    created_at: float = 0.0
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Reservation:
    """Tokens that are held for one attempt until it ends; always truthy.

    `tokens` is what is held, `lease_until` when it becomes *in doubt* unless renewed, `in_doubt` whether
    it has. `owner` names the process that made it.
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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was held; always falsy. `left` is what could still have been held, in tokens."""

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
    "time_limit", "written_off", "budget_warning".
    """

    session_id: str
    kind: str
    created_at: float
    who: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spent:
    """One settled attempt that used tokens: when it ended, and the session's budget at that moment."""

    turn: int
    ended_at: float
    input_tokens: int
    output_tokens: int
    token_budget: int


@runtime_checkable
class BudgetStore(Protocol):
    """The ledger. Synchronous; safe from several threads and, if it says so, several processes.

    Invariants, proven by `ib_kernel.testing.BudgetStoreContract`: at admission ``used + held + in_doubt +
    new ≤ budget``, checked and held in one conditional durable write; a reservation ends exactly once and
    a repeated end with the same id is a no-op; nothing acknowledged is lost; expired leases become in
    doubt, never free.

    Two more methods are optional. ``spent(session_id) -> list[Spent]`` returns the session's settled
    attempts in order, cheap enough to be read after every turn; without it, widgets ask `sql`.
    ``connect()`` returns an open DuckDB connection on which the ledger's tables and views can be read, for
    `ib_kernel.connect_usage`.
    """

    name: str

    def location(self) -> str:
        """Where the ledger lives, for people: a full path or an address without secrets."""
        ...

    # sessions
    def open_session(self, new: NewSession) -> Session:
        """Record a new session in state *created*. `SessionError` when the id is taken."""
        ...

    def session(self, session_id: str) -> Session:
        """Return the session as it is now (an elapsed time limit has been applied). `UnknownSession`."""
        ...

    def sessions(self, *, status: Status | None = None, limit: int | None = None) -> list[Session]:
        """Return sessions, newest first."""
        ...

    def set_status(self, session_id: str, status: Status, *, who: str = "") -> Session:
        """Move the session to *status* and record an event. `SessionInactive` for a wrong transition."""
        ...

    def set_budget(
        self, session_id: str, *, tokens: int | None = None, nano_usd: int | None = None, who: str = ""
    ) -> Session:
        """Set the total budget and record an event. `BudgetRefused` below used + held + in doubt."""
        ...

    def extend_budget(self, session_id: str, tokens: int, *, who: str = "") -> Session:
        """Add *tokens* (may be negative) to the total in one write, with the same refusal."""
        ...

    def set_time_limit(self, session_id: str, seconds: float | None, *, who: str = "") -> Session:
        """Set the time limit in active seconds (None: none) and record an event."""
        ...

    # reservations
    def reserve(
        self,
        session_id: str,
        tokens: int,
        *,
        lease_s: float,
        nano_usd: int = 0,
        owner: str = "",
        call: CallStart | None = None,
    ) -> Reservation | Refusal:
        """Hold *tokens* (≥ 0) for one attempt, durably, or say why not. One conditional write."""
        ...

    def renew(self, reservation_ids: Sequence[str], *, lease_s: float) -> set[str]:
        """Extend leases; return the ids that are still held (an in-doubt one is not revived)."""
        ...

    def settle(self, reservation_id: str, end: CallEnd, *, messages: Sequence[Message] = ()) -> bool:
        """End a hold or an in-doubt one with its real usage, and store *messages* in the same write.

        True when this call ended it, False when it had been settled already (nothing changes).
        `ReservationError` when unknown, released or written off.
        """
        ...

    def release(self, reservation_id: str, end: CallEnd | None = None) -> bool:
        """End a hold that has cost nothing. With *end*, a row of status *failed* is kept. Idempotent."""
        ...

    def doubt(self, reservation_id: str, reason: str, *, messages: Sequence[Message] = ()) -> bool:
        """Mark a hold as in doubt: it stays charged until settled or written off. Idempotent."""
        ...

    def write_off(self, reservation_id: str, *, who: str, reason: str = "") -> bool:
        """Free an in-doubt hold by decision of *who*; a row of status *written_off* is kept."""
        ...

    def charge(
        self,
        session_id: str,
        end: CallEnd,
        *,
        call: CallStart | None = None,
        messages: Sequence[Message] = (),
    ) -> Totals:
        """Record usage that nothing was held for. Never clipped, even beyond the budget."""
        ...

    def reservations(self, session_id: str | None = None) -> list[Reservation]:
        """Return open and in-doubt reservations, oldest first."""
        ...

    # reading
    def totals(self, session_id: str) -> Totals:
        """Return the session's sums from the hot ledger, in about a millisecond. `UnknownSession`."""
        ...

    def history(self, session_id: str) -> list[Message]:
        """Return the transcript in order; empty when transcripts are not stored."""
        ...

    def add_event(self, event: LedgerEvent) -> None:
        """Record an event about a session."""
        ...

    def events(self, session_id: str) -> list[LedgerEvent]:
        """Return the session's events in order."""
        ...

    def sql(self, query: str) -> QueryResult:
        """Answer one read-only SQL query over all rows, every settled call included.

        `QueryError` for the user's mistakes, `StoreBusy` when the file is open elsewhere for writing.
        """
        ...

    def check(self) -> list[str]:
        """Rebuild totals from rows; return one line per disagreement (empty: the ledger adds up)."""
        ...

    def flush(self) -> None:
        """Move what is final to where it is analysed, if that is possible right now."""
        ...

    def close(self) -> None:
        """Flush and release files and threads. The store is not used afterwards. Idempotent."""
        ...
