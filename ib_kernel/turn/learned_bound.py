"""How large a prompt is for a model whose tokenizer we do not know: learned from what its service reports.

Without rules the only safe bound of a prompt is its bytes, four or five times what it is billed as. The
usage that the service reported earlier in the same session, for the same model, says how its tokens relate
to our reference count: from the second report on the bound follows that. Nothing is kept here; what was
reported stands in the ledger's rows. Counters stay as they are (docs/decisions/0012).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ib_kernel.errors import StoreError
from ib_kernel.models.limits import ModelInfo
from ib_kernel.values import Count, Spent

RECENT = 8
"""Reports that are looked at, the newest: prompts grow, so these are the largest and the most alike."""
ENOUGH = 2
"""Reports from which on the bound follows them: one alone may be an exception."""
MARGIN = 0.02
"""What the bound has beyond the largest ratio, as a share of the prompt; our decision, 2026-11."""
NEW = 0.25
"""The same of what the prompt has beyond the newest report: nobody has counted that part yet."""
FIXED = 16
"""The same in tokens, for short prompts."""
LEAST = 0.5
"""The bound is never below this part of the reference count, whatever was reported."""
UNSEEN = 1.5
"""Where the bytes do not fit the model and nothing was reported yet: the bound as a multiple of the count.
The vocabularies of current open models need up to 1.3 tokens for one of ours on English text and code."""


@dataclass(frozen=True, slots=True)
class LearnedBound:
    """What earlier reports of a session and model say about the next prompt.

    Args:
        reports: (reference count, reported prompt) pairs in tokens, oldest first; only believed figures.
    """

    reports: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, spent: Iterable[Spent], model: str) -> LearnedBound:
        """Return what settled attempts teach about a model.

        Only rows whose figures all came from the service teach: what we counted ourselves says nothing
        new, and figures that were rejected are not the service's any more.

        Args:
            spent: The session's settled attempts, oldest first.
            model: The model as it was asked for.
        """
        found = [
            (row.counted_tokens, row.input_tokens)
            for row in spent
            if row.source == "api" and row.model == model and row.counted_tokens and row.input_tokens > 0
        ]
        return cls(tuple(found[-RECENT:]))

    @classmethod
    def read(cls, store: Any, session_id: str, model: str) -> LearnedBound:
        """Return what a ledger has about the session; nothing, if it does not offer the optional ``spent``.

        Args:
            store: The ledger.
            session_id: The session.
            model: The model as it was asked for.
        """
        spent = getattr(store, "spent", None)
        try:
            return cls.of(spent(session_id), model) if spent is not None else cls()
        except (StoreError, TypeError):  # not readable at this moment: the wider bound is true as well
            return cls()

    @property
    def learned(self) -> bool:
        """Whether there are enough reports to follow."""
        return len(self.reports) >= ENOUGH

    def ratio(self) -> float:
        """Return the largest recent ratio of reported to counted tokens.

        Reports of prompts that are less than half as large as the largest are left out while there are
        others: what the service adds to every prompt weighs more in them.
        """
        largest = max((counted for counted, _ in self.reports), default=0)
        return max(
            (reported / counted for counted, reported in self.reports if 2 * counted >= largest), default=1.0
        )

    def upper(self, count: Count) -> int | None:
        """Return the bound of a prompt in tokens; its own until enough is known.

        Args:
            count: The counter's count of the prompt.
        """
        if not self.learned or count.upper is None:
            return count.upper
        ratio, (counted, reported) = self.ratio(), self.reports[-1]
        whole = count.tokens * ratio * (1 + MARGIN)
        grown = reported + (count.tokens - counted) * ratio * (1 + NEW) if count.tokens > counted else 0.0
        return max(math.ceil(max(whole, grown)) + FIXED, math.ceil(count.tokens * LEAST))

    def estimate(self, count: Count) -> int:
        """Return what the prompt is charged as when its usage is missing, in tokens.

        The truth if the count is exact; otherwise what the newest report says of this count, within the
        bound; before any report the count times `UNSEEN`, which is dear but not the bytes.

        Args:
            count: The counter's count of the prompt.
        """
        if count.exact or not count.by_bytes:
            return count.tokens if count.exact or count.upper is None else count.upper
        if self.reports:
            counted, reported = self.reports[-1]
            return max(1, math.ceil(count.tokens * max(reported / counted, LEAST)))
        unseen = math.ceil(count.tokens * UNSEEN)
        return unseen if count.upper is None else min(unseen, count.upper)

    def applied(self, count: Count, model: ModelInfo, reply: int) -> Count:
        """Return *count* with the bound that admission should use.

        Args:
            count: The counter's count of the prompt.
            model: The limits of the model it is for.
            reply: The least reply that the turn must have room for, in tokens.

        Returns:
            The count itself where rules know the model; else the same tokens with the learned bound. Where
            that does not fit the model, its margins give way to the window, down to the learned ratio
            itself: a prompt that is too long after all is refused by the service and not billed. While
            nothing is learned, bytes that do not fit give way to `UNSEEN` times the tokens.
        """
        if not count.by_bytes or count.upper is None:
            return count
        upper = self.upper(count) or count.upper
        room = model.context_window - reply
        room = room if model.max_input is None else min(room, model.max_input)
        if upper > room:
            ratio = max(self.ratio(), LEAST) if self.learned else UNSEEN
            upper = min(upper, max(math.ceil(count.tokens * ratio), room if self.learned else 0))
        return dataclasses.replace(count, upper=upper)


def how_counted(count: Count, reports: Sequence[tuple[int, int]] = ()) -> str:
    """Return in a few words how prompts are counted: by exact rules, as an estimate, learned, or by bytes.

    Args:
        count: A count of a prompt for the model.
        reports: (reference count, reported prompt) pairs in tokens, oldest first.
    """
    if count.exact:
        return "exact rules"
    if not count.by_bytes:
        return "rules, with a margin"
    learned = LearnedBound(tuple(reports))
    return f"reference × {learned.ratio() * (1 + MARGIN):.2f}, learned" if learned.learned else "bytes"
