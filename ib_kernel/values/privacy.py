"""What a ledger must do for the people whose rows it has: show all of them, and erase them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ib_kernel.values.erasure import Erasure


@dataclass(frozen=True, slots=True)
class KnownSession:
    """A session as one has to know it to find a person's: also one whose hot row is gone.

    `about` is the session that this one is about (a judge's), "" for none; times are seconds since 1970.
    """

    session_id: str
    candidate: str
    external_id: str
    status: str
    created_at: float
    keep_until: float | None = None
    about: str = ""


@runtime_checkable
class PrivacyStore(Protocol):
    """What `ib export`, `ib erase` and `ib retention` need of a ledger."""

    def known_sessions(self) -> list[KnownSession]:
        """Return every session that has rows anywhere, newest first."""
        ...

    def rows_about(self, session_ids: Sequence[str]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
        """Return all rows of some sessions, table by table, as JSON-able values by column.

        Codes and tokens are not among them: not even their hashes say anything about the person.
        """
        ...

    def erase(self, session_ids: Sequence[str], *, who: str = "") -> Erasure:
        """Erase the person from some sessions: afterwards no file of the ledger has their name or a text.

        Sums, times and figures stay; a pseudonym stands in place of the name, an event "erased" is recorded,
        and `verify` says that the texts were erased. A process that is killed meanwhile leaves an erasure
        that `resume_erasures` finishes.

        Args:
            session_ids: The sessions; none of them may be going on.
            who: Who erases, for the event.

        Raises:
            UnknownSession: There is no such session.
            SessionInactive: One of them is going on, or a call of it is; nothing was changed.
            StoreBusy: Another program has a file open that must be written anew; the line names it.
        """
        ...

    def resume_erasures(self) -> Erasure | None:
        """Finish the erasures that were begun and not finished; None where there is none. As `erase`."""
        ...
