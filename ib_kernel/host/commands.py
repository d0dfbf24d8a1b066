"""What each command of `ib` does, given what was typed. Each returns the exit status."""

from __future__ import annotations

import argparse
import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.settings import Settings

_DETAILS = (
    "candidate", "candidate_id", "level", "challenge", "token_budget", "budget_usd", "minutes", "model",
    "client", "persona", "charge", "accommodation",
)  # fmt: skip


def host(given: argparse.Namespace) -> int:
    """Run the host until it is asked to stop."""
    from ib_kernel.host.serve import Serving, listen_of, run

    if given.access_log:
        logging.getLogger("ib_kernel.host.access").setLevel(logging.INFO)
    serving = Serving(
        listen_of(given.listen, hub=given.hub), given.url, given.tls_cert, given.tls_key, given.behind_proxy,
        given.hub, given.workers, tuple(given.proxy),
    )  # fmt: skip
    return run(settings_of(given), serving, say)


def say(line: str) -> None:
    """Print one line for the person who typed the command."""
    print(line, flush=True)  # noqa: T201


def invite(given: argparse.Namespace) -> int:
    """Invite a candidate and print the one line to send."""
    details = {name: getattr(given, name) for name in _DETAILS if getattr(given, name) is not None}
    if given.host:
        from ib_kernel.remote.desk import Desk

        desk = Desk.from_environment(given.host, settings_of(given))
        details |= {"gateway": given.gateway, "hours": given.hours}
        say(desk.readmit(given.session, **details) if given.session else desk.invite(given.role, **details))
        return 0
    from ib_kernel.budget.access import default_candidate
    from ib_kernel.host.invite import find_session_id, invite, readmit

    with _ledger(given) as host:
        who = default_candidate()
        if given.session:
            if details or given.role:
                raise ConfigError("--session readmits into a session as it is; leave the rest out")
            session_id, gateway = find_session_id(host, given.session), True if given.gateway else None
            made = readmit(host, who, session_id, gateway=gateway, hours=given.hours)
        else:
            made = invite(host, who, gateway=given.gateway, hours=given.hours, role=given.role, **details)
        say(made.line)
    return 0


def link(given: argparse.Namespace) -> int:
    """Print a new link to the interviewer's page."""
    from ib_kernel.host.people import find_person, first_person, new_link

    with _ledger(given) as host:
        person = find_person(host, given.name) if given.name else first_person(host)
        say(new_link(host, person, host.options.address))
    return 0


def people(given: argparse.Namespace) -> int:
    """List, add or remove people of the interviewer's side."""
    from ib_kernel.budget.access import default_candidate
    from ib_kernel.host.people import add_person, find_person, new_link, present

    if given.action != "list" and not given.name:
        raise ConfigError(f"ib interviewer {given.action} needs a NAME")
    with _ledger(given, running=given.action == "add") as host:
        if given.action == "add":
            person = add_person(host, given.name, given.role)
            say(f"{person.name} ({person.role}): {new_link(host, person, host.options.address)}")
        elif given.action == "remove":
            host.store.remove_person(find_person(host, given.name).name, default_candidate())
            say(f"{given.name} is out, with every token and link")
        else:
            for person in present(host):
                say(f"{person.name} ({person.role})")
    return 0


def challenge(given: argparse.Namespace) -> int:
    """Make, lint, probe or pack a challenge; no host and, but for a probe, no ledger is needed."""
    from ib_kernel.host import challenges

    status: int = getattr(challenges, given.action)(given, say)
    return status


def verify(given: argparse.Namespace) -> int:
    """Recompute the chain; status 1 where something does not agree."""
    from ib_kernel.host.invite import find_session_id
    from ib_kernel.host.verify import verify

    with _ledger(given, running=False) as host:
        session_id = find_session_id(host, given.session) if given.session else None
        problems = verify(host, session_id)
        for line in problems:
            say(line)
        if not problems:
            say("the chain and what was sent agree")
    return 1 if problems else 0


def backup(given: argparse.Namespace) -> int:
    """Copy the ledger into a new folder, while a host goes on."""
    with _ledger(given, running=False) as host:
        files = _able(host.store, "backup")(given.folder)
        for name, sha in sorted(files.items()):
            say(f"{sha}  {name}")
        say(f"the ledger is backed up in {given.folder}; ib restore {given.folder} brings it back")
    return 0


def restore(given: argparse.Namespace) -> int:
    """Bring a backup back into a ledger that is new."""
    with _ledger(given, running=False) as host:
        _able(host.store, "restore")(given.folder)
        say(f"{host.data_dir} has what {given.folder} had")
    return 0


def _able(store: Any, name: str) -> Any:
    """Return what a ledger can do where its plugin offers it. `ConfigError` where it does not."""
    found = getattr(store, name, None)
    if found is None:
        raise ConfigError(f"the ledger {store.name} has no {name} of its own; use its own tools")
    return found


def doctor(given: argparse.Namespace) -> int:
    """Print settings, the host's address and the ledger's health."""
    from ib_kernel.host.doctor import report

    with _ledger(given, running=False) as host:
        for line in report(host):
            say(line)
    return 0


@contextlib.contextmanager
def _ledger(given: argparse.Namespace, *, running: bool = True) -> Iterator[Host]:
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
