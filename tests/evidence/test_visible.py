"""Visible checks: right words for every kind of code, in time, and nothing left behind."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ib_kernel.evidence.visible import check_visible, test_names
from ib_kernel.interview.challenges import Challenge

CODES = {
    "def square(n):\n    return n * n\n": ["same", "same"],
    "def square(n):\n    return n * 3\n": ["different", "same"],
    "def square(n):\n    return [0] * 10**10\n": ["memory", "memory"],
    "def square(n):\n    return int(input())\n": ["error", "error"],
    "def square(n):\n    open('out', 'w').write('x' * 5_000_000)\n": ["error", "error"],
    "def square(n):\n    raise SystemExit\n": ["error", "error"],
    "import os\ndef square(n):\n    os._exit(3)\n": ["ended", "not run"],
    "def square(n):\n    print('x' * 1_000_000)\n    return n * n\n": ["same", "same"],
    "def square(n):\n    while n == 2:\n        pass\n    return n * n\n": ["time", "same"],
}


@pytest.mark.parametrize("code", CODES)
def test_each_kind_of_code_gets_the_right_words(code: str, squares: Challenge) -> None:
    """What a test showed is said by its own word; later tests go on where that is possible."""
    assert [test.why for test in check_visible(squares, code).tests] == CODES[code]


def test_a_failed_comparison_shows_both_sides(squares: Challenge) -> None:
    """A person sees what was expected and what their code gave, and the test's own message."""
    outcome = check_visible(squares, "def square(n):\n    return 'nine'\n")
    second = outcome.tests[1]
    assert (second.got, second.expected, second.source, second.said) == (
        "'nine'",
        "9",
        "square(3) == 9",
        "three",
    )
    assert outcome.passed == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def square(n) return", "your code does not run: SyntaxError"),
        ("1 / 0", "your code does not run: ZeroDivisionError"),
        ("x = 1", "your code does not run: ImportError"),
        ("blob = [0] * 10**11", "your code does not run: memory"),
    ],
)
def test_code_that_does_not_run_is_one_line(code: str, words: str, squares: Challenge) -> None:
    """Without running code there is no test to speak of."""
    outcome = check_visible(squares, code)
    assert words in outcome.problem
    assert "\n" not in outcome.problem
    assert not outcome.tests


def test_an_endless_import_is_ended(squares: Challenge) -> None:
    """The whole has a deadline, wherever the code hangs."""
    assert "in time" in check_visible(squares, "while True:\n    pass\n", total_s=1.0).problem


def test_nothing_is_left_behind(squares: Challenge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files that the code wrote and processes that it started are gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import subprocess, sys\nopen('left', 'w').write('x')\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "def square(n):\n    return child.pid\n"
    )
    outcome = check_visible(squares, code)
    pid = int(outcome.tests[0].got)
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child is still running")
    assert list(tmp_path.iterdir()) == []


def test_data_files_are_there(squares: Challenge) -> None:
    """A test opens the challenge's data by name."""
    visible = "from entry import size\n\ndef test_it():\n    assert size('a.txt') == 3\n"
    challenge = replace(squares, visible=visible, data={"a.txt": b"abc"})
    code = "def size(name):\n    return len(open(name).read())\n"
    assert check_visible(challenge, code).passed == 1


def test_a_repr_that_fails_is_no_failure_of_the_check(squares: Challenge) -> None:
    """Values are somebody's objects: showing one may raise."""
    code = "class Odd:\n    def __repr__(self):\n        raise RuntimeError\n\nsquare = lambda n: Odd()\n"
    assert "whose repr raised RuntimeError" in check_visible(squares, code).tests[0].got


def test_a_challenge_without_visible_tests_says_so(squares: Challenge) -> None:
    """Nothing to run is a line of its own."""
    assert "no visible tests" in check_visible(replace(squares, visible=""), "").problem
    assert test_names(replace(squares, visible="def broken(")) == []
