"""Find, load and tell: plugins are read from entry points when something is first asked for.

A plugin that cannot be loaded is remembered with the reason and does no harm unless it is the chosen one.
"""

from __future__ import annotations

import importlib.metadata
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import pluggy

from ib_kernel import hookspecs
from ib_kernel.catalog import Catalog, Shelf
from ib_kernel.errors import BrokenPlugin, BuddyError
from ib_kernel.protocols import BudgetStore, LLMClient, TokenCounter
from ib_kernel.settings import Settings

log = logging.getLogger(__name__)
T = TypeVar("T")

GROUP = "ib_kernel"
"""The entry-point group that plugins register under."""


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One plugin as `%interview doctor` shows it; `problem` is "" when it works."""

    name: str
    source: str
    version: str = ""
    problem: str = ""


class Plugins:
    """The plugins of one interview: those installed (entry points) and those handed in.

    `extra` holds plugin modules or objects; with ``entry_points=False`` they are the only ones. A value,
    not a global: tests build their own.
    """

    def __init__(self, extra: Iterable[Any] = (), *, entry_points: bool = True) -> None:
        self.catalog = Catalog()
        self.infos: dict[str, PluginInfo] = {}
        self._extra = list(extra)
        self._entry_points = entry_points
        self._loaded = False
        self._lock = threading.RLock()
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    def load(self) -> None:
        """Load what is not loaded yet. Called by everything that needs a plugin; never raises for one."""
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            if self._entry_points:
                for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda e: e.name):
                    version = entry.dist.version if entry.dist else ""
                    source = f"{entry.dist.name} {version}" if entry.dist else entry.value
                    self._add(entry.name, source, version, entry.load)
            for plugin in self._extra:
                self.register(plugin)

    def register(self, plugin: Any, name: str | None = None) -> None:
        """Add a plugin that was not installed, such as one written in a notebook. Raises if it is broken."""
        self.load()
        name = name or getattr(plugin, "__name__", None) or type(plugin).__name__
        with self._lock:
            if name in self.infos:  # registering again replaces: a notebook cell is run twice
                self.unregister(name)
            self._add(name, "registered here", "", lambda: plugin)
            problem = self.infos[name].problem
        if problem:
            raise BrokenPlugin(f"the plugin {name!r} cannot be used: {problem}")

    def unregister(self, name: str) -> None:
        """Remove a plugin and everything it offers."""
        with self._lock:
            self.catalog.drop(name)
            self.infos.pop(name, None)
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)

    def counter(self, settings: Settings) -> TokenCounter:
        """Build the counter that *settings* choose."""
        return self._build(self.catalog.counters, settings.counter, settings)

    def client(self, settings: Settings) -> LLMClient:
        """Build the client that *settings* choose."""
        return self._build(self.catalog.clients, settings.client_name, settings)

    def store(self, settings: Settings) -> BudgetStore:
        """Build the store that *settings* choose."""
        return self._build(self.catalog.stores, settings.store, settings)

    def tell(self, hook: str, event: object) -> None:
        """Give *event* to every observer of *hook*; one that raises is logged and skipped."""
        self.load()
        for name, plugin in self._manager.list_name_plugin():
            implementation = getattr(plugin, hook, None)
            if implementation is None:
                continue
            others = [p for p in self._manager.get_plugins() if p is not plugin]
            try:
                self._manager.subset_hook_caller(hook, others)(event=event)
            except Exception:
                log.warning("the plugin %s failed in %s and is skipped", name, hook, exc_info=True)

    def _add(self, name: str, source: str, version: str, load: Any) -> None:
        problem = ""
        try:
            plugin = load()
            self._manager.register(plugin, name=name)
            self._manager.check_pending()
            self.catalog.plugin = name
            if hasattr(plugin, "ib_register"):
                others = [p for p in self._manager.get_plugins() if p is not plugin]
                self._manager.subset_hook_caller("ib_register", others)(catalog=self.catalog)
        except BaseException as error:  # a plugin's import can raise anything; only interrupts pass
            if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
                raise
            problem = (
                f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
            )
            log.debug("plugin %s cannot be loaded", name, exc_info=True)
            self.catalog.drop(name)
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
        finally:
            self.catalog.plugin = "you"
        self.infos[name] = PluginInfo(name, source, version, problem)

    def _build(self, shelf: Shelf[T], name: str, settings: Settings) -> T:
        self.load()
        info = self.infos.get(name)
        if name not in shelf.names() and info is not None and info.problem:
            raise BrokenPlugin(f"the {shelf.kind} {name!r} cannot be loaded: {info.problem}")
        factory = shelf.get(name)
        try:
            return factory(settings)
        except BuddyError:
            raise
        except Exception as error:
            log.debug("the factory of %s %s failed", shelf.kind, name, exc_info=True)
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise BrokenPlugin(
                f"the {shelf.kind} {name!r} cannot be built: {type(error).__name__}: {first}"
            ) from None
