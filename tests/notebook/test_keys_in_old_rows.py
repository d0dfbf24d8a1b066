"""Rows that an earlier edition wrote may hold a key: no output and no file shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from notebook_shell import notebook

from ib_kernel.secrets import known
from ib_kernel.values import CallEnd, Message

KEY = "q9-Zebra/4711+secret&<key>"


@pytest.fixture(autouse=True)
def _a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known yet, as when a kernel starts."""
    monkeypatch.setattr(known, "registry", known.Known())


def test_no_output_or_file_shows_a_key_of_an_old_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Names, replies, SQL results, transcripts of every format and exports, in HTML and as text."""
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    with notebook() as book:
        book.ok("%interview start Engineer --client demo --candidate Ada")
        service, session = book.magics.engine.service, book.magics.engine.session_id
        unscrubbed = service.store._store
        end = CallEnd(5, 5, model_returned=KEY, finish_reason=KEY)
        unscrubbed.charge(
            session, end, messages=[Message(1, "user", f"`{KEY}`"), Message(1, "assistant", KEY)]
        )
        assert any(KEY in message.content for message in unscrubbed.history(session))
        ran = [book.ok(line) for line in ("%interview transcript", "%interview status", "%usage", "%budget")]
        ran += [book.ok(f"%%usage\nFROM {table}") for table in ("messages", "calls")]
        for name in ("a.md", "a.html", "a.ipynb", "a.json"):
            ran.append(book.ok(f"%interview transcript {name}"))
        ran.append(book.ok("rows = _; from ib_kernel import current_interview as c"))
        book.ok("c().service.store.sql('FROM messages').to_csv('rows.csv')")
    shown = "".join(f"{one.text}{one.html}" for one in ran)
    files = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir() if path.is_file()}
    assert {"a.md", "a.html", "a.ipynb", "a.json", "rows.csv"} <= set(files)
    for text in (shown, *files.values()):
        assert "4711" not in text
        assert "[redacted]" in text
    assert os.environ["GROQ_API_KEY"] == KEY


@pytest.mark.parametrize(
    "line",
    [
        "%budget {}",
        "%interview start Engineer --candidate {}",
        "%usage {}",
        "%interview use {}",
        "%interview {}",
    ],
)
def test_a_key_in_a_magics_line_is_not_shown_again(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """The line is refused, and the refusal does not repeat the key."""
    key = "0123456789abcdef0123456789abcdef"
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", key)
    with notebook() as book:
        ran = book.run(line.format(key))
        assert not ran.ok
        assert key not in f"{ran.text}{ran.html}{ran.error}"


def test_a_known_key_in_a_cell_is_sent_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its shape; code that only speaks of keys is sent."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "0123456789abcdef0123456789abcdef")
    with notebook() as book:
        book.ok("%interview start Engineer --client demo")
        assert "looks like an API key" in book.fails(
            "%%interview\nIs 0123456789abcdef0123456789ABCDEF right?"
        )
        assert "looks like an API key" in book.fails(
            "%%interview\nIs AIzaSyA1234567890abcdefghijklmnopqrst1 right?"
        )
        book.ok("%%interview\nI would send `Authorization: Bearer TOKEN` with api_key=..., as sk-learn does.")
