"""Where code comes from, on planted sessions: pasted, renamed, own, and what everybody had."""

from __future__ import annotations

import re

import pytest

from ib_kernel.evidence.origin import Said, origin, origin_of, tokens
from ib_kernel.interview.challenges import Challenge
from ib_kernel.values import Cell, Message

REPLY = '''
Keep a bucket for each key and fill it by the time that has passed:

```python
class Limiter:
    """Lets so many requests through in a second."""

    def __init__(self, rate, burst):
        self.rate = rate
        self.burst = burst
        self.buckets = {}

    def allow(self, key, now):
        tokens, last = self.buckets.get(key, (self.burst, now))
        tokens = min(self.burst, tokens + (now - last) * self.rate)
        allowed = tokens >= 1
        self.buckets[key] = (tokens - 1 if allowed else tokens, now)
        return allowed
```

Which of these lines is not safe with two threads?
'''

PASTED = REPLY.split("```python\n")[1].split("```")[0]

NAMES = {"Limiter": "Gate", "rate": "speed", "burst": "peak", "buckets": "jars", "tokens": "coins"}
NAMES |= {"allowed": "ok", "allow": "passes", "last": "seen", "now": "t", "key": "who"}
RENAMED = re.sub(r"\w+", lambda found: NAMES.get(found[0], found[0]), PASTED)

OWN = """
from collections import deque


def make_limiter(limit, window):
    seen = {}

    def check(user, moment):
        hits = seen.setdefault(user, deque())
        while hits and hits[0] <= moment - window:
            hits.popleft()
        if len(hits) == limit:
            return False
        hits.append(moment)
        return True

    return check
"""

STARTER = "class Limiter:\n    def __init__(self, rate, burst):\n        raise NotImplementedError\n"


def test_pasted_code_is_found() -> None:
    """At least 0.9 of its runs stand in the reply, and every line with code is named."""
    found = origin(PASTED, [Said(REPLY, 3)])
    assert found.verbatim >= 0.9
    assert found.renamed >= 0.9
    assert found.turns == (3,)
    assert len(found.lines) >= 9


def test_pasted_code_with_other_layout_and_comments_is_found() -> None:
    """Comments, docstrings, blank lines and indentation are nobody's work."""
    changed = PASTED.replace("    ", "  ").replace("\n  def", "  # mine\n\n\n  def").replace("Lets so", "Let")
    assert origin(changed, [Said(REPLY, 3)]).verbatim >= 0.9


def test_changed_names_are_found_by_the_second_measure() -> None:
    """Verbatim it is little, with names replaced nearly all."""
    found = origin(RENAMED, [Said(REPLY, 1)])
    assert found.verbatim <= 0.5
    assert found.renamed >= 0.9


def test_own_code_shares_little() -> None:
    """Another solution of the same task stays below 0.15 in both measures."""
    found = origin(OWN, [Said(REPLY, 1)])
    assert found.verbatim <= 0.15
    assert found.renamed <= 0.15


def test_half_and_half_is_half() -> None:
    """The lines that are named are the pasted ones."""
    both = f"{OWN}\n{PASTED}"
    found = origin(both, [Said(REPLY, 1)])
    assert 0.4 <= found.verbatim <= 0.75
    assert min(found.lines) > OWN.count("\n")


def test_what_everybody_had_does_not_count() -> None:
    """The starter code in the reply and in the solution is neither's."""
    reply = f"```python\n{STARTER}```"
    found = origin(f"{STARTER}\n{OWN}", [Said(reply, 1)], [STARTER])
    assert found.verbatim <= 0.15
    assert origin(STARTER, [Said(reply, 1)], [f"Begin with:\n\n```python\n{STARTER}```\n"]).runs == 0


def test_a_reply_that_repeats_the_candidates_code_is_not_its_source() -> None:
    """Who wrote it first is asked."""
    assert origin(OWN, [Said(OWN), Said(f"You wrote:\n```python\n{OWN}```", 1)]).verbatim == 0
    assert origin(OWN, [Said(f"Try:\n```python\n{OWN}```", 1), Said(OWN)]).verbatim == 1


def test_a_session_is_read_in_the_order_of_time() -> None:
    """Only replies before the last run count, failed cells are no final code, and the task is left out."""
    task = Challenge("limiter", "Limiter", "Write it.", entry=("Limiter",), starter=STARTER)
    asked = [
        Message(1, "user", "How?", created_at=10, asked_at=10),
        Message(1, "assistant", REPLY, created_at=20),
    ]
    cells = [Cell("s", PASTED, started_at=30, ended_at=31), Cell("s", "1 / 0", ok=False, ended_at=40)]
    assert origin_of(cells, asked, task).verbatim >= 0.9
    late = [Message(m.turn, m.role, m.content, created_at=m.created_at + 100) for m in asked]
    assert origin_of(cells, late, task).verbatim == 0
    assert origin_of([], asked, task).runs == 0


@pytest.mark.parametrize("text", ["", "def f(", "\0", "```", "'''", "x = 'a\n", "é" * 50, "(" * 5000])
def test_any_text_can_be_compared(text: str) -> None:
    """Fragments and other languages have words and marks."""
    found = origin(text, [Said(text, 1)])
    assert 0 <= found.verbatim <= 1
    assert all(token.line >= 1 for token in tokens(text))


def test_the_sentence_says_what_it_does_not_say() -> None:
    """Shares are facts about texts."""
    assert "does not say who had the idea" in origin(PASTED, [Said(REPLY, 1)]).line()
    assert "too little code" in origin("", []).line()
