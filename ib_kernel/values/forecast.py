"""What the next turn would cost, before it is sent. Plain figures, so that they cross HTTP as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class NextTurn:
    """What sending a text now would take. All figures are in tokens.

    Attributes:
        prompt: The whole prompt, as it would be counted at sending: prompt, task, conversation and text.
        exact: Whether that count claims to be exact.
        new: What of it this turn adds: the text and its attachments.
        reply: How long the reply is expected to be.
        cap: How long it may be at the most.
        charged: What the turn is expected to charge.
        held: What is held of the budget while it runs; 0 where it would be refused.
        left: What is left of the budget now.
        turns_left: How many turns fit, this one included.
        history_from_turn: The conversation goes along from this turn on; None: all of it.
        refusal: The line that would refuse the turn; "" where it would be sent.
    """

    prompt: int
    exact: bool
    new: int
    reply: int
    cap: int
    charged: int
    held: int
    left: int
    turns_left: int
    history_from_turn: int | None = None
    refusal: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the figures by name, as JSON carries them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, figures: Mapping[str, Any]) -> NextTurn:
        """Return the value of what `to_json` gave; names that it does not know are left out.

        Args:
            figures: The figures by name.
        """
        known = {spec.name for spec in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in figures.items() if name in known})
