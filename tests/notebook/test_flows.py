"""What people do in a notebook, and what should happen: starting, asking twice, looking ahead, mistakes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from notebook_shell import Notebook, Paced, notebook

from ib_kernel.values import Usage

START = '%interview start "Backend engineer" --candidate Ada --challenge rate-limiter'


@pytest.fixture
def nb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("IB_DEMO_DELAY_S", "0")
    with notebook() as running:
        yield running


class FrontEnd:
    """What a front end sends with each cell: a request of its own, and the cell's id where it has one."""

    def __init__(self, nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
        self._nb, self._numbers, self._cell = nb, itertools.count(), ""
        self._number = 0
        nb.shell.kernel = object()
        monkeypatch.setattr(nb.shell, "get_parent", self._parent, raising=False)

    def _parent(self) -> dict[str, Any]:
        return {
            "header": {"msg_id": str(self._number)},
            "metadata": {"cellId": self._cell} if self._cell else {},
        }

    def run(self, cell: str, cell_id: str = "") -> Any:
        """Run a cell under an id."""
        self._number, self._cell = next(self._numbers), cell_id
        return self._nb.ok(cell)


@pytest.fixture
def page(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> FrontEnd:
    return FrontEnd(nb, monkeypatch)


def turns(nb: Notebook) -> int:
    engine = nb.magics.engine
    return int(engine.service.totals(engine.session_id).turns)


# --- starting


def test_a_start_says_what_its_budget_carries(nb: Notebook) -> None:
    """In turns, with the sizes that are assumed."""
    said = nb.ok(f"{START} --budget 20000").text
    assert "The budget carries about 6 turns with questions of 150 and replies of 400 tokens." in said


def test_a_start_whose_budget_carries_none_is_refused(nb: Notebook) -> None:
    """With the least that does; nothing is started."""
    line = nb.fails(f"{START} --budget 500")
    assert "carries no turn" in line
    assert re.search(r"Give --budget 1\d{3} at least", line)
    assert nb.magics.engine.session_id is None
    assert "carries no turn with questions" in nb.ok(f"{START} --budget 1200").text


def test_the_same_start_twice_goes_on_with_an_untouched_session(nb: Notebook) -> None:
    """Run All twice opens one session; after a turn, or with another line, it is another."""
    nb.ok(START)
    first = nb.magics.engine.session_id
    assert "Going on with the same, untouched session" in nb.ok(START).text
    assert nb.magics.engine.session_id == first
    nb.ok("%%interview\nhello")
    said = nb.ok(START).text
    second = nb.magics.engine.session_id
    assert second != first
    assert f"Ada's session {first} stays active beside it: %interview use {first} goes back to it." in said
    nb.ok(f"{START} --minutes 30")
    assert nb.magics.engine.session_id not in (first, second)
    assert len(nb.magics.engine.service.store.sessions()) == 3


def test_a_changed_setting_is_another_start(nb: Notebook) -> None:
    """The same line under another budget means another session."""
    nb.ok(START)
    first = nb.magics.engine.session_id
    nb.ok("%config InterviewMagics.token_budget = 30000")
    nb.ok(START)
    assert nb.magics.engine.session_id != first


def test_a_name_of_two_words_is_one_name_or_a_question(nb: Notebook) -> None:
    """Never silently half of it."""
    nb.ok('%interview start "Backend engineer" --candidate Ada Lovelace')
    assert nb.magics.engine.interview.session.candidate == "Ada Lovelace"
    nb.ok("%interview start Backend engineer --candidate Ada Lovelace")
    session = nb.magics.engine.interview.session
    assert (session.candidate, session.role) == ("Ada Lovelace", "Backend engineer")


def test_a_session_that_was_only_opened_begins(nb: Notebook) -> None:
    """With its first turn, or with %interview begin."""
    service = nb.magics.engine.service
    created = service.create_session("Ada", 20_000, "demo", client="demo", start=False).session_id
    assert "created" in nb.ok(f"%interview use {created}").text
    nb.ok("%%interview\nhello")
    assert service.get_session(created).status == "active"
    other = service.create_session("Bob", 20_000, "demo", client="demo", start=False).session_id
    nb.ok(f"%interview use {other}")
    assert "Begun: Budget: 20,000 tokens" in nb.ok("%interview begin").text
    assert service.get_session(other).status == "active"


def test_ending_asks_first(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless --yes is said; where nobody can be asked, the line says so."""
    asked: list[str] = []
    answers = iter(["n", "y"])
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or next(answers))
    nb.ok(START)
    assert "Nothing was ended." in nb.ok("%interview end").text
    assert nb.magics.engine.interview.session.status == "active"
    assert "Interview ended: Ada" in nb.ok("%interview end").text
    assert asked[0].startswith("End Ada's interview for good (0 turns, ")
    nb.ok(START)

    def nobody(text: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    assert "%interview end --yes" in nb.fails("%interview end")
    assert "Interview ended" in nb.ok("%interview end --yes").text


def test_limits_are_extended_in_one_line(nb: Notebook) -> None:
    """Minutes and tokens; an expired session goes on."""
    nb.ok(f"{START} --minutes 10 --budget 20000")
    assert "20 min left" in nb.ok("%interview extend --minutes 10").text
    assert "25,000 of 25,000 tokens left" in nb.ok("%interview extend --tokens 5000").text
    assert "--minutes N or --tokens N" in nb.fails("%interview extend")
    nb.ok("%interview start --candidate Bob")
    assert "no time limit" in nb.fails("%interview extend --minutes 5")


def test_charge_is_said_at_the_start(nb: Notebook) -> None:
    """One of two words."""
    assert "--charge cannot be 'free'; allowed: one of billed, new" in nb.fails(f"{START} --charge free")


# --- asking


def test_an_answered_cell_is_not_sent_again_unasked(nb: Notebook, page: FrontEnd) -> None:
    """It would be charged: the reply is shown again, with the turn that it came in."""
    page.run(START, "a")
    first = page.run("%%interview\nI would use a token bucket.", "b")
    again = page.run("%%interview\nI would use a token bucket.", "b")
    assert turns(nb) == 1
    assert "Answered in turn 1; nothing was sent" in again.text
    assert first.data[-1]["text/plain"].split("\n\ndemo ·")[0] in again.data[-1]["text/plain"]
    page.run("%%interview --again\nI would use a token bucket.", "b")
    assert turns(nb) == 2
    page.run("%%interview\nI would use a leaky bucket.", "b")
    assert turns(nb) == 3


def test_another_cell_loop_session_or_front_end_may_say_the_same(nb: Notebook, page: FrontEnd) -> None:
    """Only the very same cell is asked about."""
    page.run(START, "a")
    text = "%%interview\nGo on."
    for cell_id in ("b", "c", "", ""):
        page.run(text, cell_id)
    assert turns(nb) == 4
    loop = "for _ in range(2):\n    get_ipython().run_cell_magic('interview', '', 'Go on.')"
    page.run(loop, "d")
    page.run(loop, "d")
    assert turns(nb) == 8
    page.run(START, "a")
    page.run(text, "b")
    assert turns(nb) == 1


def test_a_stopped_or_failed_cell_is_sent_again(nb: Notebook, page: FrontEnd) -> None:
    """What was not answered whole is not answered."""
    client = Paced(["only this"], usage=Usage(100, 20))
    nb.magics.engine.plugins.register(client, name="paced")
    page.run("%interview start --client paced", "a")

    def fail(i: int) -> None:
        raise RuntimeError("the service fell over")

    client.before = fail
    page._number, page._cell = 77, "b"
    nb.run("%%interview\nhello")
    client.before = lambda i: None
    assert "only this" in page.run("%%interview\nhello", "b").text


def test_a_front_end_without_updates_shows_a_reply_once_and_whole(nb: Notebook, page: FrontEnd) -> None:
    """jupyter console, papermill and nbconvert send no cell id; nothing is redrawn for them."""
    page.run(START)
    ran = page.run("%%interview\nI would use a token bucket.")
    assert ran.updates == 0
    assert len(ran.data) == 1
    assert "demo · turn 1 ·" in ran.data[0]["text/plain"]


def test_a_reply_that_was_cut_off_with_its_kernel_is_marked(nb: Notebook, page: FrontEnd) -> None:
    """Until its end an output says that it is unfinished; whoever reopens the notebook sees that."""
    client = Paced(["one ", "two"], usage=Usage(100, 20))
    nb.magics.engine.plugins.register(client, name="paced")
    page.run("%interview start --client paced", "a")
    ran = page.run("%%interview\nhello", "b")
    assert "unfinished, still arriving" in ran.data[0]["text/plain"]
    assert "unfinished" in ran.data[0]["text/html"]
    assert "unfinished" not in ran.data[-1]["text/plain"]


def test_a_dry_run_sends_nothing_and_says_what_it_would_take(nb: Notebook) -> None:
    """The prompt is the one that is counted at sending; what would be refused is said."""
    nb.ok(f"{START} --budget 20000")
    text = "I would use a token bucket."
    said = nb.ok(f"%%interview --dry-run\n{text}").text
    assert turns(nb) == 0
    foreseen = nb.magics.engine.interview.estimate(text)
    assert f"The prompt has {foreseen.prompt:,} tokens, {foreseen.new:,} of them new" in said
    assert "Turns that fit, this one included: 6" in said
    result = nb.ok(f"%%interview\n{text}").text
    assert f"{foreseen.prompt:,} in +" in result
    assert "and -n asks for 19,000" in nb.ok("%%interview --dry-run -n 19000\nhello").text
    assert "next turn: " in nb.ok("%budget").text


# --- small mistakes


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%budget -3", "budget cannot be '-3'"),
        ("%budget 0.5", "budget cannot be '0.5'"),
        ("%%interview\n", "nothing to send"),
        ("%%interview\n   \n", "nothing to send"),
        ("%%interview -n 0\nhello", "-n cannot be '0'"),
        ("%%interview -n -5\nhello", "-n "),
        ("%interview hello AI?", "begin the cell with %%interview"),
        ("%interview\nhello there, this is my answer", "begin the cell with two"),
        ("%interview extend --minutes 0", "--minutes cannot be '0'"),
        ("%interview extend --tokens -1", "--tokens"),
        ("%interview start --budget -5", "--budget"),
        ("%interview use", "needs a session's ID"),
    ],
)
def test_a_small_mistake_is_told_in_a_line_that_fits_it(nb: Notebook, cell: str, says: str) -> None:
    """One line, and nothing is sent or changed."""
    nb.ok(START)
    assert says in nb.fails(cell)
    assert turns(nb) == 0
