"""A client-side hard stop: a reply ends at its cap, whatever the server does."""

from __future__ import annotations

from collections.abc import Callable


class ReplyTruncator:
    """Follows a reply piece by piece and cuts it at *cap* tokens; `full` tells that it did.

    Pieces are counted one by one, which overestimates; when that sum passes the cap, the whole text is
    counted once, and only its true count decides.
    """

    def __init__(self, cap: int, count: Callable[[str], int]) -> None:
        self.full = False
        self._cap, self._count = cap, count
        self._sum = 0
        self._pieces: list[str] = []

    def take(self, piece: str) -> str:
        """Return the part of a piece that fits under the cap.

        Args:
            piece: The next piece of the reply.
        """
        self._sum += self._count(piece)
        if self._sum > self._cap:
            before = "".join(self._pieces)
            self._sum = self._count(before + piece)
            if self._sum > self._cap:
                self.full = True
                piece = self._longest_fitting(before, piece)
        self._pieces.append(piece)
        return piece

    def _longest_fitting(self, before: str, piece: str) -> str:
        low, high = 0, 16 * (self._cap + 1)
        while high < len(piece) and self._count(before + piece[:high]) <= self._cap:
            low, high = high, 4 * high
        high = min(high, len(piece))
        while low < high:
            middle = (low + high + 1) // 2
            fits = self._count(before + piece[:middle]) <= self._cap
            low, high = (middle, high) if fits else (low, middle - 1)
        return piece[:low]
