"""Settings of plugins: declared as a frozen dataclass, given in ``[plugins.NAME]`` or as ``IB_NAME_KEY``.

::

    @dataclass(frozen=True)
    class AcmeSettings:
        url: str = setting(parsing.parse_url, "https://api.acme.example/v1", "address of the service")
        token: Secret | None = setting(parsing.parse_secret, None, "key of the service")

    catalog.add_settings("acme", AcmeSettings)             # in ib_register
    mine = settings.plugin("acme", AcmeSettings)           # in a factory: an AcmeSettings

Values are looked up in the same order as the core's own: what was given, ``%config``, the environment,
config.toml, the default. They are parsed when the plugin asks; one that cannot be used is a line that names
its source.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from ib_kernel.errors import ConfigError, did_you_mean
from ib_kernel.settings import parsing
from ib_kernel.settings.sources import FILE, env_name, parse_value

S = TypeVar("S")

_Given = dict[tuple[str, str], tuple[Any, str]]
_Layers = tuple[_Given, dict[str, str], _Given]

NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
"""What a plugin's table may be called: it is part of a variable's name."""


def setting(parse: Callable[[Any], Any], default: Any, doc: str) -> Any:
    """Declare one setting, as the default of a dataclass's field.

    Args:
        parse: Turns what a person, a file or a variable gave into the value, or raises `ValueError`; its
            docstring says what is allowed, in the words of the error message. `ib_kernel.settings.parsing`
            has parsers; with `parsing.parse_secret` the value is a `Secret` and is never shown.
        default: The value when nothing is given: immutable, or a callable that makes one.
        doc: One line for `%interview doctor`.
    """
    metadata = {"parse": parse, "default": default, "doc": doc}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, slots=True)
class PluginValue:
    """One setting of a plugin, as it is now. A `secret` one is never shown, only whether it is set."""

    plugin: str
    key: str
    value: Any
    origin: str
    doc: str
    secret: bool = False


class PluginTables:
    """What was given to plugins' settings, before anything is parsed; equal when the same was given.

    There may be keys of services among it, so no ``repr`` and no attribute shows a value.
    """

    __slots__ = ("_layers",)

    def __init__(
        self,
        given: Mapping[tuple[str, str], tuple[Any, str]],
        environment: Mapping[str, str],
        file: Mapping[tuple[str, str], tuple[Any, str]],
    ) -> None:
        layers = dict(given), dict(environment), dict(file)
        self._layers: Callable[[], _Layers] = lambda: layers  # in a closure, like a Secret's text

    @classmethod
    def found(cls, file: Any, besides: Collection[str] = ()) -> PluginTables:
        """Return what the environment and the ``[plugins]`` table of config.toml give.

        Args:
            file: The table of config.toml; None where there is none.
            besides: Variables that are not plugins', the core's own.

        Raises:
            ConfigError: *file* is no table of tables.
        """
        names = {name for name in os.environ if name.startswith("IB_")} - set(besides)
        environment = {name: os.environ[name] for name in names}
        return cls({}, environment, _flat(file, FILE))

    def over(self, tables: Any, origin: str) -> PluginTables:
        """Return a copy in which *tables*, given by *origin*, come before everything else."""
        given, environment, file = self._layers()
        return PluginTables({**given, **_flat(tables, origin)}, environment, file)

    def find(self, plugin: str, key: str) -> tuple[Any, str] | None:
        """Return what was given for a setting and where, or None."""
        given, environment, file = self._layers()
        variable = env_name(plugin, key)
        if (plugin, key) in given:
            return given[plugin, key]
        if environment.get(variable, "").strip():
            return environment[variable], variable
        return file.get((plugin, key))

    def keys(self, plugin: str) -> dict[str, str]:
        """Return the keys that were given for *plugin* by name, and where each comes from."""
        given, _, file = self._layers()
        return {key: origin for (owner, key), (_, origin) in {**file, **given}.items() if owner == plugin}

    def names(self) -> list[str]:
        """Return the plugins that have a table."""
        given, _, file = self._layers()
        return sorted({plugin for plugin, _ in {**file, **given}})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PluginTables) and self._layers() == other._layers()

    def __hash__(self) -> int:
        return hash(tuple(self.names()))

    def __reduce__(self) -> Any:
        given, _, file = self._layers()
        if given or file:
            raise TypeError("plugins' settings cannot be pickled: there may be keys among them")
        return PluginTables, ({}, {}, {})

    def __copy__(self) -> PluginTables:
        return self

    def __deepcopy__(self, memo: Any) -> PluginTables:
        return self

    def __repr__(self) -> str:
        return f"PluginTables({', '.join(self.names())})"


def plugin_values(tables: PluginTables, plugin: str, kind: type[Any]) -> list[PluginValue]:
    """Return every setting of *plugin*, which declares them as *kind*, parsed and with its origin.

    Raises:
        ConfigError: A value that cannot be used, or a key that *kind* does not declare.
    """
    specs = plugin_fields(kind)
    for key, origin in tables.keys(plugin).items():
        if key not in specs:
            hint = did_you_mean(key, specs) or f"; known: {', '.join(specs) or 'none'}"
            raise ConfigError(f"unknown setting {key!r} in [plugins.{plugin}] ({origin}){hint}")
    values = []
    for key, spec in specs.items():
        parse, doc = spec.metadata["parse"], spec.metadata["doc"]
        found = tables.find(plugin, key)
        if found is None:
            default = spec.metadata["default"]
            value, origin = (default() if callable(default) else default), "default"
        else:
            value, origin = parse_value(f"plugins.{plugin}.{key}", parse, *found), found[1]
        values.append(PluginValue(plugin, key, value, origin, doc, parse is parsing.parse_secret))
    return values


def read_plugin(tables: PluginTables, plugin: str, kind: type[S]) -> S:
    """Return the settings of *plugin* as an instance of *kind*. Raises `ConfigError` like `plugin_values`."""
    return kind(**{found.key: found.value for found in plugin_values(tables, plugin, kind)})


def plugin_fields(kind: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    """Return the settings that *kind* declares, by key. `ConfigError` for what is no such dataclass."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ConfigError(
            f"add_settings needs a frozen dataclass whose fields are made by setting(…), not {kind!r}"
        )
    for spec in dataclasses.fields(kind):
        if "parse" not in spec.metadata:
            raise ConfigError(f"{kind.__name__}.{spec.name} is not made by setting(parse, default, doc)")
    return {spec.name: spec for spec in dataclasses.fields(kind)}


def _flat(tables: Any, origin: str) -> _Given:
    if tables is None:
        return {}
    if not isinstance(tables, Mapping) or not all(isinstance(table, Mapping) for table in tables.values()):
        raise ConfigError(f"plugins ({origin}) must be a table for each plugin, such as [plugins.acme]")
    return {(name, key): (raw, origin) for name, table in tables.items() for key, raw in table.items()}
