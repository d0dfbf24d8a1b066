"""Which of a service's figures are believed. Pure; the one place where usage is judged, for every client.

What cannot be true is completed from what can be, or counts as missing. Every rule was seen in answers of
public services (2026-11): zeros at the end of a stream, reasoning outside ``completion_tokens`` (xAI,
Gemini), input told without what came from the cache (Anthropic's words), prompts told without what a local
server still knew (llama.cpp, Ollama), 64-bit garbage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ib_kernel.values import Reported, Usage
from ib_kernel.values.reported import MOST_TOKENS, reported_of

PARTIAL, PARTIAL_KNOWN = 8, 64
"""A prompt figure below one part in this many of our own count tells only what a caching server evaluated
anew: no two tokenizers in use differ that much. Local servers do that; for models whose prompts we count
exactly, which run elsewhere, only a figure beyond any doubt is not taken for the prompt."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is believed of one attempt's usage.

    `input_tokens` and `output_tokens` are None where our own count must stand in. `problems` says in words
    what could not be true; it is empty when a service merely leaves something out.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    problems: tuple[str, ...] = ()

    @property
    def missing(self) -> bool:
        """True if nothing of the usage can be used."""
        return self.input_tokens is None and self.output_tokens is None


def check_usage(said: Reported | Usage | None, *, prompt: int, exact: bool, has_text: bool) -> Checked:
    """Return what of *said* can be true of a request that was sent.

    Args:
        said: The service's figures as they came; None when there are none.
        prompt: Our own count of the prompt, in tokens.
        exact: True if that count is exact.
        has_text: True if anything was generated, reasoning included.
    """
    if said is None:
        return Checked()
    said = said if isinstance(said, Reported) else reported_of(said)
    problems = [f"{name} is not a count of tokens" for name in said.impossible]
    problems += [f"{name} fell within the answer" for name in said.fell]
    if said.impossible and {"input_tokens", "output_tokens"} & set(said.impossible):
        return Checked(problems=tuple(problems))
    if not (said.input_tokens or said.output_tokens or said.total_tokens):
        zero = said.input_tokens == 0 or said.output_tokens == 0 or said.total_tokens == 0
        return Checked(problems=(*problems, "zero tokens for a request that was sent") if zero else ())
    said = _from_total(_with_cache(said, problems), problems)
    output = _output(said, has_text, problems)
    given = said.input_tokens or 0
    believed = given if given and given >= prompt // (PARTIAL_KNOWN if exact else PARTIAL) else None
    if (given + (output or 0)) >= MOST_TOKENS:
        return Checked(problems=(*problems, "the sum is not a count of tokens"))
    if believed is None and not output:
        return Checked(problems=tuple(problems))
    return Checked(
        believed,
        output,
        cached_tokens=min(said.cached_tokens or 0, believed or prompt),
        reasoning_tokens=min(said.reasoning_tokens or 0, output or 0),
        cache_write_tokens=min(said.cache_write_tokens or 0, believed or prompt),
        problems=tuple(problems),
    )


def _with_cache(said: Reported, problems: list[str]) -> Reported:
    """Cached above input: the service reports its input without them."""
    cache = (said.cached_tokens or 0) + (said.cache_write_tokens or 0)
    if said.input_tokens is None or cache <= said.input_tokens:
        return said
    if said.input_tokens:
        problems.append("cached_tokens are above input_tokens: they stand outside")
    return replace(said, input_tokens=said.input_tokens + cache)


def _from_total(said: Reported, problems: list[str]) -> Reported:
    """Complete what is missing from the total; what the total has beyond its parts is output, or cached."""
    total, given, made = said.total_tokens, said.input_tokens, said.output_tokens
    if not total:
        return said
    if made is None and given:
        return replace(said, output_tokens=total - given) if total >= given else said
    if made is not None and not given:
        return replace(said, input_tokens=total - made) if total > made else said
    if made is None or given is None:  # a total alone: the caller's count says how much of it is the prompt
        return said
    rest = total - given - made
    if rest <= 0:
        return said
    problems.append("total_tokens is above the sum of its parts")
    cached, thought = said.cached_tokens or 0, said.reasoning_tokens or 0
    if cached and rest in (cached, cached + (said.cache_write_tokens or 0)) and rest != thought:
        return replace(said, input_tokens=given + rest)
    return replace(said, output_tokens=made + rest, reasoning_tokens=thought or rest)


def _output(said: Reported, has_text: bool, problems: list[str]) -> int | None:
    """Return the believable output; None when our own count must stand in."""
    output, thought = said.output_tokens, said.reasoning_tokens or 0
    if output is not None and thought > output:
        problems.append("reasoning_tokens are above output_tokens: they stand outside")
        output += thought
    if output == 0 and has_text:
        problems.append("zero output tokens for a reply that has text")
    if not output and has_text:
        return None
    return output or 0
