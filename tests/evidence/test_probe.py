"""A probe asks once, without anything of the interviewer's, and says what the answer did."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import local_model
import pytest

from ib_kernel.errors import ConfigError, ServerFailed
from ib_kernel.evidence.hidden import HiddenChecks
from ib_kernel.evidence.probe import probe
from ib_kernel.interview.challenges import Challenge
from ib_kernel.interview.interview import Interview
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer


@pytest.fixture
def interview(server: FaultServer, settings: Settings) -> Iterator[Interview]:
    with Interview(
        settings.replace(client="openai", base_url=server.base_url, api_key="sk-test", attempts=1)
    ) as made:
        yield made


@pytest.mark.parametrize(
    ("answer", "passed", "said"),
    [
        ("def square(number):\n    return number ** 2\n", 2, "solved 2 of 2 hidden runs ("),
        ("def square(number):\n    return min(number, 400) ** 2\n", 1, "1 of 2 hidden runs; not large ("),
        ("def cube(number):\n    return number ** 3\n", 0, "its answer defines no square"),
    ],
)
def test_it_says_what_one_prompt_solves(
    answer: str,
    passed: int,
    said: str,
    squares: Challenge,
    checks: HiddenChecks,
    interview: Interview,
    server: FaultServer,
) -> None:
    """The line names the model, the day, the runs and the tokens, and those are in the ledger."""
    server.reply(text=f"Here:\n\n```python\n{answer}```\n\nUse it so:\n\n```python\nprint(square(3))\n```\n")
    found = probe(interview, squares, checks)
    assert len(found.passed) == passed
    line = found.line("squares")
    assert said in line
    assert found.model in line
    assert found.date in line
    assert interview.service.totals(interview.session_id or "").charged_tokens == found.tokens > 0
    assert interview.session.status == "completed"


def test_the_prompt_has_nothing_of_the_interviewers(
    squares: Challenge, checks: HiddenChecks, interview: Interview, server: FaultServer
) -> None:
    """The task goes along; runs, solution and notes do not."""
    server.reply(text="I cannot.")
    probe(interview, squares, checks)
    body = json.dumps(server.requests[-1].body)
    assert "Square it." in body
    assert "run_many" not in body
    assert "number * number" not in body


def test_nothing_is_asked_where_nothing_can_be_run(
    squares: Challenge, checks: HiddenChecks, interview: Interview, server: FaultServer
) -> None:
    """A challenge without hidden runs is one line, before a token is spent."""
    from dataclasses import replace

    with pytest.raises(ConfigError, match="no hidden checks"):
        probe(interview, replace(squares, hidden=""), checks)
    assert server.requests == []


def test_a_service_that_fails_leaves_no_open_session(
    squares: Challenge, checks: HiddenChecks, interview: Interview, server: FaultServer
) -> None:
    """The session ends with the error."""
    server.script("500")
    with pytest.raises(ServerFailed):
        probe(interview, squares, checks)
    assert interview.session.status == "completed"


@pytest.mark.local_model
@pytest.mark.timeout(600)
@pytest.mark.skipif(bool(local_model.missing()), reason=local_model.missing() or "installed")
def test_a_real_model_is_probed(squares: Challenge, checks: HiddenChecks, settings: Settings) -> None:
    """A small model on this machine answers whatever it likes; the line says what that did, and the cost."""
    with local_model.serving(2048) as address:
        there = settings.replace(
            client="openai", dialect="llama.cpp", base_url=address, model="smollm2-135m", min_reply_tokens=1,
            temperature=0.0, first_piece_s=300.0, gap_s=120.0, deadline_s=500.0,
            models={"smollm2-135m": {"context_window": 2048, "max_output": 128}},
        )  # fmt: skip
        with Interview(there) as interview:
            found = probe(interview, squares, checks)
            charged = interview.service.totals(interview.session_id or "").charged_tokens
    assert found.model == "smollm2-135m"
    assert found.tokens == charged > 0
    assert found.why.startswith("its answer defines no") or len(found.passed) + len(found.failed) == 2
    assert re.search(r"solved (nothing|\d of 2 hidden runs)", found.line("squares"))
