"""What an ended attempt has used and cost: the service's figures when there are any, else our own.

`docs/decisions/0006-missing-usage.md` has the table of cases.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ib_kernel.errors import ClientError
from ib_kernel.models import prices
from ib_kernel.models.limits import ModelInfo
from ib_kernel.turn.admission import Plan
from ib_kernel.turn.usage_check import Checked, check_usage
from ib_kernel.values import CallEnd, Count, Done, Reported, Reservation, Source, Totals, Usage, ends

SHOWN_CHARS = 200
"""How much of a model's name, an id or a finish reason is kept: they are the service's text."""


@dataclass
class Attempt:
    """One attempt, from its reservation to its row. Times are `time.monotonic` seconds.

    `last_sign` is when the service last showed that it is at work. `reasoning` is what was thought and not
    said, `thinks` whether the model was seen to reason. `problems` says what was
    wrong with the usage that came, `raw_usage` how it came.
    """

    number: int
    plan: Plan
    count: Count
    reservation: Reservation
    before: Totals
    started: float = field(default_factory=lambda: time.monotonic())  # looked up late: tests hand a clock in
    first_piece: float | None = None
    pieces: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    last_sign: float | None = None
    thinks: bool = False
    problems: tuple[str, ...] = ()
    raw_usage: str | None = None

    @property
    def text(self) -> str:
        """The reply so far."""
        return "".join(self.pieces)

    def add(self, piece: str) -> None:
        """Note a piece of the reply.

        Args:
            piece: What is shown of it.
        """
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
        """Return the row of an attempt that ended, also of one that we ended.

        Args:
            attempt: The attempt.
            done: How it ended, with the service's figures if it told any.
        """
        checked = self._checked(attempt, done.usage, done.raw_usage)
        usage, source = self._figures(attempt, checked, done.finish_reason)
        return self._row(
            attempt,
            usage,
            source,
            served_as=done.model,
            tier=done.service_tier,
            raw_usage=done.raw_usage,
            model_returned=done.model[:SHOWN_CHARS],
            finish_reason=done.finish_reason[:SHOWN_CHARS],
            response_id=done.response_id[:SHOWN_CHARS],
        )

    def reported(self, attempt: Attempt, error: ClientError) -> CallEnd | None:
        """Return the row of an attempt that failed with usage that can be believed.

        Args:
            attempt: The attempt.
            error: What it failed with.

        Returns:
            The row; None when the error has no usage, or none that can be true.
        """
        if error.usage is None:
            return None
        checked = self._checked(attempt, error.usage, error.raw_usage)
        if checked.missing:
            return None
        usage, source = self._figures(attempt, checked, "")
        return self._row(
            attempt,
            usage,
            source,
            served_as=self.model.name,
            raw_usage=error.raw_usage,
            error=type(error).__name__,
        )

    def failed(self, attempt: Attempt, error: str, *, prompt_billed: bool) -> CallEnd:
        """Return the row of an attempt that failed: free, or charged for its prompt.

        Args:
            attempt: The attempt.
            error: The failure's name.
            prompt_billed: Whether the service bills the prompt.
        """
        usage = Usage(self._prompt(attempt) if prompt_billed else 0, 0)
        source: Source = "counted" if prompt_billed else "api"
        nano, price_source = self._price(usage, "", None) if prompt_billed else (None, None)
        return CallEnd(
            usage.input_tokens,
            0,
            charged_tokens=_charged(attempt.plan, usage),
            source=source,
            error=error,
            latency_ms=_ms(attempt.started, time.monotonic()),
            cost_nano_usd=nano,
            price_source=price_source,
        )

    def worst_case(self, plan: Plan) -> int | None:
        """Return what a planned turn may cost at most.

        Args:
            plan: The plan.

        Returns:
            Nano-dollars; None when no price is known.
        """
        if not self.billed:
            return 0
        return prices.worst_case(self.model, plan.prompt, plan.n * plan.cap)

    def longest_reply(self, prompt: int, nano_usd: int) -> int | None:
        """Return how long a reply some money pays for.

        Args:
            prompt: The prompt's bound, in tokens.
            nano_usd: The money, in nano-dollars.

        Returns:
            Tokens of the reply; None: as many as one likes, nobody bills them.

        Raises:
            LookupError: No price is known for the model.
        """
        if not self.billed:
            return None
        base, million = (prices.worst_case(self.model, prompt, reply) for reply in (0, 10**6))
        if base is None or million is None:
            raise LookupError(self.model.name)
        left = nano_usd - base
        if left < 0:
            return 0
        return left * 10**6 // (million - base) if million > base else None

    def _checked(self, attempt: Attempt, said: Reported | Usage | None, raw: str | None) -> Checked:
        has_text = bool(attempt.pieces or attempt.reasoning)
        count = attempt.count
        checked = check_usage(said, prompt=count.tokens, exact=count.exact, has_text=has_text)
        attempt.problems, attempt.raw_usage = checked.problems, raw
        return checked

    def _figures(self, attempt: Attempt, checked: Checked, finish: str) -> tuple[Usage, Source]:
        """Complete what the service did not say, or said wrong, by our own figures."""
        given, made = checked.input_tokens, checked.output_tokens
        source: Source = "api"
        if given is None or made is None:
            own, source = self._own_figures(attempt, finish, output=made is None)
            given = own.input_tokens if given is None else given
            made = own.output_tokens if made is None else made
        return (
            Usage(
                given,
                made,
                cached_tokens=min(checked.cached_tokens, given),
                reasoning_tokens=min(checked.reasoning_tokens, made),
                cache_write_tokens=min(checked.cache_write_tokens, given),
            ),
            source,
        )

    def _own_figures(self, attempt: Attempt, finish: str, *, output: bool) -> tuple[Usage, Source]:
        """Count what the service did not report; hidden tokens make the held bound the only safe figure."""
        hidden = (self.model.reasoning and not attempt.reasoning) or attempt.plan.n > 1
        if output and hidden and self.billed and finish not in ends.OURS:
            return Usage(attempt.plan.prompt, attempt.plan.n * attempt.plan.cap), "upper_bound"
        made = self.count_text("".join([*attempt.reasoning, attempt.text])) if output else 0
        return Usage(self._prompt(attempt), made), "counted"

    def _row(
        self,
        attempt: Attempt,
        usage: Usage,
        source: Source,
        *,
        served_as: str,
        tier: str | None = None,
        **more: str | None,
    ) -> CallEnd:
        nano, price_source = self._price(usage, served_as, tier)
        return CallEnd(
            usage.input_tokens,
            usage.output_tokens,
            charged_tokens=_charged(attempt.plan, usage),
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            source=source,
            cost_nano_usd=nano,
            price_source=price_source,
            latency_ms=_ms(attempt.started, time.monotonic()),
            first_piece_ms=None if attempt.first_piece is None else _ms(attempt.started, attempt.first_piece),
            **more,  # type: ignore[arg-type]
        )

    def _prompt(self, attempt: Attempt) -> int:
        expected = attempt.plan.expected
        return attempt.plan.prompt if expected is None else expected

    def _price(self, usage: Usage, served_as: str, tier: str | None) -> tuple[int | None, str | None]:
        """Return what *usage* costs in nano-dollars, and whose price that is; None twice without one."""
        if not self.billed:
            return None, None
        price = prices.price_call(self.model, usage, served_as=served_as, service_tier=tier)
        return price.nano_usd, price.source


def _charged(plan: Plan, usage: Usage) -> int | None:
    """Return what the session is charged for *usage*; None: all of it.

    Where only what a turn adds is charged, that is the lesser of the billed prompt and our count of the
    question and its attachments, and the whole reply.
    """
    return None if plan.new is None else min(usage.input_tokens, plan.new) + usage.output_tokens


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 3)
