"""The token counter "tiktoken": exact where a prompt can be counted offline, and honest where it cannot.

The rules are the core's (`ib_kernel.counting`); this plugin supplies tiktoken with ranks that ship inside the
package. Importing it does not import tiktoken, and no count opens a socket or writes a file.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ib_kernel.counting import Encoder, RuleCounter
from ib_kernel.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from ib_kernel.plugin.registry import Catalog
    from ib_kernel.settings import Settings
    from ib_kernel.values import Count

__all__ = ["TiktokenCounter", "count_request", "count_text", "encode", "ib_register"]


def _load(name: str) -> Encoder:
    from ib_tiktoken._encoder import encoder

    return encoder(name)


class TiktokenCounter(RuleCounter):
    """Counts with tiktoken. Thread-safe, never raises; its caches are its own."""

    name = "tiktoken"

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(_load, aliases=settings.model_aliases if settings else {})


@functools.cache
def _default() -> TiktokenCounter:
    return TiktokenCounter()


def count_request(request: Mapping[str, Any], model: str) -> Count:
    """Count the prompt tokens of a Chat Completions (``messages``) or Responses (``input``) body."""
    return _default().count_request(request, model)


def count_text(text: str, model: str) -> Count:
    """Count the tokens of *text* as *model* sees it, special-token text as ordinary text."""
    return _default().count_text(text, model)


def encode(text: str, model: str) -> list[int]:
    """Return the token ids of *text* in *model*'s encoding, special-token text as ordinary text.

    Raises `ib_kernel.counting.Uncountable` for the rare text that tiktoken cannot encode.
    """
    return _default().encode(text, model)


@hookimpl
def ib_register(catalog: Catalog) -> None:
    """Offer the counter as "tiktoken"."""
    catalog.add_counter("tiktoken", TiktokenCounter)
