"""`Host`: what every part of the other side shares, and nothing that must outlive the process.

`Host.store` is the ledger with the tables of people, invitations and tokens (`HostStore`), `Host.service` the
budget, `Host.interview` an engine with one session in use.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_kernel.budget.access import acting_as
from ib_kernel.budget.service import TokenService
from ib_kernel.errors import BuddyError
from ib_kernel.evidence.hidden import HiddenChecks
from ib_kernel.evidence.work import Work
from ib_kernel.host.address import read_addresses
from ib_kernel.host.judging import Judges
from ib_kernel.host.pacing import Pacing
from ib_kernel.host.rates import RateLimit
from ib_kernel.host.repair import Repair
from ib_kernel.host.running import RunningTurns
from ib_kernel.host.sight import Sight
from ib_kernel.host.watch import Watch
from ib_kernel.host.written import Written
from ib_kernel.interview.interview import Interview
from ib_kernel.values.joining import JoinLine
from ib_kernel.values.version import VERSION

if TYPE_CHECKING:
    from ib_kernel.host.gateway import Gateway
    from ib_kernel.host.hub import Hub
    from ib_kernel.settings import Settings

__all__ = ["Host", "HostOptions"]

log = logging.getLogger(__name__)

OTHERS_S = 5.0
"""Seconds for which the other hosts of a ledger are taken for what they were."""

MOST_OTHERS = 7
"""Other hosts that a candidate is told."""

MOST_CHECKS = 2
"""Hidden checks that one process runs at once; the others wait."""


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How a host is reached.

    Attributes:
        address: What people type: scheme, name and port.
        listen: ``NAME:PORT`` or ``unix:PATH``.
        fingerprint: SHA-256 of a certificate that no authority has signed; "" otherwise.
        behind_proxy: Whether a proxy ends TLS.
        named_proxies: Their addresses where they were named.
        behind_hub: Whether the proxy of a JupyterHub passes requests on.
    """

    address: str = "http://127.0.0.1:8899"
    listen: str = "127.0.0.1:8899"
    fingerprint: str = ""
    behind_proxy: bool = False
    named_proxies: tuple[str, ...] = ()
    behind_hub: bool = False

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        """Addresses whose ``X-Forwarded-For`` is believed: the named ones, else this machine's own."""
        return self.named_proxies or ("127.0.0.1", "::1")

    @property
    def is_secure(self) -> bool:
        """Whether people reach it over TLS."""
        return self.address.startswith("https://")


@dataclass(eq=False)
class Host:
    """One process of the other side.

    Attributes:
        settings: What the engine goes by.
        service: The budget service; its store is the ledger.
        options: How the host is reached.
        clock: Returns the time in seconds since the epoch; a test may put another.
        version: The package's version.
        closing: Set when the host is asked to stop.
        hub: The JupyterHub whose service it is, if it is one.
        noticed: Sessions whose candidate is known to have seen the notice.
    """

    settings: Settings
    service: TokenService
    options: HostOptions = field(default_factory=HostOptions)
    clock: Callable[[], float] = time.time
    version: str = VERSION
    closing: threading.Event = field(default_factory=threading.Event)
    hub: Hub | None = None
    noticed: set[str] = field(default_factory=set, init=False)
    _others: tuple[tuple[str, ...], float] = field(default=((), 0.0), init=False)

    @property
    def store(self) -> Any:
        """The ledger; it is a `BudgetStore` and a `HostStore`."""
        return self.service.store

    @property
    def data_dir(self) -> Path:
        """The folder of the ledger."""
        return self.settings.data_dir

    @functools.cached_property
    def secret(self) -> bytes:
        """The ledger's secret: what tokens and keyed hashes are made with."""
        secret: bytes = self.store.host_secret()
        return secret

    @functools.cached_property
    def sight(self) -> Sight:
        """What candidates may see."""
        return Sight(self)

    @functools.cached_property
    def work(self) -> Work:
        """Checks and hints, with the private parts of challenges."""
        return Work(self.store, self.sight.given, checks=HiddenChecks(), place="host")

    @functools.cached_property
    def checking(self) -> asyncio.Semaphore:
        """How many hidden checks run at once: somebody's code takes a processor each."""
        return asyncio.Semaphore(MOST_CHECKS)

    @functools.cached_property
    def turns(self) -> RunningTurns:
        """The turns that this process reads."""
        return RunningTurns(self)

    @functools.cached_property
    def repair(self) -> Repair:
        """What becomes of the turns of processes that are gone."""
        return Repair(self)

    @functools.cached_property
    def watch(self) -> Watch:
        """Who hears of changes in the ledger."""
        return Watch(self)

    @functools.cached_property
    def join_limits(self) -> RateLimit:
        """How often somebody may try a code or a link."""
        return RateLimit()

    @functools.cached_property
    def candidate_limits(self) -> RateLimit:
        """How often a candidate may ask for anything: a session is busy with a few requests a second."""
        return RateLimit(1_200, 600, all_per_minute=10**9)

    @functools.cached_property
    def written(self) -> Written:
        """How much each session has written beside turns."""
        return Written(self.store)

    @functools.cached_property
    def engine(self) -> Interview:
        """The engine that all sessions of this host share: one loop, one client of each kind."""
        engine = Interview(self.settings, service=self.service, hosted=True)
        engine.share(self.pacing, self.pacing.retries)
        return engine

    @functools.cached_property
    def pacing(self) -> Pacing:
        """The queue before the service: one key, many candidates."""

        def credit(session_id: str, seconds: float, reason: str) -> None:
            self.store.credit_time(session_id, seconds, reason, "host", ending_now=True)

        return Pacing(self.settings, credit)

    @functools.cached_property
    def gateway(self) -> Gateway:
        """What the calls of the candidates' own tools share."""
        from ib_kernel.host.gateway import Gateway

        return Gateway(self)

    @functools.cached_property
    def judges(self) -> Judges:
        """The judges that are asked in the background."""
        return Judges(self)

    def interview(self, session_id: str) -> Interview:
        """Return the engine with *session_id* in use; cheap, and nothing of it needs closing."""
        return self.engine.beside(session_id)

    def warm_up(self) -> None:
        """Load what the first turn would wait for: a tokenizer's table, the client and its library.

        Together they take a second of a core, and a host whose neighbour has died is asked by all at once.
        """
        try:
            self.service.count_tokens("ready")
            client = self.engine.client(self.settings.client_name)
            prepare = getattr(client, "prepare", None)
            if prepare is not None and not self.closing.is_set():
                self.engine.call(prepare())
        except Exception as error:  # noqa: BLE001 - the first turn says what is wrong, to whoever asks it
            log.debug("nothing was loaded ahead: %s", error)

    def announce(self) -> None:
        """Say in the ledger that a host runs at this address, where the ledger is one that hosts share."""
        announce = getattr(self.store, "announce_host", None)
        if announce is not None:
            announce(self.options.address, self.options.fingerprint)

    def withdraw(self) -> None:
        """Say that it does not run any more."""
        withdraw = getattr(self.store, "withdraw_host", None)
        if withdraw is not None:
            with contextlib.suppress(BuddyError):
                withdraw(self.options.address)

    def others(self) -> tuple[str, ...]:
        """Return where else candidates of this ledger may go, each as the host's part of a join line.

        A hub's candidates go through the hub, which has one address.
        """
        if self.hub is not None:
            return ()
        found, until = self._others
        if time.monotonic() >= until:
            found = self._other_hosts()
            self._others = (found, time.monotonic() + OTHERS_S)
        return found

    def _other_hosts(self) -> tuple[str, ...]:
        listed = getattr(self.store, "hosts", None)
        known: list[Any] = list(listed()) if listed is not None else list(read_addresses(self.data_dir))
        lines = {h.address: JoinLine("", h.address, h.fingerprint).text() for h in known}
        lines.pop(self.options.address, None)
        return tuple(sorted(lines.values())[:MOST_OTHERS])

    def end_session(self, session_id: str, who: str) -> None:
        """End a session and what runs in it.

        Raises:
            SessionInactive: It has ended already.
        """
        with acting_as(who):
            self.service.complete(session_id)

    def estimate(self, session_id: str, text: str, max_tokens: int | None = None) -> dict[str, Any]:
        """Return what the next turn would take, as `NextTurn` says it."""
        return self.interview(session_id).estimate(text, max_tokens=max_tokens).to_json()

    def close(self) -> None:
        """Close the engine and the ledger."""
        if "judges" in self.__dict__:
            self.judges.close()
        if "engine" in self.__dict__:
            self.engine.close()
        self.service.close()
