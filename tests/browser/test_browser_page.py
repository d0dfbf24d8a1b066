"""An interviewer's page and a candidate's line at once: each sees what the other did."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from pages import Page, signed_in

sys.path.insert(0, str(lab.ROOT / "tests" / "host"))

pytest.importorskip("uvicorn", reason="the host's extra is missing: pip install -e '.[host]'")

from hosts import RunningHost, joined

QUESTIONS = (
    "I'd start with a **token bucket**, one per user:\n\n```python\ndef allow(bucket, now):\n    "
    "bucket.refill(now)\n    return bucket.take(1)  # one token a request\n```",
    "When Redis is away I would let requests through, and count them.",
    "Redis' own clock, read inside the script.",
)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningHost]:
    """A host in a process of its own, with nothing in it yet."""
    with RunningHost(tmp_path / "data") as host:
        yield host


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host for tests that do not mind what others have left in it."""
    with RunningHost(tmp_path_factory.mktemp("shared") / "data") as host:
        yield host


@pytest.fixture
def visit(chromium: Any, shared: RunningHost) -> Iterator[Page]:
    """A tab of somebody who is signed in at the shared host."""
    with signed_in(chromium, shared.address, shared.new_link()) as opened:
        yield opened


@pytest.fixture
def page(chromium: Any, running: RunningHost) -> Iterator[Page]:
    """A tab of the person that the host's own link is for."""
    with signed_in(chromium, running.address, running.link) as opened:
        yield opened


def invite(page: Page, candidate: str, **fields: str) -> str:
    """Fill in the form and return the line for the candidate."""
    page.open("/new", "What the candidate gets")
    page.tab.fill("#candidate", candidate)
    given = {
        "role": "Backend engineer",
        "level": "senior",
        "token_budget": "20 000",
        "minutes": "45",
        **fields,
    }
    for name, value in given.items():
        page.tab.fill(f"#{name}", value)
    page.tab.select_option("#challenge", "rate-limiter")
    page.press("Create invitation")
    page.wait_for(f"Invitation for {candidate}")
    page.press("Copy line")
    page.wait_for("Copied")
    line: str = page.tab.evaluate("() => navigator.clipboard.readText()")
    return line


def test_both_sides_see_what_the_other_did(visit: Page, tmp_path: Path, axe: str) -> None:
    """Invite, join, three turns, more tokens, a line, pause, resume and end; every view is looked at."""
    page = visit
    line = invite(page, "Noor T.")
    assert line.startswith("%interview join ")
    there = joined(line.removeprefix("%interview join "), tmp_path / "noor")
    page.wait_for("The candidate has joined")
    for question in QUESTIONS:
        there.interview.say_sync(question)
    page.wait_for("Running")
    page.wait_for("Redis' own clock")
    assert page.tab.locator(".turn .t-keyword").first.inner_text() == "def"

    page.press("Add tokens…")
    page.tab.fill("#dialog-amount", "5 000")
    page.press("Add tokens", within="dialog")
    page.tab.wait_for_selector("dialog", state="detached")
    sent = time.monotonic()
    while there.interview.service.totals(there.interview.session_id).token_budget != 25_000:
        time.sleep(0.02)
    page.wait_for("tokens left of 25 000")
    print(f"both sides had the new total after {time.monotonic() - sent:.2f} s")
    page.tab.fill("#line", "Ten more minutes are fine.")
    page.press("Say it")
    page.wait_for("Ten more minutes are fine.")
    page.tab.select_option("#phase", "design")
    page.press("Change phase")
    page.wait_for("the phase is now design by")
    assert there.interview.events()[-1].detail["phase"] == "design"
    page.tab.fill("#note", "asked about the clock first")
    page.press("Keep note")
    page.wait_for("asked about the clock first")
    page.tab.locator('input[name="crit-asks"]').nth(2).check(force=True)
    page.wait_for("Nobody else has rated it.")
    page.shots("session")
    assert page.problems(axe) == []

    page.press("Pause…")
    page.wait_for("The clock stops")
    page.press("Pause", within="dialog")
    page.wait_for("Paused")
    page.press("Resume")
    page.wait_for("Running")
    page.press("End…")
    page.wait_for("This cannot be undone")
    page.tab.keyboard.press("Escape")
    page.tab.wait_for_selector("dialog", state="detached")
    page.press("End…")
    page.press("End it", within="dialog")
    page.wait_for("Ended")
    page.open("/compare/rate-limiter", "Same conditions: set A")
    page.shots("compare")
    assert page.problems(axe) == []
    assert page.complaints == []
    assert all(url.startswith((page.address, "data:")) for url in page.requests)


def test_every_view_can_be_read_by_everybody(page: Page, axe: str) -> None:
    """Nothing for axe-core, enough contrast, nothing wider than a phone; pictures of each view."""
    page.wait_for("No interviews yet")
    page.shots("empty")
    invite(page, "Ilse V.")
    page.shots("invitation")
    assert page.problems(axe) == []
    for path, words, name in (
        ("/", "Ilse V.", "sessions"),
        ("/new", "What the candidate gets", "new"),
        ("/invitations", "Not used yet", "invitations"),
        ("/people", "coordinator", "people"),
        ("/doctor", "it adds up", "doctor"),
    ):
        page.open(path, words)
        page.shots(name)
        assert page.problems(axe) == [], name
    assert page.complaints == []


def test_two_hundred_sessions_are_one_table_whose_rows_change_in_place(
    page: Page, running: RunningHost, tmp_path: Path
) -> None:
    """A change somewhere makes no other row anew, and no task of the page takes long enough to be felt."""
    from ib_kernel.budget.service import TokenService
    from ib_kernel.settings import Settings

    service = TokenService(Settings(data_dir=running.data))
    made = [
        service.create_session(
            candidate=f"Candidate {i:03}", token_budget=20_000, model="demo", client="demo"
        )
        for i in range(200)
    ]
    page.open("/", "Candidate 199")
    assert page.tab.locator("tbody tr:not(.grp)").count() == 200
    page.tab.evaluate(
        """() => { window.made = 0; window.long = [];
          new MutationObserver(all => { for (const one of all) window.made +=
            [...one.addedNodes].filter(n => n.nodeName === 'TR').length; })
            .observe(document.querySelector('table'), {childList: true, subtree: true});
          new PerformanceObserver(list => window.long.push(...list.getEntries().map(e => e.duration)))
            .observe({type: 'longtask'}); }"""
    )
    page.tab.select_option("#sort", "newest")  # the order of nothing that happens now
    moved = page.tab.evaluate("() => { const n = window.made; window.made = 0; return n; }")
    assert moved <= 400
    for session in made[:20]:
        service.update_consumption(session.session_id, 1_000, 234)
    service.close()
    page.tab.wait_for_function(
        "() => [...document.querySelectorAll('.left-cell')].filter(n => /^18/.test(n.innerText)).length > 19",
        timeout=10_000,
    )
    assert page.tab.evaluate("() => window.made") == 0
    print("long tasks, ms:", page.tab.evaluate("() => window.long"))


def test_ten_tabs_share_one_connection_and_all_stay_live(visit: Page, shared: RunningHost) -> None:
    """More tabs than a browser has connections to one host."""
    tabs = [Page(visit.tab.context.new_page(), shared.address) for _ in range(9)]
    for tab in [*tabs, visit]:
        tab.open("/", "New interview")
    assert sum("/v1/desk/events" in url for tab in [visit, *tabs] for url in tab.requests) <= 2
    shared.invite("Backend engineer", "--candidate", "Tamar L.")
    for tab in [visit, *tabs]:
        tab.wait_for("Tamar L.")


def test_a_host_that_is_away_is_said_and_found_again(page: Page, running: RunningHost) -> None:
    """Since when, and that it tries again; nothing on the page is lost meanwhile."""
    page.wait_for("No interviews yet")
    running.kill()
    page.wait_for("No contact with the host since")
    running.start()
    page.tab.wait_for_function(
        "() => !document.body.innerText.includes('No contact with the host')", timeout=40_000
    )


def test_a_link_that_was_used_says_how_to_get_another(chromium: Any, shared: RunningHost) -> None:
    """And the token is out of the address before anything else happens."""
    link = shared.new_link()
    with signed_in(chromium, shared.address, link) as page:
        assert "ib_l_" not in page.tab.url
        context = chromium.new_context()
        again = Page(context.new_page(), shared.address)
        again.tab.goto(link)
        again.wait_for("You are not signed in")
        assert "ib_l_" not in again.tab.url
        context.close()
        page.press("Sign out")
        page.wait_for("You are not signed in")
