"""What a call costs, in integer nano-dollars (10⁻⁹ USD): a price that was given, else the list's.

The list is the one inside ``genai-prices`` (`ib_kernel.models.price_list`). An unknown model, provider, date
or tier has no price (None and a note), never 0 and never somebody else's price.
"""

from __future__ import annotations

import datetime
import functools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, localcontext
from typing import TYPE_CHECKING, Any

from ib_kernel.models import price_list
from ib_kernel.models.rows import ModelInfo, Rates
from ib_kernel.values import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

NANO = 10**9
"""Nano-dollars in one US dollar."""

STANDARD_TIERS = frozenset({"default", "standard", "on_demand"})
"""Service tiers that are billed at the standard price: the words of OpenAI (openai 3.54.0,
``ChatCompletion.service_tier``, read 2026-11-23), of Anthropic (``usage.service_tier``) and of Groq (both as
any-llm 1.40 hands them on, read 2026-11-25). "auto" is not among them: it does not name a tier."""


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one call. `nano_usd` is None when there is none; `note` then says why.

    `source` names the price list and its version ("genai-prices 0.2.3"), or who gave the price ("your
    settings", "the plugin acme 1.2"); None without a price.
    """

    nano_usd: int | None
    source: str | None = None
    note: str = ""


def price_call(
    model: ModelInfo,
    usage: Usage,
    *,
    served_as: str = "",
    service_tier: str | None = None,
    when: datetime.datetime | None = None,
) -> Price:
    """Return what *usage* of *model* costs. Never raises for an unknown name; never opens a socket.

    Cached tokens and tokens written to the cache are part of the input and get their own price; reasoning
    tokens are part of the output and are not added.

    Args:
        model: The model that was asked for; its provider says whose price applies.
        usage: Tokens.
        served_as: The model's name as the service reported it ("": as it was asked for).
        service_tier: What the service says it billed as (None: standard).
        when: The call's time, UTC when it is naive (None: now).
    """
    details = usage.cached_tokens, usage.cache_write_tokens
    if min(usage.input_tokens, usage.output_tokens, *details) < 0:
        return Price(None, note="no price: a negative number of tokens")
    if sum(details) > usage.input_tokens:
        return Price(None, note="no price: more cached tokens than input tokens")
    name = served_as or model.name
    if model.rates is not None:
        if not _is_standard(service_tier):
            return Price(None, note=f"no price: {model.rates.source} does not know the tier {service_tier!r}")
        return Price(_own(model.rates, usage), model.rates.source)
    prices, note = _prices(name, model.provider, service_tier, when)
    if prices is None:
        return Price(None, note=note)
    counted = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    if usage.cache_write_tokens and prices.cache_write_mtok is not None:
        counted["cache_write_tokens"] = usage.cache_write_tokens
    if usage.cached_tokens and prices.cache_read_mtok is not None:
        counted["cache_read_tokens"] = usage.cached_tokens
    elif usage.cached_tokens:
        note = f"{price_list.source()} has no cached price for {name}: its cached tokens are charged in full"
    return Price(_nano(prices, counted, ROUND_HALF_UP), price_list.source(), note)


def worst_case(
    model: ModelInfo,
    prompt_upper: int,
    completion_cap: int,
    *,
    service_tier: str | None = None,
    when: datetime.datetime | None = None,
) -> int | None:
    """Return the most a call can cost, in nano-dollars, for holding money; None without a price.

    No cached discount is assumed, and where writing to the cache costs more than plain input, that dearer
    price is taken for the whole prompt. Prices step up with the prompt's length, so the step that
    *prompt_upper* reaches is the dearest that can apply. Rounded up.

    Args:
        model: The model that is asked for.
        prompt_upper: The prompt's upper bound, in tokens.
        completion_cap: The reply's cap, in tokens.
        service_tier: The tier that is asked for (None: standard).
        when: The call's time, UTC when it is naive (None: now).
    """
    if prompt_upper < 0 or completion_cap < 0:
        return None
    if model.rates is not None:
        rates = model.rates
        dear = max(filter(None, (rates.input, rates.cached, rates.cache_write)), default=Decimal(0))
        return _nano_usd([(prompt_upper, dear), (completion_cap, rates.output)], ROUND_CEILING)
    prices, _ = _prices(model.name, model.provider, service_tier, when)
    if prices is None:
        return None
    plain = {"input_tokens": prompt_upper, "output_tokens": completion_cap}
    dearest = _nano(prices, plain, ROUND_CEILING)
    if prices.cache_write_mtok is not None:
        written = {**plain, "cache_write_tokens": prompt_upper}
        dearest = max(dearest, _nano(prices, written, ROUND_CEILING))
    return dearest


def _own(rates: Rates, usage: Usage) -> int:
    """Apply a price that was given; the tokens add up to what the input says."""
    parts = [
        (usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens, rates.input),
        (usage.cached_tokens, rates.input if rates.cached is None else rates.cached),
        (usage.cache_write_tokens, rates.input if rates.cache_write is None else rates.cache_write),
        (usage.output_tokens, rates.output),
    ]
    return _nano_usd(parts, ROUND_HALF_UP)


def _nano_usd(parts: Iterable[tuple[int, Decimal]], rounding: str) -> int:
    """Return the sum of tokens x US dollars per million tokens in nano-dollars, exact until it is rounded."""
    above, below = 0, 1
    for tokens, usd in parts:
        nano, of = _ratio(usd)
        above, below = above * of + tokens * nano * below, below * of
    whole, rest = divmod(above, below)
    up = rest > 0 if rounding == ROUND_CEILING else 2 * rest >= below
    return whole + up


@functools.lru_cache(maxsize=1024)
def _ratio(usd: Decimal) -> tuple[int, int]:
    """Return US dollars for a million tokens as nano-dollars for one, as a fraction."""
    above, below = usd.as_integer_ratio()
    return 1000 * above, below


def _is_standard(tier: str | None) -> bool:
    return (tier or "default").strip().lower() in STANDARD_TIERS


def _utc(when: datetime.datetime) -> datetime.datetime:
    return when.replace(tzinfo=datetime.UTC) if when.tzinfo is None else when.astimezone(datetime.UTC)


def _per_million(price: Any, prompt: int) -> Decimal | None:
    """Return a price of the list at the step that a *prompt* reaches; None for a shape that is not known."""
    if isinstance(price, Decimal):
        return price
    steps, base = getattr(price, "tiers", None), getattr(price, "base", None)
    if steps is None or not isinstance(base, Decimal):
        return None
    reached = [step.price for step in steps if prompt > step.start]  # in order: the last is the dearest
    return reached[-1] if reached else base


def _by_tokens(prices: ModelPrice, counted: dict[str, int]) -> list[tuple[int, Decimal]] | None:
    """Return each count with its price; None where the list has a price that is not for tokens alone.

    The list's own arithmetic gives the same and takes thirty times as long: it is ready for any unit.
    """
    prompt = counted["input_tokens"]
    read, written = counted.get("cache_read_tokens", 0), counted.get("cache_write_tokens", 0)
    wanted = {
        "input_mtok": prompt - read - written,
        "output_mtok": counted["output_tokens"],
        "cache_read_mtok": read,
        "cache_write_mtok": written,
    }
    listed = vars(prices)  # an attribute that is not there is looked for in the list of all units
    if listed.get("requests_kcount") is not None:
        return None
    found = []
    for name, count in wanted.items():
        if count or name in ("input_mtok", "output_mtok"):
            price = _per_million(listed.get(name), prompt)
            if price is None:
                return None
            found.append((count, price))
    return found


def _nano(prices: ModelPrice, counted: dict[str, int], rounding: str) -> int:
    """Apply *prices* and round to whole nano-dollars; exact before that, whatever the caller's context."""
    by_tokens = _by_tokens(prices, counted)
    if by_tokens is not None:
        return _nano_usd(by_tokens, rounding)
    from genai_prices import Usage as ListUsage

    with localcontext(prec=60):
        usd = prices.calc_price(ListUsage(**counted))["total_price"]
        return int((usd * NANO).to_integral_value(rounding=rounding))


def _prices(
    model: str, provider: str, service_tier: str | None, when: datetime.datetime | None
) -> tuple[ModelPrice | None, str]:
    """Return the list's prices for *model* on a tier at a time, or None and why there are none."""
    moment = time.time() if when is None else _utc(when).timestamp()
    return _prices_of_minute(model, provider, service_tier, int(moment // 60))


@functools.lru_cache(maxsize=512)  # the list's prices change at whole minutes, and every call has one
def _prices_of_minute(
    model: str, provider: str, service_tier: str | None, minute: int
) -> tuple[ModelPrice | None, str]:
    moment = datetime.datetime.fromtimestamp(60 * minute, datetime.UTC)
    tier = (service_tier or "default").strip().lower()
    owner = price_list.provider_id(provider)
    if not owner:
        return None, f"no price: it is not known whose model {model!r} is"
    listed = price_list.find(model, owner)
    if listed is None:
        return None, f"no price: {model!r} of {owner} is not in {price_list.source()}"
    if _is_standard(tier):
        return _usable(listed.get_prices(moment), model)
    variants = [
        variant
        for variant in listed.price_variants or ()
        if variant.when == {"service_tier": tier}
        and (variant.constraint is None or variant.constraint.active(moment))
    ]
    if not variants:  # the list would silently give the standard price
        return None, f"no price: {price_list.source()} does not know the tier {tier!r} of {model}"
    return _usable(listed.get_prices(moment, {"service_tier": tier}), model)


def _usable(prices: ModelPrice, model: str) -> tuple[ModelPrice | None, str]:
    if prices.input_mtok is None or prices.output_mtok is None:
        return None, f"no price: {price_list.source()} has no price per token for {model}"
    return prices, ""
