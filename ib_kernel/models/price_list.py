"""The price list inside ``genai-prices``: whose model a name is, and what the list knows about it.

Offline: the list that is installed is used and never updated over the network. It is imported when it is
first asked, because that takes a fifth of a second.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo


@functools.cache
def source() -> str:
    """Return the name and version of the price list, as rows record it."""
    import importlib.metadata

    return f"genai-prices {importlib.metadata.version('genai-prices')}"


@functools.lru_cache(maxsize=256)
def provider_id(name_or_address: str) -> str:
    """Return the list's name of a provider, "" when the list does not know it.

    Args:
        name_or_address: A name ("anthropic", "gemini") or the address of an API ("https://api.groq.com/…").
    """
    if not name_or_address:
        return ""
    is_address = name_or_address.startswith(("http://", "https://"))
    if is_address and _is_here(name_or_address):
        return ""  # nobody's that the list could know, and the list takes a tenth of an idle host's memory
    try:
        found = _snapshot().find_provider(
            None, None if is_address else name_or_address, name_or_address if is_address else None
        )
    except LookupError:
        return ""
    return found.id


def _is_here(address: str) -> bool:
    from urllib.parse import urlsplit

    from ib_kernel.values.joining import is_loopback

    try:
        return is_loopback(urlsplit(address).hostname or "")
    except ValueError:
        return False


@functools.lru_cache(maxsize=256)
def find(model: str, provider: str) -> ModelInfo | None:
    """Return the list's row for *model* of *provider*: as it is, then without a prefix; None without one."""
    snapshot = _snapshot()
    bare = model.split(":", 1)[-1]  # of "mistral:mistral-large-latest"
    for name in dict.fromkeys((model, bare, bare.rsplit("/", 1)[-1])):
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
