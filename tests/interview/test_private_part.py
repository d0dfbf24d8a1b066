"""A challenge's notes and criteria are given to the model, and to nobody who asks a session."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notebook_shell import notebook

import ib_challenges
from ib_kernel import Interview, Settings
from ib_kernel.errors import ConfigError
from ib_kernel.interview.challenges import Challenge, load_challenge, parse_challenge
from ib_kernel.plugin.manager import Plugins

SECRET = "zebrafish"
"""Stands in notes and criteria only."""

FILE = f"""\
+++
name = "mine"
title = "Mine"
rubric = ["knows {SECRET}"]
+++
Do it.

<!-- interviewer -->
{SECRET}"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A challenge file of the interviewer's own."""
    file = tmp_path / "own.md"
    file.write_text(FILE, encoding="utf-8")
    return file


# --- marks


def parsed_or_refused(source: str, advice: str) -> Challenge | None:
    """The challenge, or None when it is refused with *advice* and without what is private."""
    try:
        return parse_challenge(source, "n", "f.md")
    except ConfigError as error:
        refused = str(error)
    assert advice in refused
    assert SECRET not in refused
    return None


def cased(word: str) -> st.SearchStrategy[str]:
    """The word in any mixture of cases, now and then with something invisible in it."""
    alike = str.maketrans("ieowvnt", "\u0456\u0435\u043e\u051d\u0475\u043f\u0442")
    letters = [
        st.sampled_from([c, c.lower(), c.upper(), c + "\u200b", c + "\ufeff", c.translate(alike)])
        for c in word
    ]
    return st.tuples(*letters).map("".join)


spaces = st.text(" \t\u00a0\u3000", max_size=3)
markers = st.tuples(
    spaces,
    st.sampled_from(
        ["<!--", "<!---", "<!- -", "<!—", "<! --", "＜!--", "<!-", "&lt;!--", "[//]: # (", "<!–"]
    ),
    spaces,
    cased("interviewer"),
    st.sampled_from(["", "", "'s notes", " notes", ":"]),
    spaces,
    st.sampled_from(["-->", "--->", "->", "—>", "--＞", "", "--&gt;", ")", "–>"]),
    spaces,
).map("".join)


@given(
    marker=markers,
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    start=st.sampled_from(["", "\ufeff", "\ufeff\ufeff", "\n\n"]),
)
def test_notes_after_anything_like_a_marker_are_never_shown(marker: str, ends: str, start: str) -> None:
    """A marker in any case, spacing or width is recognised, or refuses the file; it is never task text."""
    source = start + ends.join(["# Task", "", "Do it.", marker, SECRET])
    challenge = parsed_or_refused(source, "<!-- interviewer -->")
    if challenge is not None:
        assert SECRET not in challenge.text
        assert challenge.notes == SECRET


@given(
    fence=st.sampled_from(
        [
            "+++",
            " +++",
            "\t+++ ",
            "\u00a0+++",
            "＋＋＋",
            "+ + +",
            "++++",
            "---",
            "+++ toml",
            "----",
            "#+++",
            "`+++`",
        ]
    ),
    start=st.sampled_from(["", "\ufeff", "\ufeff\ufeff", "\n \n", "\r\n"]),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_criteria_in_anything_like_front_matter_are_never_shown(fence: str, start: str, ends: str) -> None:
    """Front matter is recognised after spaces and byte-order marks; other kinds of it refuse the file."""
    source = start + ends.join([fence, f'rubric = ["{SECRET}"]', fence, "Do it."])
    challenge = parsed_or_refused(source, "+++")
    if challenge is not None:
        assert challenge.text == "Do it."
        assert challenge.rubric == (SECRET,)


@pytest.mark.parametrize(
    "line",
    [
        "## Interviewer notes",
        "**For the interviewer**",
        "Notes for the interviewer:",
        "see <!-- interviewer -->",
        "<!-- for the interviewer only -->",
        "=== INTERVIEWER ===",
        "%% interviewer %%",
        "***Interviewer***",
    ],
)
def test_a_heading_of_notes_without_a_marker_refuses_the_file(line: str) -> None:
    """The line says where the marker belongs."""
    with pytest.raises(ConfigError, match=r"write <!-- interviewer --> on a line of its own"):
        parse_challenge(f"Do it.\n\n{line}\n\n{SECRET}", "n", "f.md")


@pytest.mark.parametrize("first", ["```toml", "Title", "{"])
def test_front_matter_that_does_not_come_first_refuses_the_file(first: str) -> None:
    """A closing fence without an opening one shows that criteria stand in the task."""
    with pytest.raises(ConfigError, match="does not begin with one"):
        parse_challenge(f'{first}\nrubric = ["{SECRET}"]\n+++\nDo it.', "n", "f.md")


@pytest.mark.parametrize(
    "text",
    [
        "The interviewer plays the client.\n\n- an interviewer asks\n- <b>no</b>",
        "--- \n\n# Heading".replace("--- \n", "# Rule\n---\n"),
        "Compare `a -> b` and <!-- a comment -->",
    ],
)
def test_tasks_that_speak_of_interviewers_stay_tasks(text: str) -> None:
    """What is no mark is the task, unchanged."""
    assert parse_challenge(text, "n", "f.md").text == text


# --- sessions


def test_no_row_value_or_repr_of_a_session_holds_the_private_part(settings: Settings, own: Path) -> None:
    """Not the session, its challenge, nor any table; the model's prompt has it."""
    with Interview(settings) as buddy:
        session = buddy.start("Engineer", challenge=str(own))
        assert SECRET in json.dumps(buddy.ask("Hi")._turn.ask.request.messages[0])
        buddy.say_sync("I would begin like this.")
        given = buddy.challenge(session)
        assert given is not None
        assert given.text == "Do it."
        shown = f"{session!r} {session.meta} {vars(given) if hasattr(given, '__dict__') else given!r}"
        shown += f"{given.notes}{given.rubric}{buddy!r}"
        for table in ("sessions", "calls", "messages", "events", "session_usage"):
            shown += str(buddy.service.store.sql(f"FROM {table}").fetchall())
        assert SECRET not in shown
    for file in settings.data_dir.glob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file.name


def test_the_notes_outlive_their_file_and_the_kernel(settings: Settings, own: Path) -> None:
    """A session goes on with the notes it was given, from a file that only its owner can read."""
    with Interview(settings) as buddy:
        session_id = buddy.start("Engineer", challenge=str(own)).session_id
    own.unlink()
    with Interview(settings, session_id=session_id) as again:
        kept = again._parts.given.of(again.session)
        assert kept is not None
        assert (kept.notes, kept.rubric) == (SECRET, (f"knows {SECRET}",))
    (private,) = (settings.data_dir / "challenges").iterdir()
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["{", "[]", '{"notes": "x"}', "", None])
def test_a_session_goes_on_without_notes_that_are_lost(
    settings: Settings, own: Path, damage: str | None
) -> None:
    """A damaged or missing file costs the notes, not the session."""
    with Interview(settings) as buddy:
        session = buddy.start("Engineer", challenge=str(own))
        (private,) = (settings.data_dir / "challenges").iterdir()
        private.unlink() if damage is None else private.write_text(damage)
    with Interview(settings, session_id=session.session_id) as again:
        assert again.say_sync("Hello").text
        assert again.challenge(again.session) == load_like(session.challenge)


def load_like(name: str) -> object:
    """The candidate's part of `FILE` as a session gives it."""
    parsed = parse_challenge(FILE, name, "recorded")
    return parsed.candidates_part()


@pytest.mark.parametrize("private_id", ["../../etc/passwd", "x" * 32, 7, None, "", "A" * 32])
def test_an_id_that_is_not_ours_reads_nothing(settings: Settings, private_id: object) -> None:
    """What stands in a session's row cannot name a file elsewhere."""
    from ib_kernel.values import private_part

    assert private_part.read(settings.data_dir, private_id) == {}


def test_a_shipped_challenge_is_handed_out_without_its_notes(settings: Settings) -> None:
    """Also where everybody can read the file, a session does not serve it."""
    plugins = Plugins([ib_challenges])
    with Interview(settings, plugins=plugins) as buddy:
        given = buddy.challenge(buddy.start(challenge="rate-limiter"))
        assert given is not None
        assert (given.notes, given.rubric) == ("", ())
        assert load_challenge("rate-limiter", plugins).notes


def test_no_command_shows_the_private_part(own: Path) -> None:
    """Start, status, use, transcript and SQL over everything."""
    with notebook() as book:
        ran = [
            book.ok(f"%interview start Engineer --challenge {own}"),
            book.ok("%%interview\nMy answer is this."),
        ]
        ran += [book.ok(f"%interview {word}") for word in ("status", "sessions", "transcript")]
        ran += [book.ok(f"%%usage\nFROM {table}") for table in ("sessions", "messages", "events", "calls")]
        ran.append(book.ok("from ib_kernel import current_interview as c\nc().challenge(c().session)"))
        ran.append(book.ok("c().session"))
        assert SECRET not in "".join(f"{one.text}{one.html}{one.result!r}" for one in ran)
