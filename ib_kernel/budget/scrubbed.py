"""The ledger behind the scrubber: whatever is written to it has no key in it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ib_kernel.secrets import holds_no_key, scrub_value
from ib_kernel.values.ledger import Reservation

if TYPE_CHECKING:
    from ib_kernel.values import BudgetStore

WRITES = frozenset(
    {"open_session", "set_status", "set_budget", "extend_budget", "set_time_limit", "reserve", "settle"}
    | {"settle_turn"}
    | {"release", "mark_unresolved", "resolve", "write_off", "charge", "add_event"}
    | {
        "write_reply",
        "close_request",
        "add_message",
        "credit_time",
        "add_cell",
        "add_check",
        "add_score",
        "keep_challenge",
    }
)
"""The store's methods that write what somebody has said; a test compares them with the protocol. Their
namesakes for event loops (``asettle``, …) write the same."""


_REPEATED = frozenset({"reserve", "areserve"})
"""Those of them that write names only, the same ones for each attempt of a session."""


class ScrubbedStore:
    """A store that hides keys in every text it is given to write, and else is the store it wraps.

    A reservation is none of them: it was read from the store, and only tells which one is meant.
    """

    def __init__(self, store: BudgetStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in WRITES and not (name[0] == "a" and name[1:] in WRITES):
            return found

        repeats = name in _REPEATED

        @functools.wraps(found)
        def write(*args: Any, **kwargs: Any) -> Any:
            given = (*[arg for arg in args if type(arg) is not Reservation], *kwargs.values())
            if holds_no_key(given, repeats=repeats):  # nearly always
                return found(*args, **kwargs)
            clean = (arg if isinstance(arg, Reservation) else scrub_value(arg) for arg in args)
            return found(*clean, **{key: scrub_value(value) for key, value in kwargs.items()})

        self.__dict__[name] = write  # found here from now on
        return write

    def __repr__(self) -> str:
        return repr(self._store)


class _Member:
    """A name that the store has, found on the wrapper's class."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, wrapper: ScrubbedStore | None, owner: type) -> Any:
        return self if wrapper is None else wrapper.__getattr__(self._name)


@functools.cache
def _wrapper(names: frozenset[str]) -> type[ScrubbedStore]:
    """Return a class of wrappers that has these names: what else `isinstance` asks of them with a protocol.

    From Python 3.12 on such a question is answered by what is on the object and its class, without
    `__getattr__`: a ledger that moves (`LedgerTarget`) would be none behind the scrubber.
    """
    return type("ScrubbedStore", (ScrubbedStore,), {name: _Member(name) for name in names})


def scrubbed(store: BudgetStore) -> BudgetStore:
    """Return *store* behind the scrubber; one that is there already is returned as it is."""
    if isinstance(store, ScrubbedStore):
        return store
    return _wrapper(frozenset(name for name in dir(store) if not name.startswith("_")))(store)
