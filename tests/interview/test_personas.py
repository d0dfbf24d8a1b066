"""What the AI is: shipped personas, a plugin's, one's own from a file; phases; presets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ib_kernel.errors import ConfigError, Locked, NameClash, SessionInactive, UnknownName
from ib_kernel.evidence.timeline import timeline
from ib_kernel.interview.interview import Interview
from ib_kernel.interview.personas import load_persona, parse_persona, persona_names
from ib_kernel.interview.presets import read_preset, with_preset
from ib_kernel.interview.prompts import build_messages, system_prompt
from ib_kernel.plugin.hookspecs import hookimpl
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import NewSession

SOCRATIC = """+++
name = "socratic"
[phases]
design = "Ask for the second-best design, too."
duel = "Disagree once, politely."
+++
You interview $candidate for $role. Ask zebrafink questions only; it costs $$5 to answer one.
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A persona of one's own."""
    path = tmp_path / "mine" / "Socratic One.md"
    path.parent.mkdir()
    path.write_text(SOCRATIC, encoding="utf-8")
    return path


@pytest.fixture
def buddy(tmp_path: Path) -> Iterator[Interview]:
    """An interview with the demo client."""
    with Interview(Settings(data_dir=tmp_path / "data", client="demo")) as interview:
        yield interview


def session(persona: str = "interviewer") -> NewSession:
    """A session as it is opened."""
    return NewSession("s", "Ada", 1, "m", persona=persona)


def sent(buddy: Interview, turn: int) -> list[dict[str, str]]:
    """Return the messages that a turn has sent, as the ledger's own rebuilding has them."""
    (body, *_) = buddy.rebuilt(turn, model=buddy.session.model)
    return list(body["messages"])


def test_an_own_persona_is_filled_guarded_and_named_by_its_hash(own: Path) -> None:
    """Its text stands between the header that every prompt has, the task, and what protects an interview."""
    persona = load_persona(own)
    text, version = system_prompt(session(), None, persona)
    assert text.startswith("Persona: interviewer\nCandidate: Ada\nRole: Software engineer\n")
    assert "You interview Ada for Software engineer. Ask zebrafink questions only; it costs $5" in text
    assert "No challenge was chosen" in text
    assert text.rstrip().endswith("No score, verdict or hiring decision.")
    assert version == persona.version
    assert version.startswith("socratic-")
    assert len(version) == len("socratic-") + 12
    for changed in (SOCRATIC.replace("zebrafink", "hard"), SOCRATIC.replace("politely", "loudly")):
        assert parse_persona(changed, "socratic", own).version != version


def test_an_assistant_of_ones_own_gets_no_notes(own: Path) -> None:
    """`kind` decides what goes along, whatever the text says."""
    from ib_kernel.interview.challenges import load_challenge
    from ib_kernel.interview.challenges.model import Challenge

    challenge: Challenge = load_challenge("rate-limiter")
    noted = Challenge("x", "X", "The task.", notes="quaxen notes", rubric=("quaxen rubric",))
    helper = parse_persona('+++\nkind = "assistant"\n+++\nHelp with $task now.', "helper", own)
    text, _ = system_prompt(session(), noted, helper)
    assert "quaxen" not in text
    assert text.count("The task.") == 1
    assert "quaxen" in system_prompt(session(), noted, load_persona(own))[0]
    assert challenge.text in system_prompt(session(), challenge, helper)[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "has no text"),
        ("+++\nname = 1\n+++\nHi", "a name that is no text"),
        ("+++\nname = 'interviewer'\n+++\nHi", "is the shipped one's"),
        ("+++\nname = 'Two Words'\n+++\nHi", "lower-case letters"),
        ("+++\nkind = 'judge'\n+++\nHi", "it is interviewer or assistant"),
        ("+++\nkinds = 'judge'\n+++\nHi", "unknown 'kinds'"),
        ("+++\nphases = 'design'\n+++\nHi", "phases is a table"),
        ("+++\n[phases]\n'Bad One' = 'x'\n+++\nHi", "lower-case letters"),
        ("+++\n[phases]\noff = 'x'\n+++\nHi", "lower-case letters"),
        (f"+++\n[phases]\na = '{'x' * 700}'\n+++\nHi", "more than 600 characters"),
        ("+++\nname = 'x'\nHi", "never closes it"),
        ("+++\n[[\n+++\nHi", "front matter of the persona"),
        ("x" * 20_001, "20,001 characters; 20,000 at most"),
        ("Hello $candidat", "'$candidat', which is nothing that is filled in"),
        ("It costs $5", "which is nothing that is filled in"),
        ("---\nname: x\n---\nHi", "front matter is TOML"),
    ],
)
def test_a_file_that_cannot_be_used_gets_one_line(tmp_path: Path, text: str, line: str) -> None:
    """It names the file, what is wrong and what is allowed, and opens no session."""
    path = tmp_path / "mine.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_persona(path)
    assert line in str(refused.value)
    assert "mine.md" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_are_none_get_one_line(tmp_path: Path) -> None:
    """A folder, a device, a missing file, a gigabyte, another encoding."""
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "latin.md").write_bytes("Bonjour à tous".encode("latin-1"))
    (tmp_path / "big.md").write_text("x" * 100_000)
    for name in ("folder.md", "latin.md", "big.md", "gone.md"):
        with pytest.raises(ConfigError, match=name):
            load_persona(tmp_path / name)
    with pytest.raises(
        UnknownName, match="no persona called 'intervewer'; known: interviewer, assistant, or a"
    ):
        load_persona("intervewer")


def test_every_call_names_what_the_model_was_told(buddy: Interview, own: Path) -> None:
    """The session, its calls and its phases; the text is in no row, and survives its file."""
    opened = buddy.start(persona=str(own), token_budget=50_000)
    own.unlink()
    buddy.say_sync("Hello")
    assert buddy.enter_phase("duel") == "duel"
    buddy.say_sync("Once more")
    assert buddy.enter_phase("off") == ""
    buddy.say_sync("And again")
    store = buddy.service.store
    told = [version for (version,) in store.sql("SELECT prompt_version FROM calls ORDER BY turn")]
    assert told == [opened.prompt_version, f"{opened.prompt_version}/duel", opened.prompt_version]
    rows: Any = [
        store.sql(f"SELECT * FROM {name}").rows for name in ("sessions", "calls", "events", "messages")
    ]
    assert "zebrafink" not in str(rows)
    assert "Disagree once" not in str(rows)
    again = Interview(buddy.settings, session_id=opened.session_id, service=buddy.service)
    assert "zebrafink" in again.rebuilt(1, model=opened.model)[0]["messages"][0]["content"]
    again.close()


def test_a_phase_is_told_with_each_of_its_turns_and_shown(buddy: Interview) -> None:
    """After the candidate's words, so that caches hold; in the timeline, and rebuilt for `ib verify`."""
    buddy.start(token_budget=50_000, challenge="rate-limiter")
    assert buddy.phase() == ""
    buddy.enter_phase(" Design ")
    buddy.say_sync("A token bucket.")
    bodies = buddy.rebuilt(1, model=buddy.session.model)
    ends = [str(body["messages"][-1]["content"]) for body in bodies]
    assert any("phase design. Stay with the design" in end and end.startswith("A token") for end in ends)
    assert len({body["messages"][0]["content"] for body in bodies}) == 1
    assert [m.content for m in buddy.history() if m.role == "user"] == ["A token bucket."]
    shown = [moment.text for moment in timeline(buddy.service, buddy.session)]
    assert "phase: design" in shown
    with pytest.raises(UnknownName, match=r"no phase called 'desing'.*design"):
        buddy.enter_phase("desing")
    buddy.service.complete(buddy.session.session_id)
    with pytest.raises(SessionInactive):
        buddy.enter_phase("coding")


def test_a_locked_session_keeps_what_the_model_is_told(buddy: Interview) -> None:
    """Another phase needs the passphrase."""
    buddy.start(token_budget=50_000, passphrase="correct horse")
    with pytest.raises(Locked):
        buddy.enter_phase("design")
    assert buddy.enter_phase("design", passphrase="correct horse") == "design"


def test_a_plugin_offers_a_persona(own: Path, tmp_path: Path) -> None:
    """By a name of its own, which no shipped one has; its session goes on after a restart."""

    class Plugin:
        @hookimpl
        def ib_register(self, catalog: Any) -> None:
            catalog.add_persona("questions", own)
            with pytest.raises(NameClash):
                catalog.add_persona("interviewer", own)
            for name, file in (("Bad Name", own), ("gone", own / "gone.md")):
                with pytest.raises(ConfigError):
                    catalog.add_persona(name, file)

    plugins = Plugins([Plugin()])
    assert "questions" in persona_names(plugins)
    assert load_persona("questions", plugins).name == "questions"
    assert load_persona("questions", plugins).version.startswith("questions-")


def test_a_persona_that_is_gone_is_said_in_one_line(buddy: Interview, own: Path) -> None:
    """Where its file beside the ledger was removed: nothing is asked with another prompt."""
    opened = buddy.start(persona=str(own), token_budget=50_000)
    for file in (buddy.settings.data_dir / "challenges").glob("*.json"):
        assert json.loads(file.read_text())["kind"] == "interviewer"
        file.unlink()
    other = Interview(buddy.settings, session_id=opened.session_id, service=buddy.service)
    with pytest.raises(ConfigError, match=r"the persona 'socratic' .* is not on this machine"):
        other.say_sync("Hello")
    other.close()


def test_a_wrap_up_follows_the_kind(own: Path) -> None:
    """The last affordable turn of an own persona is asked as its kind's is."""
    persona = load_persona(own)
    messages = build_messages(session("socratic"), None, (), "x", wrap_up=True, persona=persona, phase="[p]")
    assert "close the interview in this reply" in messages[-1]["content"]
    assert messages[-1]["content"].startswith("x\n\n[p]\n\n[From")


# --- presets


def settings(**presets: Any) -> Settings:
    """Return settings with presets."""
    return Settings(presets=presets)


def test_a_preset_gives_what_was_not_said() -> None:
    """By the names that people type; what was said for this session comes first."""
    chosen = settings(senior={"level": "senior", "minutes": 60, "budget": 60_000, "as": "assistant"})
    given = with_preset(chosen, "senior", {"level": "staff", "role": "", "time_limit_s": None})
    assert given["level"] == "staff"
    assert (given["time_limit_s"], given["token_budget"], given["persona"]) == (3600.0, 60_000, "assistant")
    assert given["meta"] == {"preset": "senior"}


@pytest.mark.parametrize(
    ("preset", "line"),
    [
        ({"levels": "x"}, "unknown 'levels'"),
        ({"minutes": -1}, "presets.x.minutes"),
        ({"budget": "many"}, "presets.x.budget"),
        ("senior", "is no table"),
    ],
)
def test_a_preset_that_cannot_be_used_gets_one_line(preset: Any, line: str) -> None:
    """It names the preset, the key, and what is allowed."""
    with pytest.raises(ConfigError) as refused:
        read_preset(settings(x=preset), "x")
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_preset_that_is_not_there_says_which_are() -> None:
    """And how one is written where there is none."""
    with pytest.raises(UnknownName, match="no preset called 'junior'; known: senior"):
        read_preset(settings(senior={}), "junior")
    with pytest.raises(UnknownName, match=r"write \[presets.NAME\]"):
        read_preset(settings(), "junior")
