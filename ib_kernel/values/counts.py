"""What a counter answers, and what it must do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Count:
    """How many prompt tokens something costs.

    `tokens` is the best estimate. `exact` says that it is the truth as far as is known. `upper` is meant
    never to be below the truth and is what gets reserved: `tokens` when exact, or a few more where counts
    of this kind were short before; None means that no bound exists offline.
    `reason` says in a few words why a count is not exact ("" when it is). `constructs` names what the
    request is made of, for counters that keep evidence for each ("tool enum", "user message", …).
    `by_bytes` says that `upper` is only the bytes of the request: the model's tokenizer is not known.
    """

    tokens: int
    exact: bool = True
    upper: int | None = None
    reason: str = ""
    constructs: tuple[str, ...] = ()
    by_bytes: bool = False

    def __post_init__(self) -> None:
        if self.exact and self.upper is None:
            object.__setattr__(self, "upper", self.tokens)


@runtime_checkable
class TokenCounter(Protocol):
    """Counts tokens offline. Pure, thread-safe, never raises for any text or request shape."""

    name: str

    def count_text(self, text: str, model: str) -> Count:
        """Count the tokens of *text* as *model* sees it, special-token text as ordinary text."""
        ...

    def count_request(self, request: Mapping[str, Any], model: str) -> Count:
        """Count the prompt tokens of a request body: ``messages`` (chat) or ``input`` (responses)."""
        ...
