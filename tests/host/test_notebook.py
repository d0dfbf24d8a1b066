"""The candidate's notebook: a real shell against a real host, command by command."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import RunningHost
from notebook_shell import Notebook, notebook

from ib_kernel.cli import main


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host whose sessions the scripted interviewer answers."""
    with RunningHost(tmp_path_factory.mktemp("host")) as running:
        yield running


@pytest.fixture
def shell(host: RunningHost) -> Iterator[Notebook]:
    """A notebook with the extension loaded."""
    with notebook() as running:
        yield running


def test_an_interview_from_the_line_to_its_end(host: RunningHost, shell: Notebook) -> None:
    """Join, read the notice and the task, ask, look at the budget, read the transcript, end."""
    line = host.invite(
        "Backend engineer", "--candidate", "Ada", "--challenge", "rate-limiter", "--budget", "30000",
        "--minutes", "45",
    )  # fmt: skip
    shown = shell.ok(f"%interview join {line}").text
    assert "What is recorded" in shown
    assert "Joined: Ada · Backend engineer" in shown
    assert "30,000 tokens" in shown
    assert "clock starts with %interview begin" in shown
    assert "Begun" in shell.ok("%interview begin").text
    reply = shell.ok("%%interview\nI would use a token bucket.").text
    assert "turn 1" in reply
    assert "of 30,000 left" in reply
    gauge = shell.ok("%budget").text
    assert "Budget · Ada" in gauge
    assert "over 1 turn" in gauge
    assert "active" in shell.ok("%interview status").text
    assert "I would use a token bucket." in shell.ok("%interview transcript").text
    file = Path(os.environ["IB_DATA_DIR"]).parent / "ada.md"
    shell.ok(f"%interview transcript {file}")
    assert "I would use a token bucket." in file.read_text(encoding="utf-8")
    assert "Interview ended" in shell.ok("%interview end --yes").text
    assert "completed" in shell.fails("%%interview\nOne more?")


def test_more_time_for_one_person_is_given_on_the_command_line(host: RunningHost, shell: Notebook) -> None:
    """The person's own notebook shows their own limit, and not why; a factor that is none is refused."""
    status, said = host.ib_any("invite", "Backend engineer", "--minutes", "40", "--accommodation", "time=9")
    assert (status, "time=FACTOR above 1" in said, "\n" in said) == (1, True, False)
    status, said = host.ib_any("invite", "Backend engineer", "--accommodation", "time=1.25")
    assert (status, "needs a time limit" in said) == (1, True)
    line = host.invite("Backend engineer", "--minutes", "40", "--accommodation", "time=1.25")
    shown = shell.ok(f"%interview join {line}").text
    assert "50 min" in shown
    assert "1.25" not in shown + shell.ok("%interview status").text


def test_what_only_the_interviewer_can_do_is_one_line(host: RunningHost, shell: Notebook) -> None:
    """A candidate who tries is told who can, and nothing changes."""
    shell.ok(f"%interview join {host.invite('--candidate', 'Bob', '--budget', '9000')}")
    shell.ok("%interview begin")
    for cell in (
        "%budget 100000",
        "%budget --usd 5",
        "%interview pause",
        "%interview start --budget 99999",
        "%interview use abc",
        "%interview sessions",
        "%%interview -m gpt-4o\nHello",
        "%%interview -t 0.1\nHello",
        "%usage all",
        "%usage accuracy",
        "%%usage\nSELECT * FROM sessions",
    ):
        line = shell.fails(cell)
        assert "interviewer" in line, (cell, line)
    assert "9,000" in shell.ok("%budget").text


def test_a_restarted_kernel_goes_back_with_the_kept_token(host: RunningHost, shell: Notebook) -> None:
    """The token is in the data directory, for its owner only; the line itself works again there, too."""
    line = host.invite("--candidate", "Cleo")
    shell.ok(f"%interview join {line}")
    shell.ok("%%interview\nHello")
    with notebook() as again:
        assert "Back in the interview: Cleo" in again.ok("%interview join").text
        assert "turn 2" in again.ok("%%interview\nHello again").text
        assert "Back in the interview: Cleo" in again.ok(f"%interview join {line}").text
    (kept,) = (Path(os.environ["IB_DATA_DIR"]) / "joined").iterdir()
    assert kept.stat().st_mode & 0o077 == 0


def test_leaving_goes_back_to_sessions_of_ones_own(host: RunningHost, shell: Notebook) -> None:
    """The interview stays as it is at the host; --forget makes coming back need a new line."""
    shell.ok(f"%interview join {host.invite('--candidate', 'Dan')}")
    assert "goes on there" in shell.ok("%interview leave").text
    shell.ok("%interview start --candidate Own --budget 5000")
    assert "Own" in shell.ok("%interview status").text
    assert "Dan" in shell.ok("%interview join").text
    shell.ok("%interview leave --forget")
    assert "No interview" in shell.fails("%interview join")


def test_trying_a_host_uses_nothing_up(host: RunningHost, shell: Notebook) -> None:
    """The code is not sent: it works afterwards."""
    line = host.invite("--candidate", "Eve")
    shown = shell.ok(f"%interview join --test {line}").text
    assert "reached" in shown
    assert "versions fit" in shown
    assert "nothing was used up" in shown
    assert "Joined: Eve" in shell.ok(f"%interview join {line}").text


def test_mistakes_in_the_line_are_one_line(host: RunningHost, shell: Notebook) -> None:
    """What is missing is named, and a code is never repeated."""
    assert "CODE@https://" in shell.fails("%interview join 7F3K-92QX-4MDP-W8ZT")
    assert "sixteen" in shell.fails(f"%interview join 7F3K-92QX@{host.address}")
    assert "another machine" in shell.fails("%interview join 7F3K-92QX-4MDP-W8ZT@http://example.com")
    unknown = shell.fails(f"%interview join 7F3K-92QX-4MDP-W8ZT@{host.address}")
    assert "new line" in unknown
    assert "7F3K" not in unknown
    assert "cannot be reached" in shell.fails("%interview join 7F3K-92QX-4MDP-W8ZT@http://127.0.0.1:9")
    assert "No session yet" in shell.fails("%interview begin")


def test_a_gauge_that_lives_follows_the_host(host: RunningHost, shell: Notebook) -> None:
    """The widget reads the session that was joined, and sees a turn and the session's end."""
    from ib_kernel import BudgetWidget

    shell.ok(f"%interview join {host.invite('--candidate', 'Finn', '--budget', '20000')}")
    shell.ok("%interview begin")
    widget = BudgetWidget()
    try:
        assert (widget.budget, widget.used, widget.status) == (20_000, 0, "active")
        shell.ok("%%interview\nHello")
        wait_until(lambda: widget.used > 0)
        widget._asked(None, {"do": "add_tokens", "tokens": 5, "n": 1}, None)
        shell.ok("%interview end --yes")
        wait_until(lambda: widget.status == "completed")
        assert widget.budget == 20_000
    finally:
        widget.close()


def wait_until(true: object, seconds: float = 60.0) -> None:
    """Wait until a condition holds, for a busy machine's time at most."""
    ends = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < ends, "it did not become true"
        time.sleep(0.05)


def test_looking_ahead_and_being_refused_at_a_host(host: RunningHost, shell: Notebook) -> None:
    """What a text would take is the host's count; a refusal advises what a candidate can do."""
    line = host.invite("--candidate", "Gus", "--challenge", "rate-limiter", "--budget", "1300")
    shell.ok(f"%interview join {line}")
    shell.ok("%interview begin")
    said = shell.ok("%%interview --dry-run -n 50\nI would use a token bucket.").text
    assert "Not sent. The prompt has" in said
    assert "Turns that fit, this one included: " in said
    refused = shell.fails("%%interview\n" + "word " * 200)
    assert "-n " in refused
    assert "ask your interviewer for more tokens" in refused
    assert "%budget" not in refused
    answer = shell.ok("%%interview -n 50\nI would use a token bucket.").text
    assert re.search(r"[\d,]+ of 1,300 left", answer)
    assert "interviewer" in shell.fails("%interview extend --tokens 500")


def test_an_invitation_says_what_is_charged(host: RunningHost, shell: Notebook) -> None:
    """The candidate reads it at the start, in the footer and in the gauge."""
    line = host.invite("--candidate", "Hal", "--challenge", "rate-limiter", "--charge", "new")
    assert "charged for what turns add" in shell.ok(f"%interview join {line}").text
    shell.ok("%interview begin")
    reply = shell.ok("%%interview\nI would use a token bucket.").text
    assert re.search(r"\d charged · 49,\d{3} of 50,000 left · about \d+ more turns", reply)
    assert "what turns added" in shell.ok("%budget").text


def test_a_candidate_sees_their_own_timeline(host: RunningHost, shell: Notebook) -> None:
    """The conversation, checks, hints and refusals with what was left; nothing that is the interviewer's."""
    line = host.invite("--candidate", "Ida", "--challenge", "lru-cache", "--budget", "20000")
    shell.ok(f"%interview join {line}")
    shell.ok("%interview begin")
    shell.ok("%%interview\nI would keep an OrderedDict.")
    shell.ok("%interview hint")
    shell.run("%interview check --cell 1")
    shell.fails("%%interview -n 19900\nMay I have a longer answer?")
    shown = shell.ok("%interview timeline").text
    for part in ("question 1", "reply 1", "hint 1", "refused: 19,900 tokens needed"):
        assert part in shown, part
    left = [int(n.replace(",", "")) for n in re.findall(r"([\d,]+)$", shown, re.MULTILINE)]
    assert left[0] == 20_000 > left[-1]
    assert "joined" not in shown
    assert "hint 1" in shell.ok("%interview timeline --only checks").text
    assert "question" not in shell.ok("%interview timeline --only failed").text


def test_a_candidate_reads_what_was_released_and_objects(
    host: RunningHost, shell: Notebook, tmp_path: Path
) -> None:
    """Nothing before; then the edition that the interviewer has written, and an objection that they read."""
    line = host.invite("Engineer", "--candidate", "Noor", "--challenge", "rate-limiter", "--budget", "30000")
    shell.ok(f"%interview join {line}")
    shell.ok("%%interview\nOne Lua script makes check and update one atomic step.")
    shell.ok("%interview end --yes")
    mine, theirs = tmp_path / "mine.md", tmp_path / "team.md"
    assert "No report was released to you yet" in shell.fails(f"%interview report {mine}")
    assert "interviewer's" in shell.fails("%interview judge")
    assert "interviewer's" in shell.fails('%interview feedback atomic --next "x"')
    session, data = shell.magics.engine.session_id or "", ["--data", str(host.data)]
    edition = [str(tmp_path / "noor.md"), "--for", "candidate", "--release"]
    assert main(["report", session, *edition, *data]) == 0
    shell.ok(f"%interview report {mine}")
    assert "Your interview" in mine.read_text(encoding="utf-8")
    assert "Kept with the record" in shell.ok("%interview object the outage in turn 1").text
    assert main(["report", session, str(theirs), *data]) == 0
    assert "the outage in turn 1" in theirs.read_text(encoding="utf-8")
