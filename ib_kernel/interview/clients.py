"""The clients that an interview has built, each once."""

from __future__ import annotations

import threading
from typing import Any

from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import LLMClient, RateLimits


class Clients:
    """Clients by name and API. Safe from several threads."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._lock = threading.RLock()
        self._built: dict[tuple[str, str], LLMClient] = {}
        self._factories: dict[tuple[str, str], Any] = {}
        self._replaced: list[LLMClient] = []

    def get(self, settings: Settings) -> LLMClient:
        """Return the client that *settings* choose; built once, and again when its plugin was replaced."""
        key = settings.client_name, settings.api
        with self._lock:
            self._plugins.load()
            offered = self._plugins.catalog.clients.offered(settings.client_name)
            if key in self._built and self._factories.get(key) is not offered:
                self._replaced.append(self._built.pop(key))  # a turn may still be using it
            if key not in self._built:
                self._built[key], self._factories[key] = self._plugins.client(settings), offered
            return self._built[key]

    def rate_limits(self) -> dict[str, RateLimits]:
        """Return what the services said last about their rate limits, by model."""
        with self._lock:
            clients = list(self._built.values())
        return {model: limits for c in clients for model, limits in getattr(c, "rate_limits", {}).items()}

    def take_all(self) -> list[LLMClient]:
        """Return all of them, for closing, and forget them."""
        with self._lock:
            clients, self._built, self._replaced = [*self._built.values(), *self._replaced], {}, []
        return clients


def default_model(client: LLMClient, settings: Settings) -> str:
    """Return the client's own default (`default_model`), unless the user chose a model."""
    own: str | None = getattr(client, "default_model", None)
    return own if own and settings.origins.get("model") == "default" else settings.model
