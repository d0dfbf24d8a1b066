"""A type checker accepts a right plugin and refuses a wrong one, at the line that is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = Path(__file__).with_name("plugins.py")


@pytest.mark.timeout(3_600)  # mypy reads the whole package from nothing, as slowly as a busy machine lets it
def test_mypy_refuses_exactly_the_lines_that_are_wrong() -> None:
    """A factory of the wrong kind, an unknown offer, and a change to an event are found before they run."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", str(PLUGINS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    name = PLUGINS.relative_to(ROOT).as_posix()
    found = re.findall(rf"^{re.escape(name)}:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.M)
    lines = PLUGINS.read_text(encoding="utf-8").splitlines()
    wanted = re.findall(
        r"^(\d+):.*# refused: ([\w-]+)$", "\n".join(f"{n}:{x}" for n, x in enumerate(lines, 1)), re.M
    )
    assert len(wanted) > 5
    assert found == wanted, done.stdout + done.stderr
