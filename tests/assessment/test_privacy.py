"""Whose rows are meant, and what is typed: `ib export`, `ib erase`, `ib retention`."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from ib_kernel.assessment.privacy import Ambiguous, due, find_person, mentions, told
from ib_kernel.budget.service import TokenService
from ib_kernel.cli import main
from ib_kernel.errors import ConfigError, UnknownName
from ib_kernel.interview.interview import Interview
from ib_kernel.settings import Settings
from ib_kernel.values.erasure import Erasure
from ib_kernel.values.privacy import KnownSession

DAY = 86_400.0


class Known:
    """A ledger that knows sessions and nothing else."""

    def __init__(self, *sessions: KnownSession) -> None:
        self.sessions = sessions

    def known_sessions(self) -> list[KnownSession]:
        """Return them."""
        return list(self.sessions)


def of(session_id: str, name: str = "Ada", external: str = "", **more: object) -> KnownSession:
    """Return a session of somebody."""
    return KnownSession(session_id, name, external, "completed", 1_790_000_000.0, **more)  # type: ignore[arg-type]


def ids(*sessions: KnownSession, wanted: str = "", **how: object) -> Sequence[str]:
    """Return the ids of the sessions that are found."""
    return find_person(Known(*sessions), wanted, **how).session_ids  # type: ignore[arg-type]


def test_an_id_names_one_person_whatever_they_are_called() -> None:
    """All sessions with that id, under any name, and nobody else of the same name."""
    found = ids(of("a", "Ada", "c-1"), of("b", "Ada L.", "c-1"), of("c", "Ada", "c-2"), wanted="c-1")
    assert found == ["a", "b"]


def test_a_name_is_taken_where_it_can_mean_one_person_only() -> None:
    """One session, or one id; else the matches are told and nothing is meant."""
    assert ids(of("a"), of("b", "Grace"), wanted="ada") == ["a"]
    assert ids(of("a", external="c-1"), of("b", external="c-1"), wanted="Ada") == ["a", "b"]
    for others in ([of("b")], [of("b", external="c-2")]):
        with pytest.raises(Ambiguous, match="2 sessions are of somebody called Ada") as several:
            ids(of("a"), *others, wanted="Ada")
        assert [s.session_id for s in several.value.matches] == ["a", "b"]
    assert ids(of("a"), of("b"), wanted="Ada", everything=True) == ["a", "b"]


def test_sessions_about_a_person_go_along() -> None:
    """A judge's session has their words, and is nobody's own."""
    judged = of("j", "judge", about="a")
    assert ids(of("a"), judged, of("b", "Grace"), wanted="Ada") == ["a", "j"]
    assert ids(of("a"), judged, session_ids=["a"]) == ["a", "j"]
    with pytest.raises(UnknownName):
        ids(of("a"), judged, wanted="judge")


@pytest.mark.parametrize(
    ("wanted", "session_ids", "line"),
    [
        ("", [], "give --candidate-id ID, or --session ID"),
        ("Adda", [], "no candidate has the id or the name 'Adda'.*Ada"),
        ("", ["x"], "no sessions begin with 'x'"),
        ("", ["s"], "2 sessions begin with 's'"),
    ],
)
def test_nobody_is_said_in_one_line(wanted: str, session_ids: list[str], line: str) -> None:
    """With what was typed, and what to type instead."""
    with pytest.raises(ConfigError, match=line) as refused:
        ids(of("s1"), of("s2", "Grace"), wanted=wanted, session_ids=session_ids)
    assert "\n" not in str(refused.value)


def test_what_is_due_is_told_oldest_first() -> None:
    """By `keep_until`, session by session; what has no date is never due."""
    store = Known(of("a", keep_until=5.0), of("b", keep_until=3.0), of("c"), of("d", keep_until=11.0))
    assert [person.session_ids for person in due(store, 10.0)] == [["b"], ["a"]]


def test_the_places_that_are_not_reached_are_named() -> None:
    """The ledger's own, notebooks, exported files, logs, the service, and others' texts."""
    lines = told(
        Erasure(("a",), {"messages": 2}, ("hot.sqlite3",), (), ("WAL archives",)), ["openai gpt-x"], ["b"]
    )
    for word in ("2 of messages", "WAL archives", "notebooks", "exports", "openai gpt-x", "response_id", "b"):
        assert any(word in line for line in lines)


# --- typed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a ledger in which Ada and Grace have been interviewed, and Zoe is."""
    folder = tmp_path_factory.mktemp("made")
    with Interview(Settings(data_dir=folder, client="demo")) as buddy:
        for name, external in (("Ada Lovelace", "c-1"), ("Grace Hopper", "c-2")):
            buddy.start(candidate=name, candidate_id=external, keep_until=1.0, challenge="rate-limiter")
            buddy.say_sync(f"I am {name}, <script>zebrafink</script> says Ada Lovelace.")
            buddy.service.complete(buddy.session.session_id)
        buddy.start(candidate="Zoe", candidate_id="c-3", keep_days=10)
    return folder


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test."""
    return shutil.copytree(made, tmp_path / "data")


def ib(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Run `ib` and return its status and all that it printed."""
    status = main([str(word) for word in words])
    said = capsys.readouterr()
    return status, (said.out + said.err).strip()


def test_an_export_has_every_row_and_nobody_elses(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path
) -> None:
    """JSON for programs, a page without scripts for people; the session records that it was made."""
    status, said = ib(capsys, "export", "--candidate-id", "c-1", "--out", tmp_path / "ada", "--data", data)
    assert status == 0, said
    found = json.loads((tmp_path / "ada" / "rows.json").read_text(encoding="utf-8"))
    page = (tmp_path / "ada" / "read.html").read_text(encoding="utf-8")
    assert found["names"] == ["Ada Lovelace", "c-1"]
    assert {table for table, rows in found["tables"].items() if rows} >= {
        "sessions",
        "calls",
        "messages",
        "events",
    }
    assert found["tables"]["messages"][0]["content"].startswith("I am Ada Lovelace")
    assert found["tasks"][0]["name"] == "rate-limiter"
    assert "Grace" not in json.dumps(found)
    assert "I am Ada Lovelace, &lt;script&gt;zebrafink" in page
    assert "<script" not in page
    assert (tmp_path / "ada" / "rows.json").stat().st_mode & 0o077 == 0
    assert ib(capsys, "export", "--candidate-id", "c-1", "--out", tmp_path / "ada", "--data", data)[0] == 1
    service = TokenService(Settings(data_dir=data))
    assert service.store.events(found["sessions"][0])[-1].kind == "exported"
    service.close()


def test_an_erasure_asks_first_and_says_what_it_could_not_reach(
    capsys: pytest.CaptureFixture[str], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody to ask: nothing is done. Anything but yes: nothing is done."""
    words = ("erase", "--candidate-id", "Ada Lovelace", "--data", data)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    status, said = ib(capsys, *words)
    assert status == 1
    assert "nothing was done" in said
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert ib(capsys, *words)[0] == 1
    status, said = ib(capsys, *words, "--yes")
    assert status == 0, said
    assert "erased: 1 session" in said
    assert "not reached: notebooks" in said
    assert "texts of other sessions that name the person" in said  # Grace has said the name
    status, said = ib(capsys, *words, "--yes")
    assert status == 1
    assert "no candidate has the id or the name" in said
    assert ib(capsys, "verify", "--data", data)[1].startswith("the chain and what was sent agree")
    assert "of people who were erased" in ib(capsys, "verify", "--data", data)[1]


def test_somebody_who_is_being_interviewed_is_not_erased(
    capsys: pytest.CaptureFixture[str], data: Path
) -> None:
    """One line says what to do first."""
    status, said = ib(capsys, "erase", "--candidate-id", "c-3", "--yes", "--data", data)
    assert status == 1
    assert "is active; end it first" in said


def test_retention_lists_and_erases_what_is_due(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    """Both that are over, and not the one that is kept for ten days more."""
    status, said = ib(capsys, "retention", "--data", data)
    assert status == 0
    assert "2 sessions due" in said
    assert "Zoe" not in said
    status, said = ib(capsys, "retention", "--erase", "--yes", "--data", data)
    assert status == 0, said
    assert said.count("erased: 1 session") == 2
    assert ib(capsys, "retention", "--data", data) == (0, "no session is kept longer than was said")


def test_keep_days_are_a_date_of_the_session(tmp_path: Path) -> None:
    """From the settings, or given; none where nobody said any."""
    with Interview(Settings(data_dir=tmp_path, client="demo", keep_days=3)) as buddy:
        kept = buddy.start(candidate="Ada")
        assert kept.keep_until is not None
        assert abs(kept.keep_until - kept.created_at - 3 * DAY) < 60
        longer = buddy.start(candidate="Ada", keep_days=9)
        assert longer.keep_until is not None
        assert abs(longer.keep_until - longer.created_at - 9 * DAY) < 60


def test_names_too_short_to_look_for_find_nothing() -> None:
    """A name of three letters is in ordinary words."""
    assert mentions(None, find_person(Known(of("a", "Ada")), "Ada")) == []
