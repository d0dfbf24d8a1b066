"""Challenges and prompts: what the candidate sees, what only the model sees, and that texts stay intact."""

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ib_challenges
from ib_kernel.errors import BuddyError, ConfigError, UnknownName
from ib_kernel.interview.challenges import Challenge, list_challenges, load_challenge, parse_challenge
from ib_kernel.interview.prompts import VERSIONS, build_messages, expand_vars, prompt_version, system_prompt
from ib_kernel.plugin.manager import Plugins
from ib_kernel.values import Message, NewSession

PLUGINS = Plugins([ib_challenges])
SHIPPED = list_challenges(PLUGINS)
AWKWARD = st.text(alphabet=st.sampled_from("{}$%\\`<>/[]()\n\t aé字𝛼'\"#-+=_ax"), max_size=200) | st.text()


def session(**changes) -> NewSession:
    """Build a session as the ledger would hold it."""
    given_ = {"session_id": "s", "candidate": "Ada", "token_budget": 20_000, "model": "gpt-5.4-mini"}
    return NewSession(**{**given_, "role": "Backend engineer", "level": "senior", **changes})


# --- the prompts' versions

TEXTS = {"interviewer-1": "c06db8cfc4657a1a", "assistant-1": "f69ca99def24044f"}
"""The beginning of each prompt's SHA-256, under the version that calls record."""


@pytest.mark.parametrize("persona", VERSIONS)
def test_a_prompt_that_is_changed_gets_a_new_version(persona: str) -> None:
    """Rows say which prompt was used: raise its number in prompts.py, and note the new text here."""
    text = (files("ib_kernel.interview") / "data" / "prompts" / f"{persona}.md").read_text(encoding="utf-8")
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == TEXTS[prompt_version(persona)]


# --- challenges


def test_the_shipped_challenges() -> None:
    """At least six challenges ship, rate-limiter among them, each under its own name."""
    names = [challenge.name for challenge in SHIPPED]
    assert len(names) >= 6
    assert "rate-limiter" in names
    assert names == sorted(set(names))


@pytest.mark.parametrize("challenge", SHIPPED, ids=lambda challenge: challenge.name)
def test_every_shipped_challenge_is_complete(challenge: Challenge) -> None:
    """Every shipped challenge has a title, roles, a level, a task, notes and a rubric."""
    assert load_challenge(challenge.name, PLUGINS) == challenge
    assert challenge.title in challenge.text
    assert challenge.roles
    assert challenge.level
    assert 80 < len(challenge.text.split()) < 320
    assert 80 < len(challenge.notes.split()) < 260
    assert len(challenge.rubric) >= 4


@pytest.mark.parametrize("challenge", SHIPPED, ids=lambda challenge: challenge.name)
def test_notes_are_not_in_what_the_candidate_sees(challenge: Challenge) -> None:
    """No line of the notes or the rubric is in the task, in the repr, or in the assistant's prompt."""
    assistant, _ = system_prompt(session(persona="assistant"), challenge)
    for line in (*challenge.notes.splitlines(), *challenge.rubric):
        if line.strip():
            for seen in (challenge.text, repr(challenge), str(challenge), assistant):
                assert line.strip() not in seen


@pytest.mark.parametrize("challenge", SHIPPED, ids=lambda challenge: challenge.name)
def test_the_interviewer_gets_everything(challenge: Challenge) -> None:
    """The interviewer's prompt holds the task, the notes and the rubric, unchanged."""
    text, version = system_prompt(session(), challenge)
    assert challenge.text in text
    assert challenge.notes in text
    assert all(line in text for line in challenge.rubric)
    assert version == "interviewer-1"


def test_an_unknown_challenge_gets_a_hint() -> None:
    """A misspelt name is refused with the shipped names and the nearest one."""
    with pytest.raises(UnknownName) as caught:
        load_challenge("rate-limitter")
    assert "did you mean rate-limiter?" in str(caught.value)
    assert "url-shortener" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plain_file_is_the_task(tmp_path: Path) -> None:
    """A user's text file without front matter is the task as a whole."""
    file = tmp_path / "My task.txt"
    file.write_text("# Sort $5 {bills}\r\n\r\nQuickly.", encoding="utf-8")
    challenge = load_challenge(file)
    assert (challenge.name, challenge.title) == ("My task", "Sort $5 {bills}")
    assert challenge.text == "# Sort $5 {bills}\n\nQuickly."
    assert (challenge.notes, challenge.rubric, challenge.origin) == ("", (), str(file))


def test_a_file_with_front_matter(tmp_path: Path) -> None:
    """A user's file may have front matter and notes like the shipped ones."""
    file = tmp_path / "x.md"
    file.write_text(
        '+++\nname = "mine"\ntitle = "Mine"\nrubric = ["r"]\n+++\nDo it.\n<!-- interviewer -->\nSecret.',
        encoding="utf-8",
    )
    challenge = load_challenge(str(file))
    assert (challenge.name, challenge.title, challenge.text) == ("mine", "Mine", "Do it.")
    assert (challenge.notes, challenge.rubric) == ("Secret.", ("r",))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "cannot read"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"", "no text"),
        (b"+++\nname = 1\n+++\nx", "not text"),
        (b"+++\nroles = 'x'\n+++\nx", "list of texts"),
        (b"+++\nname =\n+++\nx", "not TOML"),
        (b"+++\nname = 'x'\n", "never closes"),
        (b"x" * 300_000, "at most"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes | None, part: str) -> None:
    """A challenge file that cannot be used is one line that names the file."""
    file = tmp_path / "c.md"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_challenge(file)
    assert part in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_text_files_are_read(tmp_path: Path) -> None:
    """A path with another suffix is refused, and a folder that is no challenge's."""
    with pytest.raises(ConfigError, match=r"a challenge is a folder, a \.md or a \.txt file"):
        load_challenge(tmp_path / "task.docx")
    with pytest.raises(ConfigError, match=r"has no challenge\.md"):
        load_challenge(tmp_path)


@given(st.text())
def test_parsing_never_fails_otherwise(source: str) -> None:
    """Any text is either a challenge or refused with one of our errors."""
    try:
        challenge = parse_challenge(source, "n", "f.md")
    except BuddyError:
        return
    assert challenge.text


# --- prompts


@given(AWKWARD.filter(str.strip), AWKWARD, AWKWARD)
def test_nobodys_text_is_changed(task: str, question: str, earlier: str) -> None:
    """Braces, dollars and anything else in the task, the history and the question survive unchanged."""
    challenge = Challenge("n", "t", task, notes="$candidate {role} " + task)
    history = [Message(1, "user", earlier), Message(1, "assistant", earlier)]
    messages = build_messages(session(), challenge, history, question)
    assert messages[-1] == {"role": "user", "content": question}
    assert [m["content"] for m in messages[1:-1]] == ([earlier] * 2 if earlier else [])
    assert task in messages[0]["content"]
    assert challenge.notes in messages[0]["content"]


def test_history_keeps_its_order_and_its_kinds() -> None:
    """History goes between system prompt and question; only what user and assistant said counts."""
    history = [
        Message(1, "user", "a"),
        Message(1, "assistant", "b", partial=True),
        Message(2, "system", "never"),
        Message(2, "assistant", ""),
    ]
    messages = build_messages(session(), None, history, "c")
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
    assert [m["content"] for m in messages[1:]] == ["a", "b", "c"]


@pytest.mark.parametrize("persona", VERSIONS)
@pytest.mark.parametrize("challenge", [None, SHIPPED[0]])
def test_every_placeholder_is_filled(persona: str, challenge: Challenge | None) -> None:
    """Both prompts are filled completely, with and without a challenge, and carry their version."""
    text, version = system_prompt(session(persona=persona), challenge)
    assert not re.search(r"\$\w+|\$\{", text)
    assert version == prompt_version(persona) == f"{persona}-{VERSIONS[persona]}"
    name = f"{challenge.name} - {challenge.title}" if challenge else "none"
    for line in (f"Persona: {persona}", "Candidate: Ada", "Role: Backend engineer", "Level: senior"):
        assert f"\n{line}\n" in text
    assert f"\nChallenge: {name}\n" in text


@given(st.text())
def test_values_cannot_start_a_line(value: str) -> None:
    """A candidate's name or a role stays on its own line, whatever it contains."""
    text, _ = system_prompt(session(candidate=value, role=value), None)
    plain, _ = system_prompt(session(candidate="Ada", role="Engineer"), None)
    assert len(text.splitlines()) == len(plain.splitlines())


def test_a_prompt_is_the_same_all_session_long() -> None:
    """The system prompt depends on nothing that changes during a session, so that it can be cached."""
    challenge = load_challenge("lru-cache")
    first = build_messages(session(), challenge, [], "a")[0]
    assert build_messages(session(), challenge, [Message(1, "user", "a")], "b")[0] == first


def test_an_unknown_persona_is_refused() -> None:
    """A persona without a prompt is refused with the known ones."""
    with pytest.raises(UnknownName, match="did you mean interviewer"):
        system_prompt(session(persona="intervewer"), None)


# --- variables


def test_variables_are_expanded_once() -> None:
    """Bare names are replaced by their text; a value is not expanded again."""
    names = {"n": 3, "größe": [1], "again": "{{n}} $n %s {n}"}
    assert expand_vars("{{n}} {{ größe }} {{again}}", names) == "3 [1] {{n}} $n %s {n}"


@pytest.mark.parametrize(
    "text", ["{{a.b}}", "{{a[0]}}", "{{f()}}", "{{a b}}", "{n}", "{{1}}", "{{}}", "$n", "{{\nn}}"]
)
def test_everything_else_is_left_alone(text: str) -> None:
    """Attributes, expressions and single braces stay as they are."""
    assert expand_vars(text, {"a": 1, "b": 2, "n": 3, "f": print}) == text


def test_an_unknown_variable_is_named() -> None:
    """An unknown name is one line with the nearest name; private names are not offered."""
    with pytest.raises(ConfigError) as caught:
        expand_vars("x {{my_cod}}", {"my_code": 1, "_my_cod": 2})
    assert str(caught.value) == "--vars: no variable called 'my_cod'; did you mean my_code?"


def test_a_value_that_cannot_be_shown() -> None:
    """A value whose text cannot be made is one line that names it."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("secret detail")

    with pytest.raises(ConfigError, match="'b' cannot be shown as text: RuntimeError") as caught:
        expand_vars("{{b}}", {"b": Broken()})
    assert "secret" not in str(caught.value)


@given(AWKWARD)
def test_text_without_variables_is_unchanged(text: str) -> None:
    """Without a variable in it, any text comes back as it was."""
    if not re.search(r"\{\{[ \t]*[^\W\d]\w*[ \t]*\}\}", text):
        assert expand_vars(text, {}) == text
