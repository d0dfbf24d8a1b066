"""`%interview models` in a real shell: every model with how its prompts are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from notebook_shell import Notebook, notebook

from ib_kernel.testing import FaultServer

OUTSIDE = "llama3.2"


def counted_by(nb: Notebook, model: str) -> str:
    """Return the line of *model*."""
    lines = nb.ok("%interview models").text.splitlines()
    found = [line for line in lines if line.split(" (default)")[0].split()[:1] == [model]]
    assert len(found) == 1, lines
    return found[0]


def test_every_model_says_how_it_is_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: FaultServer
) -> None:
    """By rules, with a margin, by bytes; and after two reports by what the session has learned."""
    config = tmp_path / "config.toml"
    config.write_text(f'[models."{OUTSIDE}"]\ncontext_window = 131072\nmax_output = 8192\n', encoding="utf-8")
    monkeypatch.setenv("IB_CONFIG", str(config))
    monkeypatch.setenv("IB_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-of-the-models")
    monkeypatch.setenv("IB_MODEL", OUTSIDE)
    with notebook() as nb:
        assert "(default)" in counted_by(nb, OUTSIDE)
        assert "bytes" in counted_by(nb, OUTSIDE)
        for model in ("gpt-4o-mini", "gpt-5-nano"):
            assert "exact rules" in counted_by(nb, model)
        assert "rules, with a margin" in counted_by(nb, "gpt-6.1-sol")
        nb.ok("%interview start --budget 50,000")
        for turn in range(2):
            assert "bytes" in counted_by(nb, OUTSIDE), turn
            usage = {"prompt_tokens": 4_000, "completion_tokens": 2, "total_tokens": 4_002}
            server.reply("Go on.", usage=usage)
            nb.ok("%%interview\nWhich limit first?")
        assert "reference ×" in counted_by(nb, OUTSIDE)
        assert "learned" in counted_by(nb, OUTSIDE)
        assert "exact rules" in counted_by(nb, "gpt-4o-mini")
        nb.ok("%interview start --budget 50,000")
        assert "bytes" in counted_by(nb, OUTSIDE)  # another session has learned nothing
