"""The ledger that docs/sql.md's examples are asked about, and the examples: the same for every store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ib_kernel.values import CallEnd, CallStart, Cell, Check, LedgerEvent, Message, NewSession, Score, Status

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "sql.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```sql\n(.*?)^```", PAGE, re.M | re.S)
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)

BEGAN = 1_800_000_000.0
"""When the planted sessions begin: seconds since 1970."""


class Hands:
    """A clock that the planting moves on."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> float:
        return self.now


def plant(store: Any, clock: Hands) -> None:
    """Let two candidates ask with growing prompts: a failure, a retry, a call in doubt; and a third work."""
    for name, growth in (("ada-1", 50), ("ben-1", 400)):
        store.open_session(
            NewSession(
                name, name[:3], 100_000, "gpt-5.4-mini", challenge="rate-limiter", budget_nano_usd=10**9
            )
        )
        store.set_status(name, Status.ACTIVE)
        for turn in range(1, 9):
            clock.now += 40
            held = store.reserve(name, 9_000, lease_s=60, call=_start(turn, 1))
            assert held
            if turn == 3:
                store.release(held, CallEnd(0, 0, error="ServerFailed"))
                held = store.reserve(name, 9_000, lease_s=60, call=_start(turn, 2))
                assert held
            prompt, asked = 300 + growth * turn, clock.now - 5
            clock.now += 2.5
            end = CallEnd(prompt, 100, cost_nano_usd=prompt * 250, latency_ms=900.0, first_piece_ms=200.0)
            said = [Message(turn, "user", "hello"), Message(turn, "assistant", "hi", asked_at=asked)]
            store.settle(held, end, messages=said)
    doubt = store.reserve("ada-1", 500, lease_s=60, call=_start(9, 1))
    assert doubt
    store.mark_unresolved(doubt, "TimedOut")
    store.set_budget("ada-1", tokens=90_000, who="tester")
    made_of = {"turn": 1, "model": "gpt-5.4-mini", "constructs": ["user message"]}
    store.add_event(LedgerEvent("ada-1", "counted", 0.0, detail=made_of))
    rejected = {"turn": 2, "attempt": 1, "problems": ["zero input"], "raw_usage": '{"prompt_tokens": 0}'}
    store.add_event(LedgerEvent("ada-1", "usage_rejected", 0.0, detail=rejected))
    _work(store, clock)


def _work(store: Any, clock: Hands) -> None:
    """Add what a candidate does beside asking."""
    store.open_session(NewSession("cy-1", "Cy", 9_000, "gpt-5.4-mini"))
    store.set_status("cy-1", Status.ACTIVE)
    question = "Why does the bucket let two requests through?"
    for turn, text in ((11, question), (12, f"But {question}")):
        held = store.reserve("cy-1", 900, lease_s=60, call=_start(turn, 1))
        assert held
        asked, clock.now = clock.now, clock.now + 7
        said = [Message(turn, "user", text, asked_at=asked), Message(turn, "assistant", "A race.")]
        store.settle(held, CallEnd(300, 100), messages=said)
        clock.now += 20
    now = clock.now
    store.add_cell(Cell("cy-1", "1 / 0", ok=False, error="ZeroDivisionError", started_at=now, ended_at=now))
    store.add_check(Check("cy-1", "visible", 1, 3, started_at=now, ended_at=now))
    store.add_event(LedgerEvent("cy-1", "hint", 0.0, detail={"rung": 1, "of": 2}))
    refused = {"reason": "budget", "needed": 900, "left": 100}
    store.add_event(LedgerEvent("cy-1", "refused", 0.0, detail=refused))
    origin = {
        "cells": 1,
        "runs": 1,
        "verbatim": 0.5,
        "renamed": 0.75,
        "lines": [1],
        "renamed_lines": [],
        "turns": [11],
    }
    store.add_event(LedgerEvent("cy-1", "origin", 0.0, detail=origin))
    for rater, level in (("Ann", 2), ("Bob", 3)):
        quotes = [{"turn": 11}]
        store.add_score(
            Score("cy-1", "races", rater, "person", level=level, reason="Names it", quotes=quotes)
        )
    store.add_score(Score("cy-1", "races", "judge", "model", level=3))
    store.add_score(Score("cy-1", "races", "Ann", "person", level=3, saw_model=True))


def _start(turn: int, attempt: int) -> CallStart:
    return CallStart(turn, attempt, "openai", "gpt-5.4-mini", counted_tokens=300, counted_exact=True)


def planted(make_store: Callable[[Hands], Any]) -> Iterator[Any]:
    """Yield a store with the planted sessions, and close it afterwards."""
    clock = Hands()
    store = make_store(clock)
    plant(store, clock)
    yield store
    store.close()
