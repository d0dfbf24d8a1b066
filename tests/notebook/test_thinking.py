"""The person sees that a model is thinking, and for how long."""

from __future__ import annotations

import pytest

from ib_kernel.notebook.output.screen import Terminal
from ib_kernel.turn.receiving import THINKING


def test_a_terminal_says_for_how_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line is redrawn once a second, and gone when the reply begins."""
    now = [100.0]
    monkeypatch.setattr("ib_kernel.notebook.output.screen.time.monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    screen = Terminal()
    screen.notice(THINKING)
    for seconds in (0.2, 40.3, 40.6):
        now[0] = 100.0 + seconds
        screen.tick()
    screen.piece("Well.")
    shown = capsys.readouterr().out
    assert shown.count("thinking… 40 s") == 1
    assert shown.endswith("\r\x1b[2KWell.")


def test_a_log_says_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Where lines cannot be redrawn there is one."""
    screen = Terminal()
    screen.notice(THINKING)
    screen.tick()
    assert capsys.readouterr().out == "thinking…\n"
