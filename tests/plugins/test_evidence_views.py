"""The views of what a candidate did say what happened in a session that is planted minute by minute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ib_duckdb.store import DuckDBStore
from ib_kernel.values import CallEnd, CallStart, Cell, Check, LedgerEvent, Message, NewSession, Status
from ib_kernel.values.attachment import Attachment, with_attachments

NOON = 1_700_000_000.0
QUESTIONS = {
    1: (60, "How should the limiter remember its buckets?"),
    2: (600, "How should the limiter remember buckets, please?"),
    3: (700, "Here is mine:\n\n```python\ndef take(n):\n    return n\n```"),
    4: (900, with_attachments("Why?", [Attachment("error", "the last error", "def boom(): ...", 0)])),
}
REPLIES = {1: 90, 2: 620, 3: 720, 4: 930}


@pytest.fixture(scope="module", params=["hot", "moved"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    """Four questions, two cells, two checks, a hint and a refusal; and a session with nothing in it."""
    now = [NOON]
    folder = tmp_path_factory.mktemp("planted")
    store = DuckDBStore(folder, clock=lambda: now[0], background=False, tick_s=10_000)
    for name in ("s", "other"):
        store.open_session(NewSession(name, "Ada", 10_000, "m"))
        store.set_status(name, Status.ACTIVE)
    for turn, (at, text) in QUESTIONS.items():
        now[0] = NOON + at + 1
        held = store.reserve("s", 900, lease_s=600, call=CallStart(turn, model="m"))
        assert held
        now[0] = NOON + REPLIES[turn] + 0.1
        said = [
            Message(turn, "user", text, created_at=NOON + at, asked_at=NOON + at),
            Message(turn, "assistant", "Well.", created_at=NOON + REPLIES[turn], asked_at=NOON + at),
        ]
        store.settle(held, CallEnd(400, 100), messages=said)
    _work(store)
    if request.param == "moved":
        store.flush()
    yield store
    store.close()


def _work(store: DuckDBStore) -> None:
    def cell(source: str, at: float, **facts: Any) -> None:
        store.add_cell(Cell("s", source, started_at=NOON + at, ended_at=NOON + at + 1, **facts))

    cell("%interview status", 95, kind="magic")
    cell("1 / 0", 640, ok=False, error="ZeroDivisionError")
    cell("take(1)", 730)
    store.add_check(Check("s", "visible", 1, 3, started_at=NOON + 650, ended_at=NOON + 652))
    store.add_check(Check("s", "visible", 3, 3, started_at=NOON + 740, ended_at=NOON + 742))
    store.add_event(LedgerEvent("s", "hint", NOON + 660, "Ada", {"rung": 1, "of": 2}))
    store.add_message("s", Message(0, "hint", "Look at time.", created_at=NOON + 660, asked_at=NOON + 660))
    refused = {"reason": "budget", "needed": 9000, "left": 8000}
    store.add_event(LedgerEvent("s", "refused", NOON + 1000, "Ada", refused))
    attached = {"turn": 4, "items": [{"kind": "error", "label": "the last error", "tokens": 9, "chars": 15}]}
    store.add_event(LedgerEvent("s", "attached", NOON + 901, "Ada", attached))


def rows(store: DuckDBStore, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in store.sql(sql).rows]


def test_the_timeline_is_one_order_with_the_budget_after_each(store: DuckDBStore) -> None:
    """Questions stand when they were asked, the rest when it ended; the budget falls with each call."""
    kinds = "('question', 'reply', 'call', 'cell', 'check', 'hint', 'refused')"
    planted = f"timeline WHERE session_id = 's' AND kind IN {kinds}"
    found = rows(store, f"SELECT kind, number, ok, left_tokens FROM {planted} ORDER BY n")
    assert [row[0] for row in found] == [
        *("question", "call", "reply", "cell", "question", "call", "reply", "cell", "check", "hint"),
        *("question", "call", "reply", "cell", "check", "question", "call", "reply", "refused"),
    ]
    assert [row[3] for row in found if row[0] == "call"] == [9500, 9000, 8500, 8000]
    assert [row[3] for row in found if row[0] == "reply"] == [9500, 9000, 8500, 8000]
    assert found[7][1:3] == (2, False)
    assert [row[2] for row in found if row[0] == "check"] == [False, True]


def test_the_timeline_has_the_texts(store: DuckDBStore) -> None:
    """A cell's source, a hint's words and an error's name are there."""
    found = rows(
        store, "SELECT kind, what, detail ->> 'error' FROM timeline WHERE session_id = 's' ORDER BY n"
    )
    assert ("cell", "1 / 0", "ZeroDivisionError") in found
    assert ("hint", "Look at time.", None) in found
    assert sum(kind == "hint" for kind, _, _ in found) == 1


def test_a_change_of_the_budget_counts_from_then_on(store: DuckDBStore) -> None:
    """Another session's budget is changed: what is left follows, and the planted one stays."""
    store.set_budget("other", tokens=12_000, who="tester")
    left = rows(store, "SELECT kind, left_tokens FROM timeline WHERE session_id = 'other' ORDER BY n")
    assert left[0][1] == 10_000
    assert left[-1] == ("budget", 12_000)


def test_think_time_runs_from_the_reply_before(store: DuckDBStore) -> None:
    """The first question's runs from the start."""
    found = rows(
        store, "SELECT turn, think_s FROM think_time WHERE session_id = 's' AND turn > 1 ORDER BY turn"
    )
    assert found == [(2, 510.0), (3, 80.0), (4, 180.0)]


def test_prompt_facts_tell_prose_code_and_attachments_apart(store: DuckDBStore) -> None:
    """Words are prose; an attached traceback is no code of the question's."""
    sql = "SELECT words, has_code, attached FROM prompt_facts WHERE session_id = 's' ORDER BY turn"
    assert rows(store, sql) == [
        (7, False, None),
        (7, False, None),
        (3, True, None),
        (1, False, "the last error"),
    ]


def test_a_question_asked_again_is_found(store: DuckDBStore) -> None:
    """The second question has the first one's terms; the others share nothing."""
    assert rows(store, "SELECT turn, earlier_turn, similarity FROM re_asks") == [(2, 1, 0.75)]


def test_verification_counts_what_was_run_before_asking_on(store: DuckDBStore) -> None:
    """Our own magics are no verification, and a run after the next question is the next reply's."""
    assert rows(store, "SELECT replies, verified, verified_share FROM verification") == [(4, 2, 0.5)]


def test_hints_and_refusals(store: DuckDBStore) -> None:
    """Each with what was before it, and why."""
    assert rows(store, "SELECT rung, rungs, questions_before FROM hints") == [(1, 2, 2)]
    assert rows(store, "SELECT reason, needed_tokens, left_tokens FROM refusals") == [("budget", 9000, 8000)]


def test_tokens_are_told_by_phase(store: DuckDBStore) -> None:
    """Before the first cell, until a check passes in full, afterwards."""
    assert rows(store, "SELECT phase, turns, charged_tokens FROM tokens_by_phase ORDER BY began_at") == [
        ("before the first cell", 2, 1000),
        ("until checks pass", 1, 500),
        ("after checks passed", 1, 500),
    ]
