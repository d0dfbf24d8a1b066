"""Where the hosts of one interview are: the one that is asked, and those to go on at when it is away.

Several hosts may serve one ledger. A host tells its candidates of the others; which of them answers makes no
difference, because all that counts stands in the ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from ib_kernel.errors import ConfigError
from ib_kernel.values.joining import is_loopback, parse_join

MOST = 8
"""Hosts that are kept in mind."""

LONGEST = 500
"""Characters of what tells of one."""


@dataclass(frozen=True, slots=True)
class Place:
    """One host: its address and its certificate's SHA-256 ("": signed by a known authority)."""

    address: str
    fingerprint: str = ""

    @property
    def is_here(self) -> bool:
        """Whether that is this machine."""
        return is_loopback(urlsplit(self.address).hostname or "")


class Places:
    """The hosts of one interview; `now` is the one to ask. Safe from several threads.

    Args:
        first: The host that was joined.
        others: What it, or an earlier session, has told of others.
    """

    def __init__(self, first: Place, others: Iterable[object] = ()) -> None:
        self._lock = threading.Lock()
        self._places = [first]
        self._at = 0
        self.learn(others)

    @property
    def now(self) -> Place:
        """The host that is asked."""
        with self._lock:
            return self._places[self._at]

    def __len__(self) -> int:
        with self._lock:
            return len(self._places)

    def others(self) -> tuple[str, ...]:
        """Return the hosts beside the one that was joined, as `learn` takes them."""
        with self._lock:
            return tuple(_text(place) for place in self._places[1:])

    def learn(self, told: object) -> bool:
        """Take note of what a host tells of others; return True if there was anything new.

        What it tells is somebody else's text: what is no address is passed over, and a host far away names
        nothing on this machine.
        """
        new = False
        for text in list(told)[:MOST] if isinstance(told, (list, tuple)) else []:
            place = _parsed(text)
            with self._lock:
                known = {one.address for one in self._places}
                if place is None or place.address in known or len(known) >= MOST:
                    continue
                if place.is_here and not self._places[0].is_here:
                    continue
                self._places.append(place)
                new = True
        return new

    def leave(self, place: Place) -> bool:
        """Go on at the next host if *place* is the one that is asked; False where there is no other."""
        with self._lock:
            if self._places[self._at] == place:
                self._at = (self._at + 1) % len(self._places)
            return len(self._places) > 1


def _parsed(text: object) -> Place | None:
    if not isinstance(text, str) or len(text) > LONGEST or "@" in text or "://" not in text:
        return None
    try:
        line = parse_join(text)
    except ConfigError:
        return None
    return Place(line.address, line.fingerprint)


def _text(place: Place) -> str:
    return f"{place.address}#sha256={place.fingerprint}" if place.fingerprint else place.address
