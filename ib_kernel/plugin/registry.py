"""Named factories for the parts that can be swapped: counters, clients, stores.

Asked by name, imported late: a factory runs the first time somebody asks for its product. A clash of two
names raises and names both plugins; an unknown name raises and says what is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ib_kernel.errors import ConfigError, NameClash, UnknownName
from ib_kernel.errors import did_you_mean as did_you_mean  # importable from here too
from ib_kernel.settings import Settings
from ib_kernel.values import BudgetStore, LLMClient, TokenCounter

T = TypeVar("T")
Factory = Callable[[Settings], T]
"""Builds one product from the settings. Heavy imports belong inside it."""


@dataclass
class Registry(Generic[T]):
    """The factories of one kind, by name."""

    kind: str
    _entries: dict[str, tuple[Factory[T], str]] = field(default_factory=dict)

    def add(self, name: str, factory: Factory[T], plugin: str) -> None:
        """Offer *factory* as *name*. `NameClash` when that is taken, `ConfigError` for what is no factory."""
        if not (isinstance(name, str) and name.strip()) or not callable(factory):
            raise ConfigError(
                f"add_{self.kind}({name!r}, …) needs a name and a factory, that is, a callable with the "
                f"settings as its argument"
            )
        if name in self._entries:
            other = self._entries[name][1]
            who = f"both {other} and {plugin}; remove one" if other != plugin else f"{plugin} twice"
            raise NameClash(f"the {self.kind} {name!r} is offered by {who}", self.kind, name, (other, plugin))
        self._entries[name] = (factory, plugin)

    def get(self, name: str) -> Factory[T]:
        """Return the factory called *name*. `UnknownName` says what is installed."""
        try:
            return self._entries[name][0]
        except KeyError:
            installed = ", ".join(sorted(self._entries)) or "none"
            hint = did_you_mean(name, self._entries)
            raise UnknownName(f"no {self.kind} called {name!r}; installed: {installed}{hint}") from None

    def offered(self, name: str) -> Factory[T] | None:
        """Return the factory called *name*, or None."""
        return self._entries[name][0] if name in self._entries else None

    def names(self) -> dict[str, str]:
        """Return the offered names and the plugin that offers each."""
        return {name: plugin for name, (_, plugin) in sorted(self._entries.items())}

    def drop(self, plugin: str) -> None:
        """Forget everything *plugin* has offered."""
        self._entries = {k: v for k, v in self._entries.items() if v[1] != plugin}


class Catalog:
    """What plugins offer. `plugin` names the one that is registering right now (set by `Plugins`)."""

    def __init__(self) -> None:
        self.counters: Registry[TokenCounter] = Registry("counter")
        self.clients: Registry[LLMClient] = Registry("client")
        self.stores: Registry[BudgetStore] = Registry("store")
        self.plugin = "you"

    def add_counter(self, name: str, factory: Factory[TokenCounter]) -> None:
        """Offer a token counter by name."""
        self.counters.add(name, factory, self.plugin)

    def add_client(self, name: str, factory: Factory[LLMClient]) -> None:
        """Offer a model client by name."""
        self.clients.add(name, factory, self.plugin)

    def add_store(self, name: str, factory: Factory[BudgetStore]) -> None:
        """Offer a ledger by name."""
        self.stores.add(name, factory, self.plugin)

    def drop(self, plugin: str) -> None:
        """Forget everything *plugin* has offered."""
        for shelf in (self.counters, self.clients, self.stores):
            shelf.drop(plugin)
