"""A ledger on its way to another one: pieces of it as plain values, and who can read and write them.

Plugins do not know each other. One that reads hands out these values, and one that writes takes them, so that
a ledger moves between two of them through the core.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ib_kernel.values.reader import Reader


@dataclass(frozen=True, slots=True)
class LedgerRows:
    """Rows of one table: `columns` are their names, each row has its values in that order."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Moved:
    """What has come of moving a ledger.

    `rows` says how many rows of each table are there now, `apart` how many of them the target could not take
    and keeps in quarantine, `sessions` how many sessions were compared, `differences` one line for each that
    is not the same on both sides (empty: all is there).
    """

    rows: Mapping[str, int]
    apart: int = 0
    sessions: int = 0
    differences: tuple[str, ...] = ()


@runtime_checkable
class LedgerSource(Protocol):
    """A ledger that is read to be moved.

    Values are as they are stored: times in seconds since 1970, money in nano-dollars, flags as numbers or
    truth values, JSON as its text, hashes and links as bytes. Columns have the ledger's own names; a session
    is named by its ``session_key`` in every table, and ``sessions`` say which ids these are.
    """

    ledger_id: str
    """What tells this ledger from every other one."""

    place: str
    """Where it is, for people."""

    def running(self) -> int:
        """Return how many reservations are held by somebody who may yet settle them."""
        ...

    def history(self, after: Mapping[str, int]) -> Iterator[LedgerRows]:
        """Return rows that are never changed again, in the order of their ``seq``, in pieces.

        Args:
            after: By table, up to which ``seq`` they are known already.
        """
        ...

    def state(self) -> AbstractContextManager[LedgerSource]:
        """Return the ledger as it is at one moment, for as long as the context lasts."""
        ...

    def rest(self) -> Iterator[LedgerRows]:
        """Return everything that changes: sessions with their sums, reservations, what a host keeps."""
        ...

    def totals(self) -> Mapping[str, Mapping[str, Any]]:
        """Return each session's sums and the head of its chain, by its id, to be compared."""
        ...


@runtime_checkable
class LedgerTarget(Protocol):
    """A ledger that another one can be moved into."""

    def take(self, source: LedgerSource) -> Moved:
        """Take all of *source*, exactly once, also when an earlier try was killed.

        Raises:
            StoreError: This ledger has rows that are not *source*'s, or calls of *source* still run.
        """
        ...

    def usage_rows(self, *, reader: Reader | None = None) -> Iterator[LedgerRows]:
        """Return the documented tables as SQL shows them, at one moment, in pieces.

        Args:
            reader: Who asks (None: all there is may be read).
        """
        ...


@runtime_checkable
class UsageFormat(Protocol):
    """A kind of file in which a whole ledger can be asked without a server (`Catalog.add_usage_format`)."""

    def write(self, target: Path, tables: Iterable[LedgerRows]) -> None:
        """Write the documented tables (see `LedgerTarget.usage_rows`) and their views into a new file.

        Args:
            target: The file; it appears when it is whole.
            tables: The rows: times as naive UTC `datetime`, money as `Decimal`, JSON as text.

        Raises:
            StoreError: The file is there already, or cannot be written.
        """
        ...

    def connect(self, tables: Iterable[LedgerRows]) -> Any:
        """Return a read-only connection to a private copy of such a file, gone with its last reference."""
        ...

    def connect_tables(self, tables: Mapping[str, Any]) -> Any:
        """Return a connection in memory with *tables*, Arrow tables by name, such as those of a host."""
        ...

    def source(self, folder: Path) -> AbstractContextManager[LedgerSource]:
        """Open the ledger in *folder* to be moved. `StoreError` when there is none."""
        ...
