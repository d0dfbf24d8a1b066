"""The ``anyllm`` client: many providers through any-llm, a thin adapter over one well-kept library.

The model names the provider: ``anthropic:claude-…``, ``mistral:…``, ``gemini:…``, ``ollama:…``. Needs
``pip install 'interview-buddy-kernel[many]'`` and, for most providers, any-llm's extra for it. Nothing heavy
is imported before the first request. See docs/decisions/0009-more-providers.md for why this library.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from ib_kernel.errors import ConfigError
from ib_kernel.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from ib_kernel.plugin.registry import Catalog
    from ib_kernel.settings import Settings
    from ib_kernel.values import LLMClient

__all__ = ["ib_register"]


INSTALL = (
    "the anyllm client needs any-llm: pip install 'interview-buddy-kernel[many]', and for most providers its "
    "extra, such as pip install 'any-llm-sdk[mistral]'"
)
"""The one line for the missing library; said when a session starts, not at its first turn."""


def _client(settings: Settings) -> LLMClient:
    if not _is_installed():
        raise ConfigError(INSTALL)
    from ib_anyllm.client import AnyLLMClient

    return AnyLLMClient(settings)


def _is_installed() -> bool:
    """Return True if the library is there; looking does not import it."""
    try:
        return importlib.util.find_spec("any_llm") is not None
    except ValueError:  # somebody has put something else in its place
        return False


@hookimpl
def ib_register(catalog: Catalog) -> None:
    """Offer the client under the name ``anyllm``; a model without a provider's name is OpenAI's."""
    catalog.add_client("anyllm", _client, provider="openai")
