"""`ib store`: making, migrating and checking a ledger that has to be set up before it is opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ib_kernel.errors import ConfigError

if TYPE_CHECKING:
    from ib_kernel.plugin.manager import Plugins
    from ib_kernel.settings import Settings
    from ib_kernel.values import StoreTools

Say = Callable[[str], None]


def init(settings: Settings, say: Say, plugins: Plugins | None = None) -> int:
    """Make the ledger that the settings name. Returns the exit status."""
    for line in _tools(settings, plugins).init():
        say(line)
    return 0


def migrate(settings: Settings, say: Say, plugins: Plugins | None = None) -> int:
    """Bring the ledger forward to what this version knows."""
    for line in _tools(settings, plugins).migrate():
        say(line)
    return 0


def check(settings: Settings, say: Say, plugins: Plugins | None = None) -> int:
    """Say what is wrong with the ledger; status 1 when something is."""
    looked_at, wrong = _tools(settings, plugins).check()
    for line in (*looked_at, *wrong):
        say(line)
    if not wrong:
        say("the ledger adds up")
    return 1 if wrong else 0


def _tools(settings: Settings, plugins: Plugins | None) -> StoreTools:
    """Return the tools of the chosen store. `ConfigError` where it has none."""
    from ib_kernel.plugin.manager import Plugins

    found = plugins or Plugins()
    found.load()
    found.settings_values(settings)  # a mistake in a table is told before anything is built
    factory = found.catalog.store_tools.offered(settings.store)
    if factory is not None:
        return factory(settings)
    found.catalog.stores.get(settings.store)  # an unknown name is told, with what is installed
    raise ConfigError(
        f"the ledger {settings.store} needs no setting up: it is made and brought forward when it is opened "
        "(ib doctor looks at it); --store postgres names one that does"
    )
