"""Usage as a service writes it, whatever the service calls its figures. Nothing here judges them.

A client finds the service's usage objects and reads each with `read_reported`; `ib_kernel.turn.usage_check`
decides what of them is believed. Names were read in November 2026 in the references of OpenAI (Chat
Completions and Responses), Anthropic, Google (Gemini), Amazon (Bedrock), DeepSeek, Moonshot, Groq, Ollama
and llama.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

MOST_TOKENS = 2**53
"""A figure from here on is no count of tokens: JSON readers that use doubles cannot even carry it."""

_INPUT = ("prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "promptTokenCount",
          "prompt_token_count", "inputTokenCount", "prompt_eval_count")  # fmt: skip
_OUTPUT = ("completion_tokens", "output_tokens", "completionTokens", "outputTokens", "candidatesTokenCount",
           "candidates_token_count", "outputTokenCount", "eval_count")  # fmt: skip
_TOTAL = ("total_tokens", "totalTokens", "totalTokenCount", "total_token_count")
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens", "cachedContentTokenCount",
           "cached_content_token_count", "cacheReadInputTokens")  # fmt: skip
_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens", "cacheWriteInputTokens")
_REASONING = ("reasoning_tokens", "thoughtsTokenCount", "thoughts_token_count")
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")


def _ranked(first: int = 0, **names: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """Return, by name, which figure it is, and its rank among that figure's names: the least one counts."""
    return {
        name: (figure, first + rank) for figure, given in names.items() for rank, name in enumerate(given)
    }


_OF_INPUT = _ranked(cached_tokens=_CACHED, cache_write_tokens=_WRITTEN)
_OF_OUTPUT = _ranked(reasoning_tokens=_REASONING)
_PLAIN = _ranked(input_tokens=_INPUT, output_tokens=_OUTPUT, total_tokens=_TOTAL) | _ranked(
    len(_CACHED), cached_tokens=_CACHED, cache_write_tokens=_WRITTEN, reasoning_tokens=_REASONING
)
"""Beside the details, which come first."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What one service said about one attempt: whole numbers, or None for what it did not say.

    `impossible` names the figures that were there and are no count of tokens (negative, not a number, a
    fraction, a truth value, from 2^53 on); their fields are None. `fell` names the figures that a later usage
    object of the same attempt gave smaller than an earlier one.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None
    impossible: tuple[str, ...] = ()
    fell: tuple[str, ...] = ()

    def then(self, later: Reported) -> Reported:
        """Return what is known after a *later* usage object of the same attempt: figures only ever grow.

        What cannot be true in the later one does not spoil the earlier one, which keeps its figures.
        """
        merged: dict[str, Any] = {}
        fell = list(self.fell)
        for name in FIGURES:
            before, after = getattr(self, name), getattr(later, name)
            if before is not None and after is not None and after < before and name not in fell:
                fell.append(name)
            merged[name] = max((x for x in (before, after) if x is not None), default=None)
        had = self.input_tokens is not None and self.output_tokens is not None
        impossible = self.impossible if had else later.impossible
        fell += [name for name in later.impossible if had and name not in fell]
        return Reported(**merged, impossible=impossible, fell=tuple(fell))


FIGURES = tuple(spec.name for spec in fields(Reported) if spec.name.endswith("_tokens"))


def read_reported(raw: Any) -> Reported | None:
    """Return the figures of one usage object, by any of the names that services use; None: it has none.

    Args:
        raw: A parsed JSON value, such as ``{"prompt_tokens": 70, "completion_tokens": 3}``.
    """
    if not isinstance(raw, Mapping):
        return None
    ins, outs = _group(raw, _INPUT_DETAILS), _group(raw, _OUTPUT_DETAILS)
    found: dict[str, tuple[int, Any]] = {}
    for place, names in ((raw, _PLAIN), (ins, _OF_INPUT), (outs, _OF_OUTPUT)):
        for name, value in place.items():
            if name in names and value is not None:
                figure, rank = names[name]
                if figure not in found or rank < found[figure][0]:
                    found[figure] = (rank, value)
    if not found:
        return None
    figures: dict[str, Any] = {name: tokens_of(found[name][1]) for name in FIGURES if name in found}
    impossible = tuple(name for name, value in figures.items() if value is None)
    reported = Reported(**figures, impossible=impossible)
    return (
        _with_cache(reported) if "input_tokens" in raw and not ins and "total_tokens" not in raw else reported
    )


def _with_cache(said: Reported) -> Reported:
    """Add the cache to the input where its own name says that it stands outside (Anthropic's words)."""
    outside = (said.cached_tokens or 0) + (said.cache_write_tokens or 0)
    if said.input_tokens is None or not outside:
        return said
    values = {name: getattr(said, name) for name in FIGURES}
    return Reported(**{**values, "input_tokens": said.input_tokens + outside}, impossible=said.impossible)


def reported_of(usage: Any) -> Reported:
    """Return the figures of an object with the attributes of `Usage`; what is no count is noted."""
    found = {name: getattr(usage, name, None) for name in FIGURES}
    figures: dict[str, Any] = {name: tokens_of(value) for name, value in found.items() if value is not None}
    return Reported(**figures, impossible=tuple(name for name, value in figures.items() if value is None))


def tokens_of(value: Any) -> int | None:
    """Return a count of tokens written as a number or as text (``70``, ``70.0``, ``"70"``), else None."""
    if type(value) is int:
        return value if 0 <= value < MOST_TOKENS else None
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS
    return int(value) if good else None


def _number(text: str) -> float | int | None:
    text = text.strip().replace(",", "")
    if not 0 < len(text) <= 32 or not text.isascii():
        return None
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return None


def _group(raw: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        found: Any = raw.get(name)
        if found is not None and isinstance(found, Mapping):
            return found
    return {}


def usages_in(answer: Mapping[str, Any], known: frozenset[str]) -> Iterator[Any]:
    """Return the usage objects of one answer or chunk, wherever services put them.

    Args:
        answer: The parsed JSON object.
        known: The top-level fields that the API defines; others are looked into, one level deep.
    """
    usage = answer.get("usage")
    if usage:
        yield usage
        return
    choices = answer.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, Mapping):
            for place in (choice, choice.get("delta"), choice.get("message")):
                if isinstance(place, Mapping) and isinstance(place.get("usage"), Mapping):
                    yield place["usage"]
    if answer.keys() <= known:
        return
    if "eval_count" in answer or "prompt_eval_count" in answer:
        yield answer
    for name, value in answer.items():
        if name not in known and isinstance(value, Mapping):
            yield value["usage"] if isinstance(value.get("usage"), Mapping) else value
