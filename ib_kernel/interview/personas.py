"""What the AI is: the shipped interviewer and assistant, a plugin's personas, and one's own from a file.

A persona file is Markdown with optional TOML front matter between two ``+++`` lines::

    +++
    name = "socratic"
    kind = "interviewer"        # or "assistant": whether notes and criteria go along
    [phases]
    design = "Only questions. Ask for the second-best design, too."
    +++
    You interview $candidate for the role of $role ($level). …

Only ``$candidate``, ``$role``, ``$level``, ``$challenge`` and ``$task`` are filled; ``$$`` is a dollar. The
header, the task (where ``$task`` is missing) and what protects an interview are added to every persona. Its
text is the interviewer's: it is kept in a file beside the ledger, in no row, and is never shown.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Literal

from ib_kernel.errors import ConfigError, UnknownName, did_you_mean
from ib_kernel.interview.challenges.markers import split_front_matter
from ib_kernel.settings.files import parse_toml, read_text, shown_path
from ib_kernel.text import plain

if TYPE_CHECKING:
    from ib_kernel.plugin.manager import Plugins

Kind = Literal["interviewer", "assistant"]

VERSIONS: Mapping[str, int] = {"interviewer": 1, "assistant": 1}
"""The version of each shipped persona's prompt. Raise it with every change of the file: calls record it."""

MAX_CHARS = 20_000
"""Characters of a persona's text at most: it goes along with every turn."""

MAX_PHASE_CHARS = 600
"""Characters of what a phase tells the model at most."""

MAX_PHASES = 20

PLACEHOLDERS = ("candidate", "role", "level", "challenge", "task")

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_PHASE = re.compile(r"[a-z][a-z0-9-]{0,29}")
_KEYS = ("name", "kind", "phases")


@dataclass(frozen=True, slots=True)
class Persona:
    """What the AI is in a session.

    Attributes:
        name: What ``--as`` chooses it by.
        kind: "interviewer" gets the challenge's notes and criteria; "assistant" does not.
        text: The prompt with its placeholders; "" for a shipped one, whose file is read when it is needed.
        phases: What the model is told in each phase, by name, beside the shipped phases.
    """

    name: str
    kind: Kind
    text: str = field(default="", repr=False)
    phases: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def version(self) -> str:
        """What calls record: the shipped number, or the beginning of the hash of all that is the user's."""
        if self.name in VERSIONS:
            return f"{self.name}-{VERSIONS[self.name]}"
        told = "\0".join([self.kind, self.text, *(f"{n}={t}" for n, t in sorted(self.phases.items()))])
        return f"{self.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    @property
    def template(self) -> Template:
        """The whole prompt with its placeholders."""
        return Template(shipped_text(self.name) if self.name in VERSIONS else self._whole())

    def _whole(self) -> str:
        header = "\n".join(f"{n.capitalize()}: ${n}" for n in ("candidate", "role", "level", "challenge"))
        task = "" if _has_task(self.text) else "\n\n$task"
        return f"Persona: {self.kind}\n{header}\n\n{self.text}{task}\n\n{shipped_text(f'guard_{self.kind}')}"

    def all_phases(self) -> Mapping[str, str]:
        """Return what the model is told in each phase that there is, by name."""
        return {**_shipped_phases()[self.kind], **self.phases}

    def to_private(self) -> dict[str, Any]:
        """Return what is kept of it in a file beside the ledger."""
        return {"name": self.name, "kind": self.kind, "text": self.text, "phases": dict(self.phases)}


def from_private(kept: Any) -> Persona | None:
    """Return the persona that `Persona.to_private` has written; None for anything else."""
    try:
        return Persona(kept["name"], kept["kind"], kept["text"], kept["phases"])
    except (TypeError, KeyError):
        return None


def load_persona(name_or_file: str | os.PathLike[str], plugins: Plugins | None = None) -> Persona:
    """Return a persona by name, or read a ``.md`` file of the user's.

    Args:
        name_or_file: "interviewer", "assistant", a plugin's, or a file.
        plugins: Whose personas are known besides; None for the shipped ones only.

    Raises:
        UnknownName: There is no such persona; the line says which there are.
        ConfigError: The file cannot be used.
    """
    asked = str(name_or_file).strip()
    if asked.lower() in VERSIONS:
        return shipped(asked.lower())
    offered = _offered(plugins)
    if asked.lower() in offered:
        return read_persona(offered[asked.lower()], name=asked.lower())
    if asked.lower().endswith((".md", ".markdown", ".txt")) or os.sep in asked or "/" in asked:
        return read_persona(Path(os.path.expanduser(asked)))
    known = [*VERSIONS, *sorted(offered)]
    hint = did_you_mean(asked, known)
    raise UnknownName(f"no persona called {asked[:80]!r}; known: {', '.join(known)}, or a .md file{hint}")


def persona_names(plugins: Plugins | None = None) -> list[str]:
    """Return the names of the personas that are known, shipped ones first."""
    return [*VERSIONS, *sorted(_offered(plugins))]


def shipped(name: str) -> Persona:
    """Return a shipped persona."""
    return Persona("assistant", "assistant") if name == "assistant" else Persona("interviewer", "interviewer")


def read_persona(path: Path, *, name: str = "") -> Persona:
    """Return the persona of a file.

    Args:
        path: The file.
        name: What a plugin calls it; "": what its front matter says, or its file's name.

    Raises:
        ConfigError: One line that names the file, what is wrong and what is allowed.
    """
    try:
        source = read_text(path, "the persona", limit=4 * MAX_CHARS)
    except FileNotFoundError:
        raise ConfigError(f"there is no persona {shown_path(path)}") from None
    return parse_persona(source, name or path.stem.lower().replace("_", "-").replace(" ", "-"), path, name)


def parse_persona(source: str, name: str, origin: object, fixed_name: str = "") -> Persona:
    """Build a persona from a file's text.

    Args:
        source: The text.
        name: Its name where the front matter gives none.
        origin: Where it is from, for messages.
        fixed_name: A name that the front matter cannot change.

    Raises:
        ConfigError: One line that names *origin*, what is wrong and what is allowed.
    """
    what = f"the persona {shown_path(str(origin))}"
    matter, body = split_front_matter(source.lstrip("\ufeff"), what)
    for key in matter:
        if key not in _KEYS:
            raise ConfigError(
                f"{what} has an unknown {key!r}; known: {', '.join(_KEYS)}{did_you_mean(key, _KEYS)}"
            )
    name = fixed_name or _text(matter.get("name", name), what, "name")
    if not _NAME.fullmatch(name) or name in VERSIONS:
        why = "is the shipped one's" if name in VERSIONS else "needs lower-case letters, digits and hyphens"
        raise ConfigError(f"{what}: the name {name[:60]!r} {why}; give it another in front matter: name = …")
    kind = matter.get("kind", "interviewer")
    if kind not in ("interviewer", "assistant"):
        raise ConfigError(f"{what} has kind = {kind!r}; it is interviewer or assistant")
    text = plain(body).strip()
    if not text:
        raise ConfigError(f"{what} has no text: what is the AI told?")
    if len(text) > MAX_CHARS:
        raise ConfigError(
            f"{what} has {len(text):,} characters; {MAX_CHARS:,} at most, they go along with every turn"
        )
    _check_placeholders(text, what)
    return Persona(name, kind, text, _phases(matter.get("phases", {}), what))


def _phases(given: Any, what: str) -> dict[str, str]:
    if not isinstance(given, dict):
        raise ConfigError(f'{what}: phases is a table, a line for each: [phases] design = "…"')
    if len(given) > MAX_PHASES:
        raise ConfigError(f"{what} has {len(given)} phases; {MAX_PHASES} at most")
    for name, told in given.items():
        if not _PHASE.fullmatch(name) or name == "off":
            raise ConfigError(f"{what}: the phase {name[:60]!r} needs lower-case letters, digits and hyphens")
        if len(_text(told, what, f"phase {name}")) > MAX_PHASE_CHARS:
            raise ConfigError(f"{what}: the phase {name} has more than {MAX_PHASE_CHARS} characters")
    return {name: " ".join(plain(told).split()).replace("]", ")") for name, told in given.items()}


def _text(value: Any, what: str, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{what} has a {key} that is no text")
    return value.strip()


def _check_placeholders(text: str, what: str) -> None:
    for found in Template.pattern.finditer(text):
        name = found["named"] or found["braced"]
        if found["invalid"] is not None or (name and name not in PLACEHOLDERS):
            shown = f"${name}" if name else text[found.start() : found.start() + 12]
            known = ", ".join(f"${n}" for n in PLACEHOLDERS)
            raise ConfigError(
                f"{what} has {shown!r}, which is nothing that is filled in; known: {known}; $$ is a $"
            )


def _has_task(text: str) -> bool:
    return any("task" in (found["named"], found["braced"]) for found in Template.pattern.finditer(text))


def _offered(plugins: Plugins | None) -> Mapping[str, Path]:
    if plugins is None:
        return {}
    plugins.load()
    return plugins.catalog.personas.entries()


@functools.cache
def shipped_text(name: str) -> str:
    """Return a text of ours, by its file's name."""
    from importlib import resources

    file = resources.files("ib_kernel").joinpath(f"interview/data/prompts/{name}.md")
    return file.read_text(encoding="utf-8").strip()


@functools.cache
def _shipped_phases() -> Mapping[Kind, Mapping[str, str]]:
    from importlib import resources

    file = resources.files("ib_kernel").joinpath("interview/data/prompts/phases.toml")
    found: Any = parse_toml(file.read_text(encoding="utf-8"), "phases.toml")
    return {"interviewer": found["interviewer"], "assistant": found["assistant"]}
