"""Checks, hints and challenges from the candidate's notebook and over the wire: told, recorded, limited."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import RunningHost
from notebook_shell import Notebook, notebook
from wire import Wire

from ib_kernel import current_interview
from ib_kernel.notebook.lab.state import read_task

RIGHT = """
def rooms_needed(meetings):
    moments = sorted({m for s, e in meetings for m in (s,) if s < e})
    if any(e < s for s, e in meetings):
        raise ValueError("ends before it starts")
    return max((sum(s <= m < e for s, e in meetings) for m in moments), default=0)

def free_slots(meetings, opens, closes, length):
    if any(e < s for s, e in meetings):
        raise ValueError("ends before it starts")
    found, since = [], opens
    for start, end in sorted(m for m in meetings if m[0] < m[1]):
        if min(start, closes) - since >= length:
            found.append((since, min(start, closes)))
        since = max(since, end)
    return found + ([(since, closes)] if closes - since >= length else [])
"""
WRONG = "def rooms_needed(meetings):\n    return 1\n\ndef free_slots(m, o, c, n):\n    return []\n"
PRIVATE = ("furthest so far", "Sorting starts and ends apart", "def _checked", "run_rooms_at_the_edges")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    with RunningHost(tmp_path_factory.mktemp("host")) as running:
        yield running


@pytest.fixture
def shell(host: RunningHost) -> Iterator[Notebook]:
    with notebook() as running:
        line = host.invite("Engineer", "--candidate", "Ada", "--challenge", "meeting-rooms")
        running.ok(f"%interview join {line}")
        running.ok("%interview begin")
        yield running


def ran(shell: Notebook, *cells: str) -> None:
    """Let the shell know *cells* as those that were run."""
    shell.shell.user_ns["In"] = ["", *cells]


def test_visible_tests_run_here_and_are_recorded_there(shell: Notebook, host: RunningHost) -> None:
    """The candidate sees what each expected and got; the host keeps a row."""
    ran(shell, WRONG)
    text = shell.ok("%interview check").text
    assert "1 of 3 visible tests passed" in text
    assert "expected 3" in text
    assert "got      1" in text
    ran(shell, WRONG, RIGHT)
    assert "3 of 3 visible tests passed" in shell.ok("%interview check").text


def test_jupyterlabs_panel_offers_what_the_task_has(shell: Notebook) -> None:
    """A button for the visible tests, and one for hints, of which only the host knows if there are any."""
    task = read_task(current_interview())
    assert task is not None
    assert (task["checks"], task["hints"]) == (True, True)


def test_hidden_checks_run_at_the_host_and_tell_counts_only(shell: Notebook, host: RunningHost) -> None:
    """Five times, counts, and nothing of the private part in anything that was shown."""
    ran(shell, RIGHT)
    first = shell.ok("%interview check --hidden").text
    if "sandbox" in first:
        pytest.skip(first)
    assert "5 of 5 hidden checks passed" in first
    ran(shell, WRONG)
    shown = [shell.ok("%interview check --hidden").text for _ in range(4)]
    assert "passed" in shown[0]
    assert "0 more times" in shown[-1]
    refused = shell.fails("%interview check --hidden")
    assert "are used up" in refused
    assert not any(secret in text for secret in PRIVATE for text in [first, *shown, refused])


def test_hints_come_rung_by_rung_and_end(shell: Notebook) -> None:
    """Each is recorded, costs no tokens, and stands in the transcript under its own name."""
    before = shell.ok("%budget").text
    texts = [shell.ok("%interview hint").text for _ in range(3)]
    assert [text.split("\n")[0] for text in texts] == [
        "Hint 1 (2 more)",
        "Hint 2 (1 more)",
        "Hint 3 (the last one)",
    ]
    assert "were given" in shell.fails("%interview hint")
    assert "Hint" in shell.ok("%interview transcript").text
    assert [line for line in before.split("\n") if "used" in line] == [
        line for line in shell.ok("%budget").text.split("\n") if "used" in line
    ]


def test_mistakes_are_one_line(shell: Notebook) -> None:
    """No definition, no such cell, practice at a host."""
    ran(shell, "x = 1")
    assert "No cell that was run defines rooms_needed, free_slots" in shell.fails("%interview check")
    assert "there is no such cell" in shell.fails("%interview check --cell 7")
    ran(shell, RIGHT)
    assert "Leave --practice out" in shell.fails("%interview check --practice")


def test_a_candidate_cannot_record_more_than_is_theirs(host: RunningHost) -> None:
    """Suites, sizes and kinds are looked at; a session that has not begun has no checks."""
    wire = Wire.joined(host.invite("--candidate", "Eve", "--challenge", "meeting-rooms"))
    assert wire.post("/v1/checks", {"suite": "hidden", "code": "x"}).status_code == 409
    wire.post("/v1/begin")
    for value in (
        {"suite": "all", "code": ""},
        {"suite": "visible", "code": ""},
        {"suite": "visible", "code": "", "tests": [1]},
        {"suite": "hidden", "code": 7},
        {"suite": "hidden"},
    ):
        assert wire.post("/v1/checks", value).status_code in (400, 409), value
    assert wire.post("/v1/checks", {"suite": "hidden", "code": "x" * 300_000}).status_code == 413
    told = {"suite": "visible", "code": "", "tests": [{"name": "a" * 9_000, "ok": "yes", "more": 1}]}
    answer = wire.post("/v1/checks", told).json()
    assert (answer["passed"], answer["total"]) == (0, 1)
    assert len(answer["tests"][0]["name"]) < 2_100


def test_cells_are_recorded_while_the_session_runs_and_after_the_notice(host: RunningHost) -> None:
    """Before the notice, before the beginning and after the end: refused in one line."""
    wire = Wire.joined(host.invite("--candidate", "Cy"), notice=False)
    cell = {"cells": [{"source": "1 / 0", "ok": False, "error": "ZeroDivisionError", "started_at": "x"}]}
    assert wire.post("/v1/cells", cell).status_code == 409
    wire.post("/v1/notice", {"version": wire.me["notice"]["version"]})
    wire.post("/v1/begin")
    assert wire.post("/v1/cells", cell).json() == {"taken": 1}
    assert wire.post("/v1/cells", {"cells": "all"}).status_code == 400
    assert wire.post("/v1/cells", {"cells": [{}]}).status_code == 400
    assert wire.post("/v1/cells", {"cells": [{"source": ""}] * 101}).status_code == 413
    wire.post("/v1/end")
    assert wire.post("/v1/cells", cell).status_code == 409


def test_cells_that_are_sent_again_are_recorded_once(host: RunningHost) -> None:
    """A lost answer doubles nothing, whatever the candidate's clock says and whatever was hidden in it."""
    wire = Wire.joined(host.invite("--candidate", "Cy"))
    wire.post("/v1/begin")
    key = f"key = 'sk-proj-{'aB3' * 12}'"
    first = [{"source": key, "execution_count": 1, "started_at": time.time() + 900}]
    both = [*first, {"source": "key", "execution_count": 2}]
    assert wire.post("/v1/cells", {"cells": first}).json() == {"taken": 1}
    assert wire.post("/v1/cells", {"cells": both, "again": True}).json() == {"taken": 1}
    assert wire.post("/v1/cells", {"cells": both, "again": True}).json() == {"taken": 0}
    assert wire.post("/v1/cells", {"cells": first}).json() == {"taken": 1}, "run again, not sent again"


def test_nothing_private_is_in_what_a_candidate_can_read(host: RunningHost) -> None:
    """Everything that a token opens, searched for the private part of the challenge."""
    wire = Wire.joined(host.invite("--candidate", "Mallory", "--challenge", "meeting-rooms"))
    wire.post("/v1/begin")
    seen = [wire.get(path).text for path in ("/v1/me", "/v1/status", "/v1/openapi.json")]
    assert "def free_slots" in seen[0]
    assert not any(secret in text for secret in PRIVATE for text in seen)


def test_practice_runs_hidden_checks_here_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a host, hidden runs are practice and marked as such; a plain --hidden says whose they are."""
    monkeypatch.setenv("IB_DATA_DIR", str(tmp_path))
    with notebook() as shell:
        shell.ok("%interview start Engineer --challenge meeting-rooms")
        ran(shell, RIGHT)
        assert "are a host's" in shell.fails("%interview check --hidden")
        text = shell.ok("%interview check --practice").text
        assert "hidden checks passed" in text or "hidden checks need a sandbox" in text
        assert "Practice" in text
        shell.ok("%interview hint")
        assert "3 of 3 visible tests passed" in shell.ok("%interview check").text
