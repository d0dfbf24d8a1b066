"""The interview that `UsageViewsContract` plants: who did what in which minute."""

from __future__ import annotations

from typing import Any

from ib_kernel.testing._store_base import Clock
from ib_kernel.values import (
    CallEnd,
    CallStart,
    Cell,
    Check,
    KeptChallenge,
    LedgerEvent,
    Message,
    NewSession,
    Score,
    Status,
)
from ib_kernel.values.attachment import Attachment, with_attachments

NOON = 1_700_000_000.0
"""When it begins: seconds since 1970."""

QUESTIONS = {
    1: (60, "How should the limiter remember its buckets?"),
    2: (600, "How should the limiter remember buckets, please?"),
    3: (700, "Here is mine:\n\n```python\ndef take(n):\n    return n\n```"),
    4: (
        900,
        with_attachments("Warum größer?", [Attachment("error", "the last error", "def boom(): ...", 0)]),
    ),
}
"""By turn: the second in which it was asked, and what."""

REPLIES = {1: 90, 2: 620, 3: 720, 4: 930}
"""By turn: the second in which the reply was complete."""


def plant(store: Any, clock: Clock) -> None:
    """Let Ada ask four questions, run cells and checks; Ben's call fails, and another stays in doubt."""
    for name, candidate, challenge in (("ada", "Ada", "rate-limiter"), ("ben", "Ben", "")):
        budget = 10_000 if name == "ada" else 9_000
        store.open_session(NewSession(name, candidate, budget, "m", challenge=challenge))
        store.set_status(name, Status.ACTIVE)
    for turn, (at, text) in QUESTIONS.items():
        if turn in (1, 3):
            made_of = ["user message", "system message" if turn == 1 else "tools"]
            counted = {"turn": turn, "model": "m", "constructs": made_of}
            store.add_event(LedgerEvent("ada", "counted", NOON + at, detail=counted))
        clock.now = NOON + at + 1
        started = CallStart(turn, model="m", counted_tokens=393, counted_exact=True)
        held = store.reserve("ada", 900, lease_s=600, call=started)
        clock.now = NOON + REPLIES[turn] + 0.1
        said = [
            Message(turn, "user", text, created_at=NOON + at, asked_at=NOON + at),
            Message(turn, "assistant", "Well.", created_at=NOON + REPLIES[turn], asked_at=NOON + at),
        ]
        cost = 100_000 if turn == 1 else None
        end = CallEnd(400, 100, cost_nano_usd=cost, latency_ms=100.0 * turn, first_piece_ms=10.0 * turn)
        store.settle(held, end, messages=said)
    _work(store)
    clock.now = NOON + 1_000
    failed = store.reserve("ben", 700, lease_s=600, call=CallStart(None, model="m"))
    store.release(failed, CallEnd(0, 0, error="ServerFailed"))
    clock.now += 10
    store.set_budget("ben", tokens=10_000, who="tester")
    clock.now += 10
    doubtful = store.reserve("ben", 700, lease_s=600, call=CallStart(None, model="m"))
    store.mark_unresolved(doubtful, "TimedOut")
    clock.now += 10


def _work(store: Any) -> None:
    def cell(source: str, at: float, **facts: Any) -> None:
        store.add_cell(Cell("ada", source, started_at=NOON + at, ended_at=NOON + at + 1, **facts))

    cell("%interview status", 95, kind="magic")
    cell("1 / 0", 640, ok=False, error="ZeroDivisionError")
    cell("take(1)", 730)
    store.add_check(Check("ada", "visible", 1, 3, started_at=NOON + 650, ended_at=NOON + 652))
    store.add_check(Check("ada", "visible", 3, 3, started_at=NOON + 740, ended_at=NOON + 742))
    store.add_event(LedgerEvent("ada", "hint", NOON + 660, "Ada", {"rung": 1, "of": 2}))
    store.add_message("ada", Message(0, "hint", "Look at time.", created_at=NOON + 660, asked_at=NOON + 660))
    refused = {"reason": "budget", "needed": 9000, "left": 8000}
    store.add_event(LedgerEvent("ada", "refused", NOON + 1000, "Ada", refused))
    items = [{"kind": "error", "label": "the last error", "tokens": 9, "chars": 15}]
    store.add_event(LedgerEvent("ada", "attached", NOON + 901, "Ada", {"turn": 4, "items": items}))
    store.add_score(Score("ada", "asks first", "Grace", "person", level=2, reason="asked about load"))
    store.keep_challenge(KeptChallenge("ab" * 32, "rate-limiter", "1", "Limit requests.", {"a.py": "pass"}))
