"""The question bank: TOML files under ``data/``, read once."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

LEVELS = ("junior", "mid", "senior")
"""Levels of questions, from the first one that may be asked at."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `when` lists words in an answer that bring it forward; `level` is the lowest to ask."""

    topic: str
    text: str
    when: tuple[str, ...] = ()
    level: str = ""
    code: str = ""

    def matches(self, answer: str) -> str:
        """Return the first of `when` that *answer* contains as a word, else ""."""
        return next((word for word in self.when if contains(answer, word)), "")

    def markdown(self) -> str:
        """Return the question with its example, if it has one."""
        return f"{self.text}\n\n```text\n{self.code}\n```" if self.code else self.text


@dataclass(frozen=True, slots=True)
class Topic:
    """The questions about one challenge or for one kind of role."""

    name: str
    questions: tuple[Question, ...]
    opening: str = ""
    hints: tuple[str, ...] = ()
    match: tuple[str, ...] = ()


def contains(text: str, word: str) -> bool:
    """Return True if *word* occurs in *text* on its own, whatever the case; a plural s is let through."""
    return _pattern(word).search(text) is not None


@functools.cache
def _pattern(word: str) -> re.Pattern[str]:
    before = r"(?<!\w)" if word[0].isalnum() else ""
    after = r"s?(?!\w)" if word[-1].isalnum() else ""
    return re.compile(f"{before}{re.escape(word)}{after}", re.IGNORECASE)


@functools.cache
def challenge(name: str) -> Topic | None:
    """Return the follow-ups of a shipped challenge, None for any other."""
    return _topics("challenges").get(name)


def role(title: str) -> Topic:
    """Return the questions for the role called *title*: the file with the longest matching word."""
    best, length = generic(), 0
    for topic in _topics("roles").values():
        for word in topic.match:
            if contains(title, word) and len(word) > length:
                best, length = topic, len(word)
    return best


def generic() -> Topic:
    """Return the questions for any role."""
    return _topics("roles")["generic"]


def roles() -> Iterable[Topic]:
    """Return the questions of every kind of role."""
    return _topics("roles").values()


@functools.cache
def script() -> Mapping[str, Any]:
    """Return the phrases around the questions, and the assistant's glossary."""
    return _read(resources.files("ib_demo").joinpath("data/script.toml"))


def level(title: str) -> str:
    """Return the level that *title* means ("Senior engineer", "mid to senior"): the lowest one it names."""
    words = {
        "junior": ("junior", "intern", "graduate", "entry", "trainee"),
        "mid": ("mid", "middle", "intermediate", "regular"),
        "senior": ("senior", "staff", "principal", "lead", "expert"),
    }
    return next((name for name in LEVELS if any(contains(title, word) for word in words[name])), "mid")


@functools.cache
def _topics(folder: str) -> Mapping[str, Topic]:
    found = {}
    for file in sorted(resources.files("ib_demo").joinpath(f"data/{folder}").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            name, table = file.name[:-5], _read(file)
            found[name] = Topic(
                name=name,
                questions=tuple(_question(row) for row in table["question"]),
                opening=table.get("opening", ""),
                hints=tuple(table.get("hints", ())),
                match=tuple(table.get("match", ())),
            )
    return found


def _question(row: Mapping[str, Any]) -> Question:
    return Question(**{**row, "when": tuple(row.get("when", ()))})


def _read(file: Any) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))
