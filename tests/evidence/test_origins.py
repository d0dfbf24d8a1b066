"""The origin of code as rows that SQL shows: computed for a query that names the view, and once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ib_kernel import Interview
from ib_kernel.evidence.origins import compute_for
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer
from ib_kernel.values import Cell

CODE = """def allow(bucket, now, rate=10, burst=20):
    bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * rate)
    bucket.at = now
    return bucket.tokens >= 1
"""
OWN = """from collections import deque

class Window:
    def __init__(self):
        self.seen = deque()

    def ask(self, moment):
        while self.seen and self.seen[0] <= moment - 60:
            self.seen.popleft()
        self.seen.append(moment)
        return len(self.seen) < 100
"""
QUERY = "SELECT session_id, verbatim, renamed, lines, turns, cells FROM code_origin ORDER BY verbatim"


@pytest.fixture
def interview(settings: Settings, server: FaultServer) -> Iterator[Interview]:
    """Two sessions with the same reply: in one it was pasted."""
    settings = settings.replace(base_url=server.base_url, api_key="sk-test", client="openai")
    with Interview(settings) as made:
        for source in (OWN, CODE):
            server.reply(f"Like this:\n\n```python\n{CODE}```")
            session = made.start("Engineer", model="gpt-4.1-mini", token_budget=50_000)
            made.say_sync("How?")
            made.service.store.add_cell(Cell(session.session_id, source, True, 2e9, 2e9 + 1))
        yield made


def test_a_query_that_names_the_view_finds_every_session_s_shares(interview: Interview) -> None:
    """Pasted code is the reply's, line by line; own code is not."""
    store = interview.service.store
    assert compute_for(QUERY, store, interview.challenge) == 2
    own, pasted = store.sql(QUERY).fetchall()
    assert own[1] <= 0.15
    assert (pasted[1], pasted[2], pasted[3], pasted[4]) == (1.0, 1.0, [1, 2, 3, 4], [1])


def test_it_is_computed_once_until_something_is_new(interview: Interview) -> None:
    """Another cell is a reason to compare again; the view shows the newest."""
    store = interview.service.store
    compute_for(QUERY, store, interview.challenge)
    assert compute_for(QUERY, store, interview.challenge) == 0
    store.add_cell(Cell(interview.session_id or "", OWN, True, 2e9, 2e9 + 2))
    assert compute_for(QUERY, store, interview.challenge) == 1
    (row,) = store.sql(f"{QUERY} DESC LIMIT 1").fetchall()
    assert row[1] < 1.0
    assert row[5] == 2
    assert store.verify() == []


def test_another_query_computes_nothing(interview: Interview) -> None:
    """Asking for something else costs nothing."""
    store = interview.service.store
    assert compute_for("SELECT * FROM calls", store, interview.challenge) == 0
    assert store.sql("FROM code_origin").fetchall() == []
