"""What a reply of the demo depends on, read from the messages alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ib_demo import bank

_HEADER = re.compile(r"^(Persona|Candidate|Role|Level|Challenge): (.+)$", re.MULTILINE)
_SYSTEM = re.compile(r"\s*\[From the interview system, not from the candidate: ([^\]]*)\]")
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a reply depends on. `said` is what the script has said before, `text` the newest message.

    `last` says that the engine has asked to wrap up.
    """

    persona: str
    name: str
    role: str
    level: str
    challenge: str
    title: str
    said: tuple[str, ...]
    text: str
    last: bool = False

    @property
    def turn(self) -> int:
        """How many replies there were before this one; varies the phrases."""
        return len(self.said)


def read_scene(messages: Sequence[Mapping[str, Any]]) -> Scene:
    """Read the scene from Chat Completions messages; without our system prompt it is an assistant's."""
    system = next((_text(m) for m in messages if m.get("role") in ("system", "developer")), "")
    header: dict[str, str] = {}
    for key, value in _HEADER.findall(system):
        header.setdefault(key, value.strip())  # the first one counts: a challenge may contain such lines
    newest = next((_text(m) for m in reversed(messages) if m.get("role") == "user"), "")
    text, told = _SYSTEM.sub("", newest), _SYSTEM.findall(newest)
    name, _, title = header.get("Challenge", "none").partition(" - ")
    return Scene(
        persona=header.get("Persona", "assistant"),
        name=header.get("Candidate", "there"),
        role=header.get("Role", ""),
        level=bank.level(header.get("Level", "")),
        challenge="" if name == "none" else name,
        title=title or name,
        said=tuple(_text(m) for m in messages if m.get("role") == "assistant"),
        text=text,
        last=any(line.startswith("this is the last ") for line in told),
    )


def extract(text: str, word: str = "", words: int = 14) -> str:
    """Return one line out of *text*: the sentence with *word*, else the first one; at most *words* words."""
    plain = _FENCED.sub(" ", text).replace("`", "")
    sentences = [" ".join(s.split()) for s in re.split(r"(?<=[.!?])\s+|\n+", plain)]
    sentences = [s.lstrip("#>*-+ \t") for s in sentences if len(s.split()) > 1] or [" ".join(plain.split())]
    chosen = next((s for s in sentences if word and bank.contains(s, word)), sentences[0])
    parts = chosen.split()
    return " ".join(parts[:words])[:160] + (" …" if len(parts) > words or len(chosen) > 160 else "")


def _text(message: Mapping[str, Any]) -> str:
    """Return a message's text; content parts other than text are left out."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else ()
    return "\n".join(str(p["text"]) for p in parts if isinstance(p, Mapping) and "text" in p)
