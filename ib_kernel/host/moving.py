"""`ib store import-NAME` and `export-NAME`: a ledger moves into another one, or into a file to take along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ib_kernel.errors import ConfigError
from ib_kernel.values import LedgerTarget, UsageFormat

if TYPE_CHECKING:
    from ib_kernel.plugin.manager import Plugins
    from ib_kernel.settings import Settings

Say = Callable[[str], None]


def bring(form: str, settings: Settings, place: str, say: Say, plugins: Plugins | None = None) -> int:
    """Move the ledger of another kind in a folder into the one that the settings name, all of it.

    Args:
        form: What kind it is, such as "duckdb".
        settings: Where to; also where from, when no folder is given.
        place: The folder it is in ("": the settings' ``data_dir``).
        say: Called with each line for the person who asked.
        plugins: None: those that are installed.

    Returns:
        The exit status: 1 when something differs afterwards.
    """
    found = _loaded(plugins)
    target = found.store(settings)
    try:
        folder = Path(place).expanduser() if place else settings.data_dir
        with _form(found, form).source(folder) as source:
            moved = _target(target).take(source)
    finally:
        target.close()
    for table, rows in moved.rows.items():
        if rows:
            say(f"{table:<14}{rows:>12,} row{'s' if rows > 1 else ''}")
    if moved.apart:
        say(f"{moved.apart:,} rows do not fit this ledger's tables: kept as they were, and named below")
    for line in moved.differences:
        say(line)
    if moved.differences:
        return 1
    say(
        f"{folder} is moved to {target.location()}: the sums and chains of {moved.sessions:,} sessions are "
        f"the same. Choose it with --store {settings.store}; the folder stays as it is, and is used no more"
    )
    return 0


def take_along(form: str, settings: Settings, place: str, say: Say, plugins: Plugins | None = None) -> int:
    """Write the ledger that the settings name into a new file in which all of SQL's names can be asked."""
    if not place:
        raise ConfigError(f"ib store export-{form} needs the name of a new FILE")
    found, file = _loaded(plugins), Path(place).expanduser()
    store = found.store(settings)
    try:
        _form(found, form).write(file, _target(store).usage_rows())
    finally:
        store.close()
    say(f"{file} has every table and view of docs/sql.md, as of now; only you may read it")
    return 0


def _loaded(plugins: Plugins | None) -> Plugins:
    from ib_kernel.plugin.manager import Plugins

    found = plugins or Plugins()
    found.load()
    return found


def _form(plugins: Plugins, name: str) -> UsageFormat:
    return plugins.catalog.usage_formats.get(name)


def _target(store: object) -> LedgerTarget:
    """Return the ledger as one that moves. `ConfigError` for one that is files already."""
    if isinstance(store, LedgerTarget):
        return store
    raise ConfigError(
        f"the ledger {getattr(store, 'name', '')} is files already (ib backup copies them); name one that "
        "has a server, such as --store postgres"
    )
