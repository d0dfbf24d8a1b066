"""What plugins offer, by name: counters, clients, stores and judges, and what a plugin may need besides.

Asked by name, imported late: a factory runs the first time somebody asks for its product. A clash of two
names raises and names both plugins; an unknown name raises and says what is installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ib_kernel.errors import ConfigError, NameClash, UnknownName
from ib_kernel.errors import did_you_mean as did_you_mean  # importable from here too
from ib_kernel.models.limits import is_shipped
from ib_kernel.models.rows import ModelInfo, own_row
from ib_kernel.plugin.commands import Command
from ib_kernel.settings import Settings
from ib_kernel.settings.fields import CORE_VARIABLES
from ib_kernel.settings.plugins import NAME, plugin_fields
from ib_kernel.settings.sources import env_name
from ib_kernel.values import BudgetStore, LLMClient, StoreTools, TokenCounter, UsageFormat
from ib_kernel.values.judging import Judge

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_PERSONA = re.compile(r"[a-z][a-z0-9-]{0,39}")

T = TypeVar("T")
Factory = Callable[[Settings], T]
"""Builds one product from the settings. Heavy imports belong inside it."""

DEFAULT_JUDGE = "model"
"""The name of the judge that is built in."""

Provider = str | Callable[[Settings], str]
"""Whose models a client serves: a provider of genai-prices ("anthropic") or the address of its API, or a
function of the settings that returns one. "": nobody's that is known."""


@dataclass
class Registry(Generic[T]):
    """What is offered of one kind, by name."""

    kind: str
    _entries: dict[str, tuple[T, str]] = field(default_factory=dict)

    def add(self, name: str, entry: T, plugin: str) -> None:
        """Offer an entry by name.

        Args:
            name: What it is asked for by.
            entry: What is offered.
            plugin: Who offers it.

        Raises:
            NameClash: The name is taken.
        """
        if name in self._entries:
            other = self._entries[name][1]
            who = f"both {other} and {plugin}; remove one" if other != plugin else f"{plugin} twice"
            raise NameClash(f"the {self.kind} {name!r} is offered by {who}", self.kind, name, (other, plugin))
        self._entries[name] = (entry, plugin)

    def get(self, name: str) -> T:
        """Return what is offered by a name.

        Args:
            name: What is asked for.

        Raises:
            UnknownName: Nothing is; the line says what is installed.
        """
        try:
            return self._entries[name][0]
        except KeyError:
            installed = ", ".join(sorted(self._entries)) or "none"
            hint = did_you_mean(name, self._entries)
            raise UnknownName(f"no {self.kind} called {name!r}; installed: {installed}{hint}") from None

    def offered(self, name: str) -> T | None:
        """Return what is offered by a name, or None.

        Args:
            name: What is asked for.
        """
        return self._entries[name][0] if name in self._entries else None

    def names(self) -> dict[str, str]:
        """Return the offered names and the plugin that offers each."""
        return {name: plugin for name, (_, plugin) in sorted(self._entries.items())}

    def entries(self) -> dict[str, T]:
        """Return everything that is offered, by name."""
        return {name: entry for name, (entry, _) in sorted(self._entries.items())}

    def drop(self, plugin: str) -> None:
        """Forget everything a plugin has offered.

        Args:
            plugin: The plugin.
        """
        self._entries = {k: v for k, v in self._entries.items() if v[1] != plugin}


class Catalog:
    """What plugins offer.

    `plugin` names the one that is registering right now and `source` its distribution (set by `Plugins`).
    """

    def __init__(self) -> None:
        self.counters: Registry[Factory[TokenCounter]] = Registry("counter")
        self.clients: Registry[Factory[LLMClient]] = Registry("client")
        self.stores: Registry[Factory[BudgetStore]] = Registry("store")
        self.store_tools: Registry[Factory[StoreTools]] = Registry("set of tools of a store")
        self.judges: Registry[Factory[Judge]] = Registry("judge")
        self.providers: Registry[Provider] = Registry("provider")
        self.settings: Registry[type[Any]] = Registry("table of settings")
        self.commands: Registry[Command] = Registry("command")
        self.challenges: Registry[Traversable] = Registry("folder of challenges")
        self.models: Registry[ModelInfo] = Registry("model")
        self.usage_formats: Registry[UsageFormat] = Registry("format for usage")
        self.personas: Registry[Path] = Registry("persona")
        self.plugin = "you"
        self.source = "you"

    def add_counter(self, name: str, factory: Factory[TokenCounter]) -> None:
        """Offer a token counter.

        Args:
            name: What the setting ``counter`` chooses it by.
            factory: Builds it from the settings.

        Raises:
            NameClash: Another plugin offers that name.
            ConfigError: *factory* is not callable, or *name* is empty.
        """
        self.counters.add(_named("counter", name, factory), factory, self.plugin)

    def add_client(self, name: str, factory: Factory[LLMClient], *, provider: Provider = "") -> None:
        """Offer a model client.

        Args:
            name: What the setting ``client`` and ``--client`` choose it by.
            factory: Builds it from the settings.
            provider: Whose models it serves, so that limits and prices of models outside our table are
                that provider's. A model that names its provider (``anthropic:claude-…``) comes first.

        Raises:
            NameClash: Another plugin offers that name.
            ConfigError: *factory* is not callable, or *name* is empty.
        """
        self.clients.add(_named("client", name, factory), factory, self.plugin)
        self.providers.add(name, provider, self.plugin)

    def add_store(
        self, name: str, factory: Factory[BudgetStore], *, tools: Factory[StoreTools] | None = None
    ) -> None:
        """Offer a ledger.

        Args:
            name: What the setting ``store`` chooses it by.
            factory: Opens it as the settings say.
            tools: Builds what ``ib store`` needs, for a ledger that has to be set up before it is opened.

        Raises:
            NameClash: Another plugin offers that name.
            ConfigError: *factory* is not callable, or *name* is empty.
        """
        self.stores.add(_named("store", name, factory), factory, self.plugin)
        if tools is not None:
            self.store_tools.add(name, tools, self.plugin)

    def add_judge(self, name: str, factory: Factory[Judge]) -> None:
        """Offer a judge: what proposes levels for an interview, each with quotes that are then looked up.

        Args:
            name: What the setting ``judge`` and ``--judge`` choose it by.
            factory: Builds it from the settings (see `ib_kernel.values.Judge`).

        Raises:
            NameClash: Another plugin offers that name, or it is the default judge's.
            ConfigError: *factory* is not callable, or *name* is empty.
        """
        if name == DEFAULT_JUDGE:
            raise NameClash(f"the judge {name!r} is built in; give yours another name", "judge", name)
        self.judges.add(_named("judge", name, factory), factory, self.plugin)

    def add_settings(self, name: str, kind: type[Any]) -> None:
        """Declare settings of the plugin's own.

        Args:
            name: The table ``[plugins.NAME]`` of config.toml; variables are called ``IB_NAME_KEY``.
            kind: A frozen dataclass whose fields are made by `ib_kernel.settings.setting`. In a factory,
                ``settings.plugin(name, kind)`` returns one.

        Raises:
            NameClash: Another plugin's settings have that name, or the same variable.
            ConfigError: *kind* is no such dataclass, or *name* cannot be part of a variable's name.
        """
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise ConfigError(f"add_settings({name!r}, …) needs a name such as acme, in lower case")
        variables = {env_name(name, key) for key in plugin_fields(kind)}
        for other, declared in self.settings.entries().items():
            taken = variables & {env_name(other, key) for key in declared.__dataclass_fields__}
            if taken and other != name:
                raise NameClash(f"the variable {min(taken)} would be a setting of {name} and of {other}")
        if variables & CORE_VARIABLES:
            raise NameClash(f"the variable {min(variables & CORE_VARIABLES)} is a setting of the core")
        self.settings.add(name, kind, self.plugin)

    def add_command(
        self,
        name: str,
        run: Callable[..., object],
        summary: str,
        *,
        usage: str = "",
        options: Sequence[str] = (),
        complete: Callable[..., Any] | None = None,
    ) -> None:
        """Offer a subcommand of `%interview`.

        Args:
            name: What is typed after ``%interview``.
            run: Called with a `CommandContext` and the words typed after the name; what it returns is shown.
            summary: One line for help.
            usage: What follows the name, for ``--help``.
            options: The options Tab offers.
            complete: Called with the context and the words before; returns what Tab offers for the next.

        Raises:
            NameClash: Another plugin offers that name.
            ConfigError: The name is built in or cannot be typed, or there is no summary.
        """
        self.commands.add(name, Command(name, summary, run, usage, options, complete), self.plugin)

    def add_challenges(self, folder: str | os.PathLike[str] | Traversable) -> None:
        """Offer the challenges in a folder: its ``.md`` files, by their names.

        Args:
            folder: A path, or a folder of a package, such as ``importlib.resources.files("acme") / "tasks"``.

        Raises:
            ConfigError: There is no such folder.
        """
        place = Path(folder).expanduser() if isinstance(folder, (str, os.PathLike)) else folder
        if not place.is_dir():
            raise ConfigError(f"add_challenges: there is no folder {place}")
        self.challenges.add(str(place), place, self.plugin)

    def add_persona(self, name: str, file: str | os.PathLike[str]) -> None:
        """Offer a persona: what the AI is told to be, in a file of its own.

        Args:
            name: What ``--as`` and the setting ``persona`` choose it by: lower-case letters, digits, hyphens.
            file: A Markdown file, read when a session with it starts (`ib_kernel.interview.personas` says
                what it may have).

        Raises:
            NameClash: Another plugin offers that name, or it is the shipped interviewer's or assistant's.
            ConfigError: The name cannot be used, or there is no such file.
        """
        if not (isinstance(name, str) and _PERSONA.fullmatch(name)):
            raise ConfigError(f"add_persona({name!r}, …) needs a name such as socratic, in lower case")
        if name in ("interviewer", "assistant"):
            raise NameClash(
                f"the persona {name!r} is the shipped one's; give yours another name", "persona", name
            )
        path = Path(file).expanduser()
        if not path.is_file():
            raise ConfigError(f"add_persona: there is no file {path}")
        self.personas.add(name, path, self.plugin)

    def add_model(self, name: str, **row: Any) -> None:
        """Offer the limits and the price of a model that our table does not know.

        Args:
            name: The model, as it is asked for.
            row: What ``[models."NAME"]`` of config.toml takes, such as ``context_window``, ``max_output``
                (tokens), ``provider``, ``input_usd_per_mtok`` and ``output_usd_per_mtok`` (US dollars for a
                million tokens). What the user's own table says about a model comes first.

        Raises:
            NameClash: Another plugin offers that model.
            ConfigError: An entry is unknown, missing or cannot be used, or our table has that model.
        """
        if is_shipped(name):
            raise NameClash(
                f"the model {name!r} is in our table; the user's settings may change it", "model", name
            )
        self.models.add(name, own_row(name, row, f"the plugin {self.source}"), self.plugin)

    def add_usage_format(self, name: str, form: UsageFormat) -> None:
        """Offer a kind of file in which a whole ledger can be asked without a server.

        Args:
            name: What ``ib store export-NAME`` and ``import-NAME`` choose it by.
            form: Writes such files, and reads such ledgers.

        Raises:
            NameClash: Another plugin offers that name.
        """
        self.usage_formats.add(name, form, self.plugin)

    def drop(self, plugin: str) -> None:
        """Forget everything a plugin has offered.

        Args:
            plugin: The plugin.
        """
        for registry in vars(self).values():
            if isinstance(registry, Registry):
                registry.drop(plugin)


def _named(kind: str, name: str, factory: object) -> str:
    if not (isinstance(name, str) and name.strip()) or not callable(factory):
        raise ConfigError(
            f"add_{kind}({name!r}, …) needs a name and a factory, that is, a callable with the "
            f"settings as its argument"
        )
    return name
