"""What the parts of `TokenService` share: the settings, the plugins, the ledger and who acts."""

from __future__ import annotations

import functools
import getpass
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Concatenate, ParamSpec, TypeVar

from ib_kernel.budget.scrubbed import scrubbed
from ib_kernel.plugin.events import SessionChanged
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import BudgetStore, Session

log = logging.getLogger(__name__)

Part = TypeVar("Part")
P = ParamSpec("P")
R = TypeVar("R")

_actor: ContextVar[str] = ContextVar("ib_actor", default="")


class LedgerAccess:
    """One ledger, opened at first use, unless a *store* is handed in: then its giver closes it."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plugins: Plugins | None = None,
        store: BudgetStore | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.plugins = plugins or Plugins()
        self._store, self._owned = None if store is None else scrubbed(store), store is None
        self._lock = threading.RLock()

    @property
    def store(self) -> BudgetStore:
        """The ledger; what is written to it passes the scrubber."""
        store = self._store
        if store is not None:  # each call of a gateway asks several times
            return store
        with self._lock:
            if self._store is None:
                self._store = scrubbed(self.plugins.store(self.settings))
            return self._store

    def close(self) -> None:
        """Close the ledger if it was opened here."""
        if self._owned and self._store is not None:
            self._store.close()

    def changed(self, session: Session, change: str) -> Session:
        """Notify the log and observers that a session has changed; return it."""
        log.info("session %s: %s", session.session_id, change)
        self.plugins.notify("ib_session_changed", SessionChanged(session, change))
        return session


def forward(part: str, method: Callable[Concatenate[Part, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Return a method that calls *method* of the object's attribute *part*, with its name and docstring."""

    @functools.wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(getattr(self, part), *args, **kwargs)

    return call


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Record what is done within the block under *name*, in this thread or task only.

    A host serves several people with one ledger; without this, changes are recorded under the system's user.

    Args:
        name: The person's name.
    """
    before = _actor.set(name)
    try:
        yield
    finally:
        _actor.reset(before)


def actor() -> str:
    """Return whose name a change is recorded under: that of `acting_as`, or the system's user."""
    return _actor.get() or default_candidate()


def default_candidate() -> str:
    """Return the system's user name, or "candidate" where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "candidate"
