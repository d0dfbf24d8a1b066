"""`jupyter console`, for real: a front end that shows no update of an output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

WHY = "not installed: pip install jupyter-console pexpect"
pexpect = pytest.importorskip("pexpect", reason=WHY)
pytest.importorskip("jupyter_console", reason=WHY)

ASK = 'get_ipython().run_cell_magic("interview", "", "I would use a token bucket per user.")'


def test_a_reply_is_seen_once_and_whole(tmp_path: Path) -> None:
    """Where updates of an output are not shown, the reply that was paid for is there all the same."""
    paths = os.pathsep.join(sys.path)
    given = {
        "IB_DATA_DIR": str(tmp_path / "data"),
        "PYTHONPATH": paths,
        "TERM": "dumb",
        "PYTHONWARNINGS": "ignore",
    }
    console = pexpect.spawn(
        sys.executable,
        ["-m", "jupyter_console", "--simple-prompt"],
        env={**os.environ, **given},
        encoding="utf-8",
        timeout=None,  # pytest's own limit ends what hangs
        cwd=tmp_path,
    )
    try:
        console.expect(r"In \[1\]")
        said = ""
        for number, line in enumerate(("%load_ext ib_kernel", "%interview start --candidate Ada", ASK), 2):
            console.sendline(line)
            console.expect(rf"In \[{number}\]")
            said = console.before
    finally:
        console.close(force=True)
    assert said.count("> I would use a token bucket per user.") == 1
    assert said.count("demo · turn 1 ·") == 1
    assert "waiting for" not in said
