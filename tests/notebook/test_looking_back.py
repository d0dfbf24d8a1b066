"""What people do afterwards: a transcript in a file, an awaited reply, a failed turn beside a good one."""

from __future__ import annotations

import asyncio
import datetime
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from notebook_shell import Notebook, notebook

from ib_kernel import Interview
from ib_kernel.errors import ServerFailed
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer
from ib_kernel.turn.turn import TurnResult

ANSWER = "## Two questions\n\nWhose **clock** is it?"
START = "%interview start Engineer --candidate Ada --client openai --model gpt-4.1-mini --budget 50000"


@pytest.fixture
def nb(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook whose AI is *server*."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-not-a-key")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("IB_BACKOFF_S", "0")
    with notebook() as running:
        yield running


@pytest.fixture
def told(nb: Notebook, server: FaultServer, tmp_path: Path) -> dict[str, str]:
    """One turn's transcript in each kind of file."""
    server.reply(ANSWER)
    nb.ok(START)
    nb.ok("%%interview\nA **token bucket**.")
    for kind in ("md", "html", "ipynb"):
        nb.ok(f'%interview transcript "{tmp_path / f"ada.{kind}"}"')
    return {kind: (tmp_path / f"ada.{kind}").read_text(encoding="utf-8") for kind in ("md", "html", "ipynb")}


@pytest.mark.parametrize("kind", ["md", "html", "ipynb"])
def test_a_transcript_s_turn_has_its_date_tokens_cost_and_status(told: dict[str, str], kind: str) -> None:
    """In every kind of file."""
    text = told[kind].replace("\\", "")
    assert re.search(rf"{datetime.datetime.now(datetime.UTC):%Y-%m-%d} \d\d:\d\d:\d\d UTC", text)
    assert re.search(r"[\d,]+ in \+ [\d,]+ out · \$0\.\d+ · settled", text)


def test_a_transcript_s_markdown_is_rendered_and_its_headings_stand_under_their_turn(
    told: dict[str, str],
) -> None:
    """What was bold is bold; a heading of an answer is deeper than the turn's and the speaker's."""
    assert "<strong>clock</strong>" in told["html"]
    assert "<strong>token bucket</strong>" in told["html"]
    assert re.search(r"<h([4-6])[^>]*>Two questions</h\1>", told["html"])
    cells = nbformat.reads(told["ipynb"], as_version=4).cells
    for text in (told["md"], "\n".join(cell.source for cell in cells)):
        assert "**clock**" in text
        assert re.search(r"^> #{4,6} Two questions$", text, re.MULTILINE)
        levels = [len(found) for found in re.findall(r"^(#+) ", text, re.MULTILINE)]
        assert max(levels) < 4


def test_an_awaited_reply_is_shown_as_its_words(nb: Notebook, server: FaultServer) -> None:
    """Not as the 1,300 characters of a dataclass."""
    server.reply(ANSWER)
    nb.ok(START)
    ran = nb.ok("from ib_kernel import current_interview\nawait current_interview().say('hello')")
    shown = repr(ran.result)
    assert shown.startswith(ANSWER)
    assert re.fullmatch(r"\[turn 1 · [\d,]+ in \+ [\d,]+ out · [\d,]+ left\]", shown.splitlines()[-1])
    assert "TurnResult(" not in ran.text


def test_a_failed_turn_and_a_good_one_keep_their_numbers(
    nb: Notebook, server: FaultServer, tmp_path: Path
) -> None:
    """Attempts of the failed turn are its own; the next turn is another, in rows and in the transcript."""
    nb.ok(f"%config InterviewMagics.attempts = 2\n{START}")
    server.script("500")
    server.script("500")
    assert not nb.run("%%interview\nfirst try").ok
    nb.ok("%%interview\nsecond try")
    rows = nb.ok("%%usage\nSELECT turn, attempt, status FROM calls ORDER BY ALL").result.fetchall()
    assert rows == [(1, 1, "failed"), (1, 2, "failed"), (2, 1, "settled")]
    nb.ok(f'%interview transcript "{tmp_path / "ada.md"}"')
    first, second = (tmp_path / "ada.md").read_text(encoding="utf-8").split("## Turn 1")[1].split("## Turn 2")
    assert "failed" in first
    assert "settled" in second
    assert "second try" in second


def test_two_turns_at_once_have_numbers_of_their_own(server: FaultServer, tmp_path: Path) -> None:
    """Also when one of them fails."""
    settings = Settings(
        data_dir=tmp_path / "data", base_url=server.base_url, api_key="sk-test", attempts=1, client="openai"
    )
    server.script("500")
    server.reply("Go on.")
    with Interview(settings) as interview:
        interview.start("Engineer", model="gpt-4.1-mini", token_budget=50_000)

        async def both() -> list[TurnResult | BaseException]:
            said = (interview.say(word) for word in ("one", "two"))
            return await asyncio.gather(*said, return_exceptions=True)

        kinds = sorted(type(one).__name__ for one in asyncio.run(both()))
        assert kinds == sorted([ServerFailed.__name__, TurnResult.__name__])
        query = "SELECT turn, attempt, status FROM calls ORDER BY ALL"
        rows = interview.service.store.sql(query).fetchall()
        assert [(turn, attempt) for turn, attempt, _ in rows] == [(1, 1), (2, 1)]
        assert sorted(status for *_, status in rows) == ["failed", "settled"]
