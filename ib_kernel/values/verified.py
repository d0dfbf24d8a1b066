"""Recomputing a session's hash chain from its rows, wherever they are kept (see `ib_kernel.values.chain`)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ib_kernel.values import chain, erasure

_ERASED = ("", None, "{}", "[]", "null")
"""What stands in place of a text that was erased."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was recomputed: how many sessions and rows, how many rows were erased, and what differs."""

    sessions: int = 0
    rows: int = 0
    erased: int = 0
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkedRow:
    """A row as it was found: where (`place`), and its values in the order and units of `chain.FIELDS`.

    `seq` is its number in its table, `session_id` what the row itself says (None: it does not), `texts` its
    personal texts. `link_n` and `link` are None for a row that is older than the chain.
    """

    table: str
    seq: int
    place: str
    values: Sequence[Any]
    texts: Sequence[str | None] = ()
    salt: bytes | None = None
    commitment: bytes | None = None
    link_n: int | None = None
    link: bytes | None = None
    session_id: str | None = None

    @property
    def named(self) -> str:
        """How a difference names the row."""
        return f"row {self.seq} of {self.table} in {self.place}"

    @property
    def erased(self) -> bool:
        """Return True if the row's text was erased as it should be: only the commitment is left."""
        gone = all(text in _ERASED for text in self.texts)
        return bool(self.texts) and self.salt is None and self.commitment is not None and gone

    def follows(self, previous: bytes) -> bool:
        """Return True if the row's link is what follows from *previous* and the row."""
        return self.is_whole and chain.link(previous, self.canonical()) == self.link

    def canonical(self) -> bytes:
        """Return the row's canonical bytes as it is now."""
        committed = None
        if self.texts:
            committed = self.commitment if self.salt is None else chain.commitment(self.salt, self.texts)
        return chain.canonical(self.table, self.values, committed)

    @property
    def is_whole(self) -> bool:
        """Return True if the row has its texts and their salt, or was erased as it should be."""
        return not self.texts or self.erased or (self.salt is not None and self.commitment is None)

    def is_sealed(self, seals: Collection[str]) -> bool:
        """Return True if an erasure vouches for the row as it is now."""
        return bool(seals) and self.is_whole and erasure.seal(self.link or b"", self.canonical()) in seals


@dataclass(slots=True)
class SessionChain:
    """One session's chain, to be recomputed: what its row keeps, and all rows that were found of it."""

    session_id: str
    count: int
    head: bytes | None
    rows: Iterable[LinkedRow]
    seen: int = 0
    erased: int = 0
    _seals: dict[int, set[str]] = field(default_factory=dict)
    _by_number: dict[int, list[LinkedRow]] = field(default_factory=lambda: defaultdict(list))
    _older: list[LinkedRow] = field(default_factory=list)

    def difference(self) -> str | None:
        """Return one line about the first row that differs; None when every link follows."""
        for row in self.rows:
            self.seen += 1
            if row.link_n is None or row.link is None:
                self._older.append(row)
            else:
                self._by_number[row.link_n].append(row)
                self._note_seals(row)
        found = self._walk() or self._outside()
        return None if found is None else f"session {self.session_id}: {found}"

    def _note_seals(self, row: LinkedRow) -> None:
        """Remember what an erasure vouches for; its event is a link of the chain like any other row."""
        if row.table != "events" or row.values[0] != erasure.EVENT or not row.texts[0]:
            return
        with suppress(ValueError, TypeError, AttributeError):  # the walk will name it
            for number, seal in json.loads(row.texts[0]).get("seals", {}).items():
                self._seals.setdefault(int(number), set()).add(str(seal))

    def _walk(self) -> str | None:
        previous: bytes | None = chain.first(self.session_id)
        last: dict[str, int] = {}
        for number in range(1, self.count + 1):
            rows = self._by_number.get(number)
            if not rows:
                return f"link {number} of {self.count} is missing"
            for row in rows:
                problem = self._problem(row, rows[0], previous, last)
                if problem:
                    return f"{row.named} {problem} (link {number} of {self.count})"
            last[rows[0].table] = rows[0].seq
            self.erased += any(row.erased or row.is_sealed(self._seals.get(number, ())) for row in rows)
            previous = rows[0].link
        if self.count and previous != self.head:
            return "its newest link is not the head that the session keeps"
        return None

    def _problem(
        self, row: LinkedRow, first: LinkedRow, previous: bytes | None, last: Mapping[str, int]
    ) -> str:
        if (row.table, row.seq) != (first.table, first.seq):
            return "has the place of another row in the chain"
        if row.session_id not in (None, self.session_id):
            return "says that it is another session's"
        if row.seq <= last.get(row.table, 0):
            return "is not in the order in which rows were written"
        followed = previous is not None and row.follows(previous)
        if not followed and not row.is_sealed(self._seals.get(row.link_n or 0, ())):
            return "differs from what was written"
        return ""

    def _outside(self) -> str | None:
        """Return what is wrong with rows beyond the head, or without a link."""
        beyond = [number for number in self._by_number if not 1 <= number <= self.count]
        if beyond:
            return f"{self._by_number[min(beyond)][0].named} is beyond the head that the session keeps"
        until = self._until()
        for row in self._older:
            if row.seq > until.get(row.table, 0):
                return f"{row.named} is not in the chain"
        return None

    def _until(self) -> Mapping[str, int]:
        """Return, by table, up to where rows are older than the chain: its first link says so."""
        for row in self._by_number.get(1, ()):
            if row.table == "events" and row.values[0] == "chain_began" and row.texts[0]:
                marks = json.loads(row.texts[0]).get("until", {})
                return {str(name): int(seq) for name, seq in marks.items()}
        return {}
