"""How many turns are left: prompts grow from turn to turn, because each carries the conversation so far.

A straight line through the prompts so far (least squares) says how much the next one needs; replies are taken
at their mean. The view `forecast` of the embedded ledger does the same in SQL, `forecast_error` shows how far
such forecasts were off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ib_kernel.values import Spent, Totals


def turns_left(spent: Sequence[Spent], left: int) -> int | None:
    """Return how many more turns fit into *left* tokens; None before the first turn."""
    turns = tokens_per_turn(spent)
    if not turns:
        return None
    growth, next_turn = fit(turns)
    if next_turn <= 0:
        return None
    if growth <= 0:
        return int(left / next_turn)
    half = growth / 2
    return int((math.sqrt((next_turn - half) ** 2 + 2 * growth * left) - (next_turn - half)) / growth)


def average_turns_left(totals: Totals) -> int | None:
    """Return how many turns of the average size so far still fit; None before the first."""
    return totals.left * totals.turns // totals.used if totals.turns and totals.used else None


def tokens_per_turn(spent: Sequence[Spent]) -> list[tuple[int, int, int]]:
    """Return each turn's number, input and output tokens, in order; attempts outside turns are left out."""
    sums: dict[int, list[int]] = {}
    for call in spent:
        if call.turn > 0:
            row = sums.setdefault(call.turn, [0, 0])
            row[0] += call.input_tokens
            row[1] += call.output_tokens
    return [(turn, *sums[turn]) for turn in sorted(sums)]  # type: ignore[misc]


def fit(turns: Sequence[tuple[int, int, int]]) -> tuple[float, float]:
    """Return by how many tokens prompts grow per turn (never negative), and what the next turn needs."""
    count = len(turns)
    numbers, prompts = [turn for turn, _, _ in turns], [prompt for _, prompt, _ in turns]
    middle, mean = sum(numbers) / count, sum(prompts) / count
    spread = sum((number - middle) ** 2 for number in numbers)
    growth = 0.0
    if spread:
        pairs = zip(numbers, prompts, strict=True)
        growth = max(0.0, sum((n - middle) * (p - mean) for n, p in pairs) / spread)
    reply = sum(reply for _, _, reply in turns) / count
    return growth, mean + growth * (numbers[-1] + 1 - middle) + reply
