"""What a call costs, in integer nano-dollars (10⁻⁹ USD), from the price list inside ``genai-prices``.

Offline: the list that is installed is used and never updated over the network. An unknown model, date or
tier has no price (None and a note), never 0 and never somebody else's price.
"""

from __future__ import annotations

import datetime
import functools
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, localcontext
from typing import TYPE_CHECKING

from ib_kernel.values import Usage

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice

NANO = 10**9
"""Nano-dollars in one US dollar."""

STANDARD_TIERS = frozenset({"default", "standard"})
"""Service tiers that are billed at the standard price; "default" is the API's word for it (openai 3.54.0,
``ChatCompletion.service_tier``, read 2026-11-23). "auto" is not among them: it does not name a tier."""


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one call. `nano_usd` is None when there is none; `note` then says why.

    `source` names the price list and its version ("genai-prices 0.2.3"), None without a price.
    """

    nano_usd: int | None
    source: str | None = None
    note: str = ""


def price_call(
    model: str,
    usage: Usage,
    *,
    service_tier: str | None = None,
    when: datetime.datetime | None = None,
    provider: str = "openai",
) -> Price:
    """Return what *usage* of *model* costs.

    Cached tokens and tokens written to the cache are part of the input and get their own price; reasoning
    tokens are part of the output and are not added. *service_tier* is what the service says it billed as
    (None: standard). *when* is the call's time, UTC when it is naive (None: now). *provider* is a provider
    of genai-prices ("openai", "azure", …). Never raises for an unknown name; never opens a socket.
    """
    details = usage.cached_tokens, usage.cache_write_tokens
    if min(usage.input_tokens, usage.output_tokens, *details) < 0:
        return Price(None, note="no price: a negative number of tokens")
    if sum(details) > usage.input_tokens:
        return Price(None, note="no price: more cached tokens than input tokens")
    prices, note = _prices(model, provider, service_tier, when)
    if prices is None:
        return Price(None, note=note)
    counted = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    if usage.cache_write_tokens and prices.cache_write_mtok is not None:
        counted["cache_write_tokens"] = usage.cache_write_tokens
    if usage.cached_tokens and prices.cache_read_mtok is not None:
        counted["cache_read_tokens"] = usage.cached_tokens
    elif usage.cached_tokens:
        note = f"{source()} has no cached price for {model}: its cached tokens are charged in full"
    return Price(_nano(prices, counted, ROUND_HALF_UP), source(), note)


def worst_case(
    model: str,
    prompt_upper: int,
    completion_cap: int,
    *,
    service_tier: str | None = None,
    when: datetime.datetime | None = None,
    provider: str = "openai",
) -> int | None:
    """Return the most a call can cost, in nano-dollars, for holding money; None without a price.

    *prompt_upper* and *completion_cap* are tokens. No cached discount is assumed, and where writing to the
    cache costs more than plain input, that dearer price is taken for the whole prompt. Prices step up with
    the prompt's length, so the step that *prompt_upper* reaches is the dearest that can apply. Rounded up.
    """
    prices, _ = _prices(model, provider, service_tier, when)
    if prices is None or prompt_upper < 0 or completion_cap < 0:
        return None
    plain = {"input_tokens": prompt_upper, "output_tokens": completion_cap}
    dearest = _nano(prices, plain, ROUND_CEILING)
    if prices.cache_write_mtok is not None:
        written = {**plain, "cache_write_tokens": prompt_upper}
        dearest = max(dearest, _nano(prices, written, ROUND_CEILING))
    return dearest


@functools.cache
def source() -> str:
    """Return the name and version of the price list, as rows record it."""
    import importlib.metadata

    return f"genai-prices {importlib.metadata.version('genai-prices')}"


def _utc(when: datetime.datetime | None) -> datetime.datetime:
    if when is None:
        return datetime.datetime.now(datetime.UTC)
    return when.replace(tzinfo=datetime.UTC) if when.tzinfo is None else when.astimezone(datetime.UTC)


def _nano(prices: ModelPrice, counted: dict[str, int], rounding: str) -> int:
    """Apply *prices* and round to whole nano-dollars; exact before that, whatever the caller's context."""
    from genai_prices import Usage as ListUsage

    with localcontext(prec=60):
        usd = prices.calc_price(ListUsage(**counted))["total_price"]
        return int((usd * NANO).to_integral_value(rounding=rounding))


def _prices(
    model: str, provider: str, service_tier: str | None, when: datetime.datetime | None
) -> tuple[ModelPrice | None, str]:
    """Return the list's prices for *model* on a tier at a time, or None and why there are none."""
    tier, moment = (service_tier or "default").strip().lower(), _utc(when)
    listed = _find(model, provider)
    if listed is None:
        return None, f"no price: {model!r} is not in {source()}"
    if tier in STANDARD_TIERS:
        return _usable(listed.get_prices(moment), model)
    variants = [
        variant
        for variant in listed.price_variants or ()
        if variant.when == {"service_tier": tier}
        and (variant.constraint is None or variant.constraint.active(moment))
    ]
    if not variants:  # the list would silently give the standard price
        return None, f"no price: {source()} does not know the tier {tier!r} of {model}"
    return _usable(listed.get_prices(moment, {"service_tier": tier}), model)


def _usable(prices: ModelPrice, model: str) -> tuple[ModelPrice | None, str]:
    if prices.input_mtok is None or prices.output_mtok is None:
        return None, f"no price: {source()} has no price per token for {model}"
    return prices, ""


@functools.lru_cache(maxsize=256)
def _find(model: str, provider: str) -> ModelInfo | None:
    """Return the list's row for *model*: as it is, then without a provider's prefix."""
    snapshot = _snapshot()
    for name in dict.fromkeys((model, model.rsplit("/", 1)[-1])):
        try:
            _, listed = snapshot.find_provider_model(name, None, provider, None)
        except LookupError:
            continue
        return listed
    return None


@functools.cache
def _snapshot() -> DataSnapshot:
    """Return the price list inside the package; another part of the process may have set its own."""
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    return DataSnapshot(providers=providers, from_auto_update=False)
