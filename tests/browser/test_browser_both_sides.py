"""A whole remote interview: the interviewer on the host's page, the candidate in JupyterLab."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from pages import Page, signed_in

sys.path.insert(0, str(lab.ROOT / "tests" / "host"))

pytest.importorskip("uvicorn", reason="the host's extra is missing: pip install -e '.[host]'")

from hosts import RunningHost

PANEL = "#interview-buddy-panel"

CODE = """from collections import OrderedDict
import time

class Cache:
    def __init__(self, capacity, ttl_seconds, clock=time.monotonic):
        self.capacity, self.ttl, self.clock, self.entries = capacity, ttl_seconds, clock, OrderedDict()

    def get(self, key):
        if key not in self.entries:
            return None
        value, since = self.entries[key]
        if self.clock() - since > self.ttl:
            del self.entries[key]
            return None
        self.entries.move_to_end(key)
        return value

    def put(self, key, value):
        self.entries[key] = value, self.clock()
        self.entries.move_to_end(key)
        if len(self.entries) > self.capacity:
            self.entries.popitem(last=False)
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningHost]:
    """A host in a process of its own."""
    with RunningHost(tmp_path / "data") as host:
        yield host


def seen(sheet: lab.Sheet, part: str, seconds: float = 30) -> None:
    """Wait until *part* can be read in the candidate's panel."""
    sheet.page.wait_for_function(
        "([selector, part]) => (document.querySelector(selector)?.innerText ?? '')"
        ".replace(/[\\u00a0\\u202f]/g, ' ').includes(part)",
        arg=[PANEL, part],
        timeout=1000 * seconds,
    )


def test_an_interview_from_the_invitation_to_its_end(
    chromium: Any, jupyter: lab.Lab, running: RunningHost, axe: str
) -> None:
    """Invite, join, turns, checks and a hint, more tokens, a line, pause, resume, end; and the replay."""
    line = "%interview join " + running.invite(
        "Backend engineer", "--candidate", "Noor T.", "--challenge", "lru-cache", "--budget", "20000",
        "--minutes", "45",
    )  # fmt: skip
    cells = [
        "%load_ext ib_kernel",
        line,
        "%interview begin",
        "%%interview\nI would keep an `OrderedDict`: reading moves a key to the end.",
        CODE,
        "%interview check",
        "%interview hint",
        "cache = Cache(1, 10)\ncache['a']",
        "%%interview --error\nWhy does this fail?",
        "%%interview\nExpired entries are removed when they are read.",
        "%%interview\nOne more thing.",
        "%%interview\nAnd one after the pause.",
        "%%interview\nAfter the end.",
    ]
    with (
        signed_in(chromium, running.address, running.link) as page,
        jupyter.notebook("remote.ipynb", cells) as sheet,
    ):
        page.open("/", "Noor T.")
        sheet.page.evaluate("() => { jupyterapp.commands.execute('interview-buddy:open'); }")
        sheet.run(0, 1)
        sheet.wait_for_source(2, "class Cache")  # the starter code, in a cell of its own
        sheet.run(3, 4, 5, 6, 7)
        assert "Joined" in sheet.text(1)
        assert "3 of 3 visible tests passed" in sheet.text(6)
        assert "Hint 1" in sheet.text(7)
        sheet.run(8)
        sheet.run(9)
        assert "TypeError" in sheet.text(9)
        sheet.run(10)
        page.press("Noor T.")
        page.wait_for("Expired entries are removed")
        page.wait_for("TypeError")
        seen(sheet, "Cache(capacity, ttl_seconds)")

        page.press("Add tokens…")
        page.tab.fill("#dialog-amount", "5 000")
        page.press("Add tokens", within="dialog")
        page.tab.wait_for_selector("dialog", state="detached")
        page.tab.fill("#line", "Ten more minutes are fine.")
        page.press("Say it")
        page.wait_for("Ten more minutes are fine.")
        seen(sheet, "25 000")
        seen(sheet, "Ten more minutes are fine.")
        page.shots("both-sides-page")
        sheet.shot("both-sides-lab")

        page.press("Pause…")
        page.press("Pause", within="dialog")
        page.wait_for("Paused")
        sheet.run(11)
        assert "paused" in sheet.error(11)
        page.press("Resume")
        page.wait_for("Running")
        sheet.run(12)
        page.wait_for("And one after the pause.")
        page.press("End…")
        page.press("End it", within="dialog")
        page.wait_for("Ended")
        sheet.run(13)
        assert "completed" in sheet.error(13)
        replayed(page, axe)
        boarded(page, jupyter)
        assert page.complaints == []


def replayed(page: Page, axe: str) -> None:
    """Play the interview back on the host's page: the failing cell as it was, with what was said by then."""
    page.tab.locator("summary", has_text="Replay").click()
    page.tab.wait_for_selector(".ib-replay .ib-slider")
    past = page.tab.locator(".ib-replay [aria-label=Notebook]")
    page.press("Next failure", within=".ib-replay")
    assert "cache['a']" in past.inner_text()
    assert "TypeError" in past.inner_text()
    assert "Why does this fail?" not in page.tab.inner_text(".ib-replay [aria-label=Conversation]")
    page.tab.locator(".ib-slider").press("ArrowRight")
    page.press("Next question", within=".ib-replay")
    assert "Why does this fail?" in page.tab.inner_text(".ib-replay [aria-label=Conversation]")
    page.shots("replay")
    assert page.problems(axe) == []


TOKEN = """async () => {
  const { csrf } = await (await fetch('/v1/whoami')).json();
  const headers = {'X-IB-CSRF': csrf, 'Content-Type': 'application/json'};
  const asked = {method: 'POST', body: '{}', headers};
  return (await (await fetch('/v1/desk/tokens', asked)).json()).token; }"""


def boarded(page: Page, jupyter: lab.Lab) -> None:
    """See the same session on the board in an interviewer's notebook."""
    token = page.tab.evaluate(TOKEN)
    cells = [
        f"import os\nos.environ['IB_HOST_TOKEN'] = '{token}'\nfrom ib_kernel import SessionsWidget\n"
        f"SessionsWidget(host='{page.address}')"
    ]
    with jupyter.notebook("board_at_host.ipynb", cells) as sheet:
        sheet.run(0)
        sheet.wait_for_text(0, "1 of 1 sessions")
        sheet.page.click('.ib-sessions button[aria-label^="Noor T.,"]')
        sheet.wait_for_text(0, "Expired entries are removed")
        sheet.shot("board-at-host", 0)
