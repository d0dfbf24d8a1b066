"""The ``openai`` client: the official SDK against OpenAI, Azure OpenAI and compatible servers.

Importing this package imports neither openai nor httpx2; that happens with the first request, in a worker
thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_kernel.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from ib_kernel.plugin.registry import Catalog
    from ib_kernel.settings import Settings
    from ib_kernel.values import LLMClient

__all__ = ["ib_register"]


def _client(settings: Settings) -> LLMClient:
    from ib_openai.client import OpenAIClient

    return OpenAIClient(settings)


@hookimpl
def ib_register(catalog: Catalog) -> None:
    """Offer the client under the name ``openai``; behind an address of its own it serves who lives there."""
    catalog.add_client("openai", _client, provider=lambda settings: settings.base_url or "openai")
