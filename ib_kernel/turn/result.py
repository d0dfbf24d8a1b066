"""How a turn ended: what whoever asked gets."""

from __future__ import annotations

from dataclasses import dataclass

from ib_kernel.models.limits import ModelInfo
from ib_kernel.text import plain
from ib_kernel.turn.admission import Plan
from ib_kernel.values import CallEnd, Count, Totals
from ib_kernel.values.attachment import Attached


@dataclass(frozen=True, slots=True)
class TurnResult:
    """How a turn ended. `end` is the ledger's row, `totals` the session's sums after it.

    `billed` is false when nobody bills this client's tokens, so that our count is the final figure.
    `stopped` says that we ended it early, `thought` that the model was seen to reason. `turns_left` is how
    many more turns are foretold (None: not known), `time_left_s` what the time limit leaves (None: none),
    `warnings` are lines about what comes to its end. The prompt had the conversation from `history_from_turn`
    on (None: all of it); `attached` is what the question brought along.
    """

    text: str
    turn: int
    end: CallEnd
    totals: Totals
    plan: Plan
    count: Count
    model: ModelInfo
    client: str
    created: int
    billed: bool = True
    stopped: bool = False
    thought: bool = False
    turns_left: int | None = None
    time_left_s: float | None = None
    history_from_turn: int | None = None
    warnings: tuple[str, ...] = ()
    attached: tuple[Attached, ...] = ()

    def __repr__(self) -> str:
        """Return the reply and its figures; ``dataclasses.asdict`` has the rest."""
        used = f"{self.end.input_tokens:,} in + {self.end.output_tokens:,} out"
        return f"{plain(self.text)}\n\n[turn {self.turn} · {used} · {self.totals.left:,} left]"
