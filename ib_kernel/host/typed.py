"""What the commands of `ib` share: the ledger they are about, what they print, and a question first."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.settings import Settings


def say(line: str) -> None:
    """Print one line for the person who typed the command."""
    print(line, flush=True)  # noqa: T201


def require_yes(given: argparse.Namespace, question: str) -> None:
    """Go on only after a yes, by ``--yes`` or typed. `ConfigError` where nobody can be asked, or says no."""
    if given.yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("nothing was done: there is nobody to ask here; add --yes")
    if input(f"{question} Type yes: ").strip().lower() != "yes":
        raise ConfigError("nothing was done")


def say_all(lines: Iterable[str]) -> None:
    """Print lines for the person who typed the command."""
    for line in lines:
        say(line)


def able(store: Any, name: str) -> Any:
    """Return what a ledger can do where its plugin offers it. `ConfigError` where it does not."""
    found = getattr(store, name, None)
    if found is None:
        raise ConfigError(f"the ledger {store.name} has no {name} of its own; use its own tools")
    return found


@contextlib.contextmanager
def opened(given: argparse.Namespace, *, running: bool = True) -> Iterator[Host]:
    """Open the ledger beside a host that may run; *running*: one has to, because its address is needed."""
    from ib_kernel.budget.service import TokenService
    from ib_kernel.host.address import read_address
    from ib_kernel.host.host import Host, HostOptions

    settings = settings_of(given)
    options = HostOptions()
    if running:
        where = read_address(settings.data_dir)
        options = HostOptions(where.address, fingerprint=where.fingerprint)
    host = Host(settings, TokenService(settings), options)
    try:
        yield host
    finally:
        host.close()


def settings_of(given: argparse.Namespace) -> Settings:
    """Return the settings with what the command line names."""
    from ib_kernel.settings import Settings

    return Settings().replace("ib", data_dir=given.data, store=given.store)
