"""Prices: equal to the list's, in whole nano-dollars, and never invented."""

import datetime
import decimal
import socket
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.models.price_list import source
from ib_kernel.models.prices import NANO, price_call, worst_case
from ib_kernel.models.rows import ModelInfo, Rates
from ib_kernel.values import Usage

WHEN = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
MODELS = ["gpt-5.4-mini", "gpt-4o", "gpt-4.1-nano", "gpt-6-luna", "gpt-5.6-terra", "o3", "gpt-4"]


def openai(model: str) -> ModelInfo:
    """Return a model of OpenAI's by name, whatever the table says about it."""
    return ModelInfo(model, 1, 1, provider="openai")


def listed(model: str, tier: str | None = None, **counts: int) -> Decimal:
    """Ask genai-prices itself."""
    from genai_prices import Usage as ListUsage
    from genai_prices import calc_price

    context = {"service_tier": tier} if tier else None
    return calc_price(
        ListUsage(**counts),
        model,
        provider_id="openai",
        genai_request_timestamp=WHEN,
        price_context=context,
    ).total_price


def half_up(usd: Decimal) -> int:
    """Round to nano-dollars by the definition of half up: add a half, cut off."""
    return int((usd * NANO + Decimal("0.5")).to_integral_value(rounding=decimal.ROUND_FLOOR))


@given(
    st.sampled_from(MODELS),
    st.integers(0, 400_000),
    st.integers(0, 128_000),
    st.sampled_from([None, "default", "flex", "priority"]),
)
def test_prices_equal_the_list(model: str, tokens_in: int, tokens_out: int, tier: str | None) -> None:
    """A price is the list's own, rounded half up, for every tier that the list knows for the model."""
    price = price_call(openai(model), Usage(tokens_in, tokens_out), service_tier=tier, when=WHEN)
    if price.nano_usd is None:
        assert tier in ("flex", "priority")
        assert "tier" in price.note
        return
    assert price.nano_usd == half_up(listed(model, tier, input_tokens=tokens_in, output_tokens=tokens_out))
    assert price.source == source()


def test_rounding_is_half_up() -> None:
    """Half a nano-dollar is rounded up: one cached flex token of gpt-5.4-mini costs 37.5."""
    exact = listed("gpt-5.4-mini", "flex", input_tokens=1, cache_read_tokens=1) * NANO
    assert exact == Decimal("37.5")
    assert price_call(openai("gpt-5.4-mini"), Usage(1, 0, 1), service_tier="flex", when=WHEN).nano_usd == 38


def test_rounding_does_not_depend_on_the_callers_context() -> None:
    """A caller's low decimal precision does not change a price."""
    usage = Usage(123_456_789, 987_654)
    expected = price_call(openai("gpt-4o"), usage, when=WHEN).nano_usd
    with decimal.localcontext(prec=3):
        assert price_call(openai("gpt-4o"), usage, when=WHEN).nano_usd == expected


def test_cached_tokens_are_discounted_once() -> None:
    """Cached tokens are part of the input: 400 of 1,000 at the cached price, 600 at the full one."""
    price = price_call(openai("gpt-5.4-mini"), Usage(1000, 100, 400), when=WHEN)
    assert price.nano_usd == 600 * 750 + 400 * 75 + 100 * 4500


def test_reasoning_tokens_are_not_added() -> None:
    """Reasoning tokens are part of the output and change nothing."""
    with_them = price_call(openai("o3"), Usage(500, 900, 0, 800), when=WHEN)
    assert with_them == price_call(openai("o3"), Usage(500, 900), when=WHEN)


def test_cache_writes_have_their_own_price() -> None:
    """Where the list prices cache writes apart, they are charged so; elsewhere they are plain input."""
    assert price_call(openai("gpt-6-luna"), Usage(1000, 0, 0, 0, 1000), when=WHEN).nano_usd == 125_000
    assert price_call(openai("gpt-6-luna"), Usage(1000, 0), when=WHEN).nano_usd == 100_000
    assert price_call(openai("gpt-4o"), Usage(1000, 0, 0, 0, 1000), when=WHEN) == price_call(
        openai("gpt-4o"), Usage(1000, 0), when=WHEN
    )


def test_a_missing_cached_price_is_noted() -> None:
    """Without a cached price in the list, cached tokens cost the full price and the note says so."""
    price = price_call(openai("gpt-4"), Usage(10, 1, 5), when=WHEN)
    assert price.nano_usd == 10 * 30_000 + 60_000
    assert "charged in full" in price.note


@pytest.mark.parametrize("model", ["no-such-model", "gpt-5.99", "ft:gpt-4.1-mini:o::x", "demo", ""])
def test_an_unknown_model_has_no_price(model: str) -> None:
    """An unknown model has no price and a note, never 0 and never a relative's price."""
    price = price_call(openai(model), Usage(10, 10), when=WHEN)
    assert price.nano_usd is None
    assert price.source is None
    assert price.note
    assert worst_case(openai(model), 10, 10) is None


@pytest.mark.parametrize("tier", ["scale", "auto", "turbo"])
def test_an_unknown_tier_has_no_price(tier: str) -> None:
    """A tier that the list does not know has no price, instead of the standard one."""
    price = price_call(openai("gpt-5.4-mini"), Usage(10, 10), service_tier=tier, when=WHEN)
    assert price.nano_usd is None
    assert repr(tier) in price.note


def test_a_tier_has_no_price_before_the_list_knows_one() -> None:
    """A tier's price is not applied to a day before it is listed."""
    early = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 - a naive time is read as UTC
    assert price_call(openai("gpt-5.4-mini"), Usage(10, 10), service_tier="flex", when=early).nano_usd is None


def test_the_time_of_the_call_decides() -> None:
    """A model whose price changed is charged by the price of its day."""
    old = price_call(openai("o3"), Usage(1000, 0), when=datetime.datetime(2025, 5, 1, tzinfo=datetime.UTC))
    new = price_call(openai("o3"), Usage(1000, 0), when=WHEN)
    assert old.nano_usd > new.nano_usd


@pytest.mark.parametrize("usage", [Usage(-1, 5), Usage(5, 5, 6), Usage(5, 5, 3, 0, 3)])
def test_impossible_usage_has_no_price(usage: Usage) -> None:
    """Usage that contradicts itself is not priced."""
    assert price_call(openai("gpt-4o"), usage).nano_usd is None


@given(
    st.sampled_from(MODELS),
    st.integers(0, 500_000),
    st.integers(0, 50_000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_the_worst_case_is_never_below_a_real_price(
    model: str, upper: int, cap: int, used: float, spoken: float, cached: float
) -> None:
    """What is held for a call covers every call that stays within prompt bound and cap."""
    tokens_in, tokens_out = int(upper * used), int(cap * spoken)
    read = int(tokens_in * cached)
    held = worst_case(openai(model), upper, cap, when=WHEN)
    for usage in (Usage(tokens_in, tokens_out, read), Usage(tokens_in, tokens_out, 0, 0, read)):
        assert price_call(openai(model), usage, when=WHEN).nano_usd <= held


@pytest.mark.parametrize("model", ["gpt-5.6-terra", "gpt-6-luna"])
def test_the_worst_case_holds_the_price_of_writing_to_the_cache(model: str) -> None:
    """Where writing to the cache costs more than plain input, the whole prompt is held at that price."""
    written = price_call(openai(model), Usage(1000, 10, 0, 0, 1000), when=WHEN).nano_usd
    assert worst_case(openai(model), 1000, 10, when=WHEN) == written
    assert written > price_call(openai(model), Usage(1000, 10), when=WHEN).nano_usd


def test_the_worst_case_without_a_price_of_writing_is_the_plain_one() -> None:
    """A model whose cache writes are plain input is not held for more."""
    plain = price_call(openai("gpt-4o"), Usage(1000, 10), when=WHEN).nano_usd
    assert worst_case(openai("gpt-4o"), 1000, 10, when=WHEN) == plain


RATES = Rates(Decimal("0.5"), Decimal(2), Decimal("0.05"), Decimal("0.75"), source="your settings")
OWN = ModelInfo("llama", 8_192, 2_048, rates=RATES)


def test_a_given_price_comes_first_and_keeps_its_source() -> None:
    """Tokens read from and written to the cache have their own price; who gave the price is recorded."""
    price = price_call(OWN, Usage(1000, 100, 200, 0, 300), served_as="gpt-4o")
    assert (price.nano_usd, price.source) == (500 * 500 + 200 * 50 + 300 * 750 + 100 * 2000, "your settings")
    assert worst_case(OWN, 1000, 100) == 1000 * 750 + 100 * 2000


def test_a_given_price_without_cached_prices_takes_the_input_price() -> None:
    """What is not given apart is plain input."""
    plain = ModelInfo("llama", 8_192, 2_048, rates=Rates(Decimal("0.5"), Decimal(2), source="x"))
    assert price_call(plain, Usage(1000, 0, 200, 0, 300)).nano_usd == 500_000
    assert worst_case(plain, 1000, 0) == 500_000


def test_a_given_price_is_for_the_standard_tier() -> None:
    """Another tier has no price rather than the standard one."""
    assert price_call(OWN, Usage(1, 1), service_tier="priority").nano_usd is None
    assert price_call(OWN, Usage(1, 1), service_tier="default").nano_usd == 2500


def test_every_provider_has_its_own_price() -> None:
    """The same name costs what its provider lists, and nothing is taken from OpenAI's list."""
    claude = ModelInfo("claude-haiku-4-5", 200_000, 64_000, provider="anthropic")
    assert price_call(claude, Usage(1000, 100), when=WHEN).nano_usd == 1000 * 1000 + 100 * 5000
    assert price_call(ModelInfo("gpt-4o", 1, 1), Usage(1, 1)).nano_usd is None
    assert worst_case(ModelInfo("claude-haiku-4-5", 1, 1, provider="openai"), 1, 1) is None
    elsewhere = ModelInfo("gpt-4o", 1, 1, provider="anthropic")
    assert price_call(elsewhere, Usage(1, 1)).note == f"no price: 'gpt-4o' of anthropic is not in {source()}"


def test_huge_numbers_are_exact() -> None:
    """2^53 tokens are priced without losing a nano-dollar."""
    assert price_call(openai("gpt-4o-mini"), Usage(2**53, 0), when=WHEN).nano_usd == 2**53 * 150


def test_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pricing works with sockets forbidden: the list inside the package is used."""

    def forbidden(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", forbidden)
    assert price_call(openai("gpt-4.1"), Usage(7, 3), when=WHEN).nano_usd == 7 * 2000 + 3 * 8000


def test_an_updated_list_elsewhere_does_not_change_prices() -> None:
    """A list that other code in the process has set is not the one our price source names: it is not used."""
    from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

    set_custom_snapshot(DataSnapshot(providers=[], from_auto_update=True))
    try:
        assert price_call(openai("gpt-4.1"), Usage(1, 0), when=WHEN).nano_usd == 2000
    finally:
        set_custom_snapshot(None)


def test_prices_by_the_token_are_the_lists_own_to_the_nano_dollar() -> None:
    """Our arithmetic gives what the list's does, for a sample of all its models, steps and cached parts."""
    import random
    from decimal import ROUND_CEILING, ROUND_HALF_UP, localcontext

    from genai_prices import Usage as ListUsage

    from ib_kernel.models import price_list, prices

    chance, now, tried = random.Random(4), datetime.datetime.now(datetime.UTC), 0
    listed = [model for provider in price_list._snapshot().providers for model in provider.models]
    for model in [*chance.sample(listed, 150), *(m for m in listed if m.id.startswith("gpt-5"))]:
        row = model.get_prices(now)
        if row.input_mtok is None or row.output_mtok is None:
            continue
        prompt = chance.choice([0, 7, 1_000, 600_000])
        counted = {"input_tokens": prompt, "output_tokens": chance.randrange(9_000)}
        if row.cache_read_mtok is not None:
            counted["cache_read_tokens"] = prompt // 3
        if row.cache_write_mtok is not None:
            counted["cache_write_tokens"] = prompt // 4
        for rounding in (ROUND_HALF_UP, ROUND_CEILING):
            with localcontext(prec=60):
                usd = row.calc_price(ListUsage(**counted))["total_price"]
                expected = int((usd * prices.NANO).to_integral_value(rounding=rounding))
            assert prices._nano(row, counted, rounding) == expected, (model.id, counted)
            tried += prices._by_tokens(row, counted) is not None
    assert tried > 100
