"""Challenges as folders: read whole, refused with one line, private parts apart."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ib_kernel.errors import BuddyError, ConfigError, NameClash
from ib_kernel.interview.challenges import load_challenge, offered_challenges
from ib_kernel.plugin.hookspecs import hookimpl
from ib_kernel.plugin.manager import Plugins
from ib_kernel.plugin.registry import Catalog

TASK = """+++
name = "counting"
title = "Counting words"
version = "2"
roles = ["Data engineer"]
level = "junior"
minutes = 30
tokens = 12000
tags = ["algorithms"]
entry = ["count"]
reveal = "names"
+++
# Counting words

Count them.
"""
RUBRIC = """version = "2"
[[criteria]]
name = "asks"
title = "Asks what a word is"
anchors = ["no", "when told", "when asked", "unasked"]
"""
SECRET = "XYZZY"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "counting"
    (place / "tests").mkdir(parents=True)
    (place / "data").mkdir()
    (place / "challenge.md").write_text(TASK)
    (place / "starter.py").write_text("def count(text):\n    ...\n")
    (place / "data" / "words.txt").write_bytes(b"one two\xff")
    (place / "tests" / "visible.py").write_text("def test_it():\n    assert True\n")
    write_private(place)
    return place


def write_private(place: Path) -> None:
    (place / "tests").mkdir(parents=True, exist_ok=True)
    (place / "notes.md").write_text(f"{SECRET} notes")
    (place / "rubric.toml").write_text(RUBRIC)
    (place / "hints.toml").write_text(f'hints = ["{SECRET} one", "two"]')
    (place / "tests" / "hidden.py").write_text(f"# {SECRET}\ndef run_it():\n    return 1\n")
    (place / "solution.py").write_text(f"# {SECRET}\n")


def test_a_folder_is_read_whole(folder: Path) -> None:
    """Every file of the layout arrives in its field."""
    challenge = load_challenge(folder)
    assert (challenge.name, challenge.title, challenge.version, challenge.level) == (
        "counting",
        "Counting words",
        "2",
        "junior",
    )
    assert (challenge.minutes, challenge.tokens, challenge.reveal) == (30, 12_000, "names")
    assert challenge.entry == ("count",)
    assert challenge.data == {"words.txt": b"one two\xff"}
    assert challenge.visible.startswith("def test_it")
    assert challenge.criteria[0].anchors[3] == "unasked"
    assert challenge.rubric == ("Asks what a word is",)
    assert challenge.hints[1] == "two"


def test_the_candidates_part_holds_nothing_of_the_other(folder: Path) -> None:
    """Neither values nor repr of what is handed out know the private part."""
    whole = load_challenge(folder)
    part = whole.candidates_part()
    assert SECRET not in repr(whole)
    assert SECRET not in str(vars(part))
    assert part.candidate_sha == whole.candidate_sha
    assert part.challenge_sha != whole.challenge_sha


def test_each_hash_follows_its_part(folder: Path) -> None:
    """An edited note changes the whole and not the candidate's part; an edited starter changes both."""
    before = load_challenge(folder)
    (folder / "notes.md").write_text("other")
    noted = load_challenge(folder)
    assert noted.candidate_sha == before.candidate_sha
    assert noted.challenge_sha != before.challenge_sha
    (folder / "starter.py").write_text("pass\n")
    assert load_challenge(folder).candidate_sha != before.candidate_sha


BROKEN: dict[str, Callable[[Path], object]] = {
    "no challenge.md": lambda p: (p / "challenge.md").unlink(),
    "nobody reads": lambda p: (p / "challenge.md").write_text(TASK.replace("minutes", "minuts")),
    "did you mean minutes": lambda p: (p / "challenge.md").write_text(TASK.replace("minutes", "minuts")),
    "no whole number": lambda p: (p / "challenge.md").write_text(TASK.replace("30", "-3")),
    "one of nothing, counts, names": lambda p: (p / "challenge.md").write_text(
        TASK.replace('"names"', '"all"')
    ),
    "no Python name": lambda p: (p / "challenge.md").write_text(TASK.replace('["count"]', '["co unt"]')),
    "needs anchors": lambda p: (p / "rubric.toml").write_text(RUBRIC.replace(', "unasked"', "")),
    "needs a title": lambda p: (p / "rubric.toml").write_text(RUBRIC.replace("title", "titel")),
    "a name of its own": lambda p: (p / "rubric.toml").write_text(RUBRIC + RUBRIC.partition("\n")[2]),
    "a list of at most": lambda p: (p / "hints.toml").write_text("hints = 3"),
    "it is not TOML": lambda p: (p / "hints.toml").write_text("hints = ["),
    "not UTF-8": lambda p: (p / "starter.py").write_bytes(b"\xff\xfe"),
    "names are letters": lambda p: (p / "data" / "a b.csv").write_text("x"),
    "at most 20 are read": lambda p: [(p / "data" / f"f{i}").write_text("x") for i in range(21)],
    "at most": lambda p: (p / "data" / "big").write_bytes(b"x" * 2_100_000),
    "a device or pipe": lambda p: ((p / "notes.md").unlink(), (p / "notes.md").symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("words", BROKEN)
def test_a_broken_folder_is_one_line(words: str, folder: Path) -> None:
    """The line names what is wrong; nothing of the private part is in it."""
    BROKEN[words](folder)
    if words == "a device or pipe" and os.name != "posix":
        pytest.skip("needs a device")
    with pytest.raises(ConfigError) as caught:
        load_challenge(str(folder) + "/")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def offering(folder: Path) -> Plugins:
    class Offers:
        @hookimpl
        def ib_register(self, catalog: Catalog) -> None:
            catalog.add_challenges(folder)

    return Plugins([Offers()], entry_points=False)


def test_a_private_part_joins_the_shipped_challenge_of_its_name(tmp_path: Path) -> None:
    """What candidates may have and what they may not can be two distributions."""
    write_private(tmp_path / "rate-limiter")
    version = load_challenge("rate-limiter").version
    (tmp_path / "rate-limiter" / "rubric.toml").write_text(RUBRIC.replace('"2"', f'"{version}"'))
    plugins = offering(tmp_path)
    assert load_challenge("rate-limiter", plugins).notes == f"{SECRET} notes"
    assert load_challenge("rate-limiter", plugins).text == load_challenge("rate-limiter").text


def test_a_private_part_of_another_version_is_refused(tmp_path: Path) -> None:
    """Half of one version and half of another is no challenge."""
    write_private(tmp_path / "rate-limiter")
    (tmp_path / "rate-limiter" / "rubric.toml").write_text(RUBRIC.replace('"2"', '"77"'))
    with pytest.raises(ConfigError, match="install the two together"):
        load_challenge("rate-limiter", offering(tmp_path))


def test_a_private_part_of_nothing_is_said(tmp_path: Path) -> None:
    """The doctor shows a private part whose challenge nobody offers."""
    write_private(tmp_path / "nobody-knows-it")
    _, problems = offered_challenges(offering(tmp_path))
    assert "nobody offers" in str(problems["nobody-knows-it"])


def test_a_folder_that_a_plugin_offers_is_found_by_name(folder: Path) -> None:
    """Folders and files stand side by side in a plugin's folder."""
    assert load_challenge("counting", offering(folder.parent)).entry == ("count",)


def test_errors_are_ours(folder: Path) -> None:
    """Whatever is in a folder, what comes out is one of our own errors."""
    assert issubclass(NameClash, BuddyError)
    with pytest.raises(BuddyError):
        load_challenge(folder / "tests")
