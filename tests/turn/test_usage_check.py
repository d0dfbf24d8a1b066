"""The rule that says which of a service's figures are believed, for any figures at all."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.turn.usage_check import PARTIAL, Checked, check_usage
from ib_kernel.values import Reported, Usage
from ib_kernel.values.reported import FIGURES, MOST_TOKENS, read_reported, tokens_of

COUNTS = st.integers(1, 200_000)
ODD: st.SearchStrategy[Any] = (
    st.integers(0, 500)
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.integers(2**52, 2**70)
)
RAW = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "cached_tokens"]),
    ODD,
) | st.fixed_dictionaries(
    {"prompt_tokens": ODD, "completion_tokens": ODD, "total_tokens": ODD},
    optional={
        "prompt_tokens_details": st.dictionaries(st.just("cached_tokens"), ODD),
        "completion_tokens_details": st.dictionaries(st.just("reasoning_tokens"), ODD),
    },
)


def check(said: Reported | Usage | None, prompt: int = 100, *, has_text: bool = True) -> Checked:
    """Return what is believed of *said* for a prompt of a model that we count exactly."""
    return check_usage(said, prompt=prompt, exact=True, has_text=has_text)


@given(
    raw=st.lists(RAW, min_size=1, max_size=4),
    prompt=st.integers(1, 400),
    text=st.booleans(),
    exact=st.booleans(),
)
def test_what_is_believed_can_be_true(raw: list[Any], prompt: int, text: bool, exact: bool) -> None:
    """Whatever is sent, in whatever order: no zero prompt, no zero output with text, details within sums."""
    said: Reported | None = None
    for one in raw:
        new = read_reported(one)
        said = new if said is None else said if new is None else said.then(new)
    found = check_usage(said, prompt=prompt, exact=exact, has_text=text)
    given_, made = found.input_tokens, found.output_tokens
    assert given_ is None or 0 < given_ < MOST_TOKENS
    assert made is None or 0 <= made < MOST_TOKENS
    assert made != 0 or not text
    assert (given_ or 0) + (made or 0) < MOST_TOKENS
    assert found.reasoning_tokens <= (made or 0)
    assert found.cached_tokens <= (given_ if given_ is not None else prompt)
    json.dumps(found.problems)


@given(given_=COUNTS, made=COUNTS, cached=st.integers(0), thought=st.integers(0))
def test_good_figures_are_kept_without_a_word(given_: int, made: int, cached: int, thought: int) -> None:
    """What can be true is believed as it is, details and all."""
    usage = Usage(given_, made, cached_tokens=cached % (given_ + 1), reasoning_tokens=thought % (made + 1))
    found = check(usage, prompt=given_)
    assert (found.input_tokens, found.output_tokens) == (given_, made)
    assert (found.cached_tokens, found.reasoning_tokens) == (usage.cached_tokens, usage.reasoning_tokens)
    assert found.problems == ()


@given(given_=COUNTS, made=COUNTS, rest=COUNTS)
def test_nothing_of_a_total_is_lost(given_: int, made: int, rest: int) -> None:
    """Input and output that are believed add up to the total, wherever the rest belongs."""
    total = given_ + made + rest
    for extra in ({}, {"cached_tokens": rest}, {"reasoning_tokens": rest}):
        said = Reported(given_, made, total, **extra)
        found = check(said, prompt=given_)
        assert (found.input_tokens or 0) + (found.output_tokens or 0) >= total
        assert found.problems


@given(figures=st.lists(st.tuples(COUNTS, COUNTS), min_size=2, max_size=6))
def test_figures_only_grow_within_an_answer(figures: list[tuple[int, int]]) -> None:
    """The last good figure stands, and a smaller one after it is noted."""
    said = Reported(*figures[0])
    for pair in figures[1:]:
        said = said.then(Reported(*pair))
    assert said.input_tokens == max(one for one, _ in figures)
    assert said.output_tokens == max(two for _, two in figures)
    fell = any(later[1] < earlier[1] for earlier, later in itertools.pairwise(figures))
    assert ("output_tokens" in said.fell) >= fell


def test_an_earlier_good_figure_survives_a_later_impossible_one() -> None:
    """Garbage at the end does not throw away what was good."""
    good, bad = read_reported({"prompt_tokens": 9, "completion_tokens": 4}), None
    bad = read_reported({"prompt_tokens": -1, "completion_tokens": 2**60})
    assert good is not None
    assert bad is not None
    found = check(good.then(bad), prompt=9)
    assert (found.input_tokens, found.output_tokens) == (9, 4)
    assert found.problems


@pytest.mark.parametrize("figure", [None, 0])
def test_a_caching_server_is_not_accused(figure: int | None) -> None:
    """A prompt figure that is zero or missing is left to our count, without an event."""
    found = check(Reported(figure, 7))
    assert (found.input_tokens, found.output_tokens, found.problems) == (None, 7, ())


def test_a_part_of_the_prompt_is_not_taken_for_the_prompt() -> None:
    """A local server that tells what it evaluated anew is completed by our count, without an event."""
    part = check_usage(Reported(3, 7), prompt=3 * PARTIAL + PARTIAL, exact=False, has_text=True)
    assert (part.input_tokens, part.output_tokens, part.problems) == (None, 7, ())
    whole = check_usage(Reported(30, 7), prompt=60, exact=False, has_text=True)
    assert whole.input_tokens == 30


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        (Reported(60, 4, cached_tokens=200), (260, 4)),
        (Reported(60, 4, cached_tokens=50, cache_write_tokens=20), (130, 4)),
        (Reported(60, 4, reasoning_tokens=90), (60, 94)),
        (Reported(60, 0), (60, None)),
        (Reported(60, None, 65), (60, 5)),
    ],
)
def test_what_stands_outside_is_added(said: Reported, believed: tuple[int, int | None]) -> None:
    """Cache above input, reasoning above output; zero output with text is left to our count."""
    found = check(said)
    assert (found.input_tokens, found.output_tokens) == believed


def test_a_failed_attempt_may_have_made_nothing() -> None:
    """Without text, no output is a figure like any other."""
    assert check(Reported(90, 0), has_text=False) == Checked(90, 0)


@pytest.mark.parametrize(
    ("value", "tokens"),
    [(7, 7), (7.0, 7), ("7", 7), ("1,007", 1007), (" 7 ", 7), (True, None), (-1, None), (1.5, None),
     (float("nan"), None), (float("inf"), None), (2**53, None), ("9" * 40, None), ("x", None)],
)  # fmt: skip
def test_a_count_of_tokens_is_a_whole_number(value: Any, tokens: int | None) -> None:
    """Numbers and numbers written as text; nothing else."""
    assert tokens_of(value) == tokens


@pytest.mark.parametrize(
    ("raw", "figures"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 3}, (9, 4, 3)),
        ({"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 3}, (12, 4, 3)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 4, "cachedContentTokenCount": 3}, (9, 4, 3)),
        ({"prompt_eval_count": 9, "eval_count": 4}, (9, 4, None)),
        ({"inputTokens": 9, "outputTokens": 4}, (9, 4, None)),
    ],
)
def test_figures_are_found_by_any_name(raw: Any, figures: tuple[Any, ...]) -> None:
    """Services name the same three things in many ways."""
    said = read_reported(raw)
    assert said is not None
    assert (said.input_tokens, said.output_tokens, said.cached_tokens) == figures


@given(ODD | st.lists(ODD) | st.dictionaries(st.text(max_size=3), ODD))
def test_what_is_no_usage_has_no_figures(raw: Any) -> None:
    """Anything else is simply no usage."""
    assert read_reported(raw) is None


def test_every_figure_is_merged() -> None:
    """A field that is added to `Reported` takes part in `then`."""
    one = Reported(*range(1, 1 + len(FIGURES)))
    assert Reported().then(one) == one
