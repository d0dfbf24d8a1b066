"""Find, load and notify: plugins are read from entry points when something is first asked for.

A plugin that cannot be loaded is remembered with the reason and does no harm unless it is the chosen one.
"""

from __future__ import annotations

import importlib.metadata
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import pluggy

from ib_kernel.errors import BrokenPlugin, BuddyError, NameClash, UnknownName
from ib_kernel.models.limits import get_model, list_models
from ib_kernel.models.rows import ModelInfo
from ib_kernel.plugin import hookspecs, loading
from ib_kernel.plugin.registry import Catalog, Factory, Registry, did_you_mean
from ib_kernel.settings import Settings
from ib_kernel.settings.plugins import PluginValue, plugin_values
from ib_kernel.values import BudgetStore, LLMClient, TokenCounter
from ib_kernel.values.judging import Judge

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

    A value, not a global: tests build their own.

    Args:
        extra: Plugin modules or objects besides the installed ones.
        entry_points: Whether installed plugins are loaded; False leaves *extra* alone.
    """

    def __init__(self, extra: Iterable[Any] = (), *, entry_points: bool = True) -> None:
        self.catalog = Catalog()
        self.infos: dict[str, PluginInfo] = {}
        self._clashes: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
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
            try:
                if self._entry_points:
                    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=loading.order):
                        self._add_installed(entry)
                for plugin in self._extra:
                    self._replace(loading.name_of(plugin), plugin)
            except BaseException:  # an interrupt: the next use starts over, instead of missing the rest
                for name in list(self.infos):
                    self._remove(name)
                self._loaded = False
                raise

    def register(self, plugin: Any, name: str | None = None) -> None:
        """Add a plugin that was not installed, such as one written in a notebook.

        Registering again under the same name replaces, so that a cell can be run twice.

        Args:
            plugin: A module or object that implements hooks.
            name: What the doctor calls it (None: its own name).

        Raises:
            BrokenPlugin: It implements no hook, or its registration failed; the line says why.
        """
        self.load()
        name = name or loading.name_of(plugin)
        with self._lock:
            self._replace(name, plugin)
            problem = self.infos[name].problem
        if problem:
            raise BrokenPlugin(f"the plugin {name!r} cannot be used: {problem}")

    def unregister(self, name: str) -> None:
        """Remove a plugin and everything it offers.

        Args:
            name: The plugin, as the doctor calls it.

        Raises:
            UnknownName: There is no such plugin; the line says which there are.
        """
        self.load()
        with self._lock:
            if name not in self.infos:
                known = ", ".join(sorted(self.infos)) or "none"
                raise UnknownName(
                    f"no plugin called {name!r}; there are: {known}{did_you_mean(name, self.infos)}"
                )
            self._remove(name)

    def counter(self, settings: Settings) -> TokenCounter:
        """Build the counter that the settings choose.

        Args:
            settings: What the user chose; the factory gets them.

        Raises:
            ConfigError: There is no such counter, or it cannot be built; the line says why.
        """
        return self._build(self.catalog.counters, settings.counter, settings)

    def client(self, settings: Settings) -> LLMClient:
        """Build the client that the settings choose.

        Args:
            settings: What the user chose; the factory gets them.

        Raises:
            ConfigError: There is no such client, or it cannot be built; the line says why.
        """
        return self._build(self.catalog.clients, settings.client_name, settings)

    def store(self, settings: Settings) -> BudgetStore:
        """Open the store that the settings choose.

        Args:
            settings: What the user chose; the factory gets them.

        Raises:
            ConfigError: There is no such store, or it cannot be built; the line says why.
        """
        return self._build(self.catalog.stores, settings.store, settings)

    def judge(self, settings: Settings, name: str) -> Judge:
        """Build a judge that a plugin offers.

        Args:
            settings: What the user chose; the factory gets them.
            name: Which judge.

        Raises:
            ConfigError: There is no such judge, or it cannot be built; the line says why.
        """
        return self._build(self.catalog.judges, name, settings)

    def model(self, name: str, settings: Settings, client: str = "") -> ModelInfo:
        """Return the limits of a model, and whose price it has.

        Args:
            name: The model, as it is asked for.
            settings: The user's rows and aliases, and the client when none is named.
            client: The client that is asked ("": the settings').

        Raises:
            UnknownModel: No limits are known; the line says how to give them.
        """
        self.load()
        provider = self.provider(client or settings.client_name, settings)
        return get_model(name, settings, offered=self.catalog.models.entries(), provider=provider)

    def models(self, settings: Settings) -> list[ModelInfo]:
        """Return every known model: the user's own first, then plugins', then the table (newest first).

        Args:
            settings: The user's rows.

        Raises:
            ConfigError: A row of the user's cannot be used.
        """
        self.load()
        return list_models(settings, offered=self.catalog.models.entries())

    def provider(self, client: str, settings: Settings) -> str:
        """Return whose models a client serves, as its plugin says; "" when it says nothing.

        Args:
            client: The client by name.
            settings: What the provider may depend on, such as ``base_url``.
        """
        self.load()
        said = self.catalog.providers.offered(client) or ""
        try:
            return said if isinstance(said, str) else str(said(settings) or "")
        except Exception as error:  # noqa: BLE001 - it is logged, and the model then has no price
            log.debug("the provider of the client %s failed\n%s", client, loading.trace(error))
            return ""

    def settings_values(self, settings: Settings) -> list[PluginValue]:
        """Return every setting that a plugin declares, as it is now.

        Args:
            settings: What was given for them.

        Raises:
            ConfigError: A value that cannot be used, or a key in ``[plugins.NAME]`` that no setting has.
        """
        self.load()
        declared = self.catalog.settings.entries().items()
        return [value for name, kind in declared for value in plugin_values(settings.plugins, name, kind)]

    def is_observed(self, *hooks: str) -> bool:
        """Return True if any plugin implements one of *hooks*.

        Args:
            hooks: Names, such as ``ib_after_call``.
        """
        self.load()
        return any(loading.implementations(self._manager, hook) for hook in hooks)

    def notify(self, hook: str, event: object) -> None:
        """Give an event to every observer of a hook; one that raises is logged and skipped.

        Args:
            hook: The hook's name, such as ``ib_after_call``.
            event: The frozen event.
        """
        self.load()
        for implementation in loading.implementations(self._manager, hook):
            try:
                loading.call(implementation, event=event)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - also SystemExit, or a compiled library's panic
                name = implementation.plugin_name
                log.warning("the plugin %s failed in %s and is skipped\n%s", name, hook, loading.trace(error))

    def _add_installed(self, entry: importlib.metadata.EntryPoint) -> None:
        distribution, version = loading.distribution(entry)
        source = f"{distribution} {version}".strip() or entry.value
        # Two distributions may use one entry name; the second must not take the first one's place.
        name = entry.name if entry.name not in self.infos else f"{entry.name} ({source})"
        self._add(name, source, version, entry.load)

    def _replace(self, name: str, plugin: Any) -> None:
        if name in self.infos:
            self._remove(name)
        self._add(name, "registered here", "", lambda: plugin)

    def _remove(self, name: str) -> None:
        self.catalog.drop(name)
        self.infos.pop(name, None)
        self._clashes = {key: clash for key, clash in self._clashes.items() if name not in clash[1]}
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def _add(self, name: str, source: str, version: str, load: Callable[[], Any]) -> None:
        problem = ""
        try:
            plugin = load()
            self._manager.register(plugin, name=name)
            loading.check(self._manager, plugin, name)
            self.catalog.plugin, self.catalog.source = name, source if version else name
            for implementation in loading.implementations(self._manager, "ib_register"):
                if implementation.plugin_name == name:
                    loading.call(implementation, catalog=self.catalog)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - an import can raise anything, SystemExit too
            problem = loading.reason(error)
            log.debug("plugin %s cannot be loaded\n%s", name, loading.trace(error))
            self._remove(name)
            if isinstance(error, NameClash) and source != "registered here":
                self._clashes[error.kind, error.name] = (str(error), error.plugins)
        finally:
            self.catalog.plugin = self.catalog.source = "you"
        self.infos[name] = PluginInfo(name, source, version, problem)

    def _build(self, registry: Registry[Factory[T]], name: str, settings: Settings) -> T:
        self.settings_values(settings)  # a mistake in a table is told before anything is built
        info = self.infos.get(name)
        if name not in registry.names() and info is not None and info.problem:
            raise BrokenPlugin(f"the {registry.kind} {name!r} cannot be loaded: {info.problem}")
        if (registry.kind, name) in self._clashes:
            raise NameClash(self._clashes[registry.kind, name][0])
        try:
            factory = registry.get(name)
        except UnknownName as error:
            broken = "; ".join(f"{i.name}: {i.problem}" for i in self.infos.values() if i.problem)
            raise UnknownName(f"{error}{'; broken: ' if broken else ''}{broken}") from None
        key = settings.api_key.reveal() if settings.api_key else None
        try:
            product = factory(settings)
        except BuddyError:
            raise
        except Exception as error:  # noqa: BLE001 - it is logged; exc_info could show the key
            log.debug("the factory of %s %s failed\n%s", registry.kind, name, loading.trace(error, key))
            raise BrokenPlugin(
                f"the {registry.kind} {name!r} cannot be built: {loading.reason(error, key)}"
            ) from None
        if product is None:
            raise BrokenPlugin(f"the {registry.kind} {name!r} cannot be built: its factory returned None")
        return product
