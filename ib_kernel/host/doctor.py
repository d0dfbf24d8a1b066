"""`ib doctor`: what the interviewer's side would ask first, one line each; the page shows the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_kernel.errors import BuddyError
from ib_kernel.evidence.sandbox import Sandbox
from ib_kernel.host.address import read_addresses
from ib_kernel.host.people import present

if TYPE_CHECKING:
    from ib_kernel.host.host import Host


def report(host: Host) -> list[str]:
    """Return what is so, and what is wrong, one line each."""
    settings = host.settings
    key = "is set" if settings.api_key is not None else "is not set"
    lines = [
        f"version {host.version}",
        f"client {settings.client_name}, model {settings.model}; an API key {key}",
        f"ledger {host.store.location()}",
        f"address {_address(host)}",
        f"people {', '.join(f'{p.name} ({p.role})' for p in present(host)) or 'none yet: ib host adds you'}",
    ]
    try:
        lines += [f"ledger's server: {line}" for line, _ in about_server(host)]
        problems = host.store.check()
    except BuddyError as error:
        problems = [str(error)]
    lines.append(f"hidden checks: {Sandbox().state()}")
    return [*lines, *(f"ledger: {line}" for line in problems or ["adds up"])]


def about_server(host: Host) -> list[tuple[str, bool]]:
    """Return what the ledger says of its server, each line with whether it is well so; nothing of a file."""
    about = getattr(host.store, "about", None)
    return list(about()) if about is not None else []


def _address(host: Host) -> str:
    listed = getattr(host.store, "hosts", None)
    known = list(listed()) if listed is not None else []
    running = [one.address for one in known] or [one.address for one in read_addresses(host.data_dir)]
    return ", ".join(running) or f"none: no host runs on {host.data_dir}"
