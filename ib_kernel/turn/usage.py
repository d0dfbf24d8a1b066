"""What an ended attempt has used and cost: the service's figures when there are any, else our own.

`docs/decisions/0006-missing-usage.md` has the table of cases.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ib_kernel.models import prices
from ib_kernel.models.limits import ModelInfo
from ib_kernel.turn.admission import Plan
from ib_kernel.values import CallEnd, Count, Done, Reservation, Source, Totals, Usage


@dataclass
class Attempt:
    """One attempt, from its hold to its row. Times are `time.monotonic` seconds."""

    number: int
    plan: Plan
    count: Count
    reservation: Reservation
    before: Totals
    started: float = field(default_factory=time.monotonic)
    first_piece: float | None = None
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The reply so far."""
        return "".join(self.pieces)

    def add(self, piece: str) -> None:
        """Note a piece of the reply."""
        if self.first_piece is None:
            self.first_piece = time.monotonic()
        self.pieces.append(piece)


@dataclass(frozen=True, slots=True)
class UsageRecorder:
    """Turns attempts into rows for one model. *billed* is false when nobody bills this client's tokens."""

    model: ModelInfo
    billed: bool
    count_text: Callable[[str], int]

    def ended(self, attempt: Attempt, done: Done) -> CallEnd:
        """Return the row of an attempt that ended with *done* (also one that we ended)."""
        usage, source = (done.usage, "api") if done.usage else self._own_figures(attempt, done)
        end = CallEnd(
            usage.input_tokens,
            usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            source=source,  # type: ignore[arg-type]  # a literal from either side
            model_returned=done.model,
            finish_reason=done.finish_reason,
            response_id=done.response_id,
            latency_ms=_ms(attempt.started, time.monotonic()),
            first_piece_ms=None if attempt.first_piece is None else _ms(attempt.started, attempt.first_piece),
            raw_usage=done.raw_usage,
        )
        return self._priced(end, usage, done.model or self.model.name, done.service_tier)

    def failed(self, attempt: Attempt, error: str, *, prompt_billed: bool) -> CallEnd:
        """Return the row of an attempt that failed: free, or charged for its prompt."""
        usage = Usage(self._prompt(attempt) if prompt_billed else 0, 0)
        source: Source = "counted" if prompt_billed else "api"
        latency = _ms(attempt.started, time.monotonic())
        end = CallEnd(usage.input_tokens, 0, source=source, error=error, latency_ms=latency)
        return self._priced(end, usage, self.model.name, None) if prompt_billed else end

    def worst_case(self, plan: Plan) -> int | None:
        """Return what *plan* may cost at most, in nano-dollars; None when no price is known."""
        if not self.billed:
            return 0
        return prices.worst_case(self.model.name, plan.prompt, plan.n * plan.cap)

    def _own_figures(self, attempt: Attempt, done: Done) -> tuple[Usage, Source]:
        """Count what the service did not report; hidden tokens make the held bound the only safe figure."""
        hidden = self.model.reasoning or attempt.plan.n > 1
        if hidden and self.billed and done.finish_reason not in ("stopped", "cap"):
            return Usage(attempt.plan.prompt, attempt.plan.n * attempt.plan.cap), "upper_bound"
        return Usage(self._prompt(attempt), self.count_text(attempt.text)), "counted"

    def _prompt(self, attempt: Attempt) -> int:
        return attempt.count.tokens if attempt.count.exact else attempt.plan.prompt

    def _priced(self, end: CallEnd, usage: Usage, model: str, tier: str | None) -> CallEnd:
        if not self.billed:
            return end
        price = prices.price_call(model, usage, service_tier=tier)
        return dataclasses.replace(end, cost_nano_usd=price.nano_usd, price_source=price.source)


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 3)
