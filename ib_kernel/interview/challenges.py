"""The challenges an interview can pose: shipped ones by name, the user's own from a file.

A challenge is Markdown with optional TOML front matter between two ``+++`` lines. What stands before the
line ``<!-- interviewer -->`` is shown to the candidate; what follows it are the interviewer's notes, which
are given to the model only. `rubric` (front matter) lists what is assessed and is not shown either. A marker
or front matter that is almost right is taken as meant or refused with a line, never shown as the task.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError, NameClash, UnknownName, did_you_mean
from ib_kernel.interview import markers
from ib_kernel.settings.files import parse_toml, read_text, shown_path

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from ib_kernel.plugin.manager import Plugins

MAX_BYTES = 200_000
"""A challenge file larger than this is refused: it would not fit a sensible token budget."""

MAX_FILES = 500
"""The most challenges that are read from one folder of a plugin."""

_SUFFIXES = (".md", ".markdown", ".txt")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge. `text` is Markdown for the candidate; `notes` and `rubric` are never shown.

    `roles` are the roles it suits ("" or empty: any), `level` the level it is written for. `origin` is
    "shipped" or the file's path. ``repr`` leaves out notes and rubric, so that a cell's output is safe.
    """

    name: str
    title: str
    text: str
    roles: tuple[str, ...] = ()
    level: str = ""
    notes: str = field(default="", repr=False)
    rubric: tuple[str, ...] = field(default=(), repr=False)
    origin: str = "shipped"

    def candidates_part(self) -> Challenge:
        """Return the challenge without notes and criteria: what a session hands out."""
        return replace(self, notes="", rubric=())


def list_challenges(plugins: Plugins | None = None) -> list[Challenge]:
    """Return the shipped challenges and those of *plugins*, by name, without files that cannot be used."""
    known = {**offered_challenges(plugins)[0], **_shipped()}
    return [known[name] for name in sorted(known)]


def load_challenge(name_or_path: str | os.PathLike[str], plugins: Plugins | None = None) -> Challenge:
    """Return a challenge by name, or read a ``.md`` or ``.txt`` file of the user's.

    In a file everything is the task unless it has front matter or the marker line (see the module's
    docstring).

    Args:
        name_or_path: A shipped challenge's name, one of a plugin's, or a file.
        plugins: Whose challenges are known besides; None for the shipped ones only.

    Raises:
        UnknownName: There is no such challenge; the line says which there are.
        NameClash: Two plugins offer it.
        ConfigError: The file cannot be used.
    """
    asked = str(name_or_path).strip()
    shipped = _shipped()
    if asked.lower() in shipped:
        return shipped[asked.lower()]
    offered, problems = offered_challenges(plugins)
    if asked.lower() in problems:
        raise problems[asked.lower()]
    if asked.lower() in offered:
        return offered[asked.lower()]
    path = Path(os.path.expanduser(asked))
    if path.suffix.lower() in _SUFFIXES or os.sep in asked or "/" in asked:
        return _read(path)
    known = {**offered, **shipped}
    hint = did_you_mean(asked.lower(), known)
    raise UnknownName(
        f"no challenge called {asked!r}; there are: {', '.join(sorted(known))}, or a .md or .txt file{hint}"
    )


def offered_challenges(plugins: Plugins | None) -> tuple[dict[str, Challenge], dict[str, ConfigError]]:
    """Return the challenges that *plugins* offer, by name, and what is wrong with those that cannot be used.

    A name that is shipped stays the shipped challenge's; of two plugins that offer one name, neither wins.
    """
    found: dict[str, Challenge] = {}
    problems: dict[str, ConfigError] = {}
    owners: dict[str, str] = {}
    if plugins is not None:
        plugins.load()
        catalog = plugins.catalog
        for place, plugin in catalog.challenges.names().items():
            for file in _files(catalog.challenges.get(place)):
                name = file.name.rsplit(".", 1)[0].lower()
                try:
                    challenge = _read_offered(file, plugin)
                    name = challenge.name.lower()
                    if name in _shipped() or name in owners:
                        other = owners.get(name, "interview-buddy-kernel")
                        raise NameClash(f"the challenge {name!r} is offered by both {other} and {plugin}")
                    found[name] = challenge
                except ConfigError as error:
                    problems[name] = error
                owners.setdefault(name, plugin)
    return {name: found[name] for name in found if name not in problems}, problems


def _files(folder: Traversable) -> list[Traversable]:
    try:
        files = [entry for entry in folder.iterdir() if entry.name.lower().endswith(_SUFFIXES)]
    except OSError:  # it was there when the plugin was loaded
        return []
    return sorted(files, key=lambda entry: entry.name)[:MAX_FILES]


def _read_offered(file: Traversable, plugin: str) -> Challenge:
    from importlib import resources

    with resources.as_file(file) as path:
        try:
            source = read_text(path, "the challenge", limit=MAX_BYTES)
        except FileNotFoundError as error:
            raise ConfigError(f"cannot read the challenge {file}: {error.strerror}") from None
    return parse_challenge(source, file.name.rsplit(".", 1)[0], f"{file.name} of the plugin {plugin}")


def parse_challenge(source: str, name: str, origin: str = "shipped") -> Challenge:
    """Build a challenge from a file's text.

    Args:
        source: The file's text, with any line ends and byte-order marks.
        name: Its name when the front matter gives none.
        origin: Where it is from, for messages: "shipped" or a path.

    Raises:
        ConfigError: One line that names *origin*, what is wrong and what to type instead.
    """
    source = source.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    meta, body = _split_front_matter(source, origin)
    text, notes = markers.split(body, origin)
    if not text.strip():
        raise ConfigError(f"the challenge {origin} has no text for the candidate")
    title = _field(meta, "title", str, origin) or _first_heading(text) or name
    return Challenge(
        name=_field(meta, "name", str, origin) or name,
        title=title,
        text=text.strip(),
        roles=tuple(_strings(meta, "roles", origin)),
        level=_field(meta, "level", str, origin) or "",
        notes=notes.strip(),
        rubric=tuple(_strings(meta, "rubric", origin)),
        origin=origin,
    )


@functools.cache
def _shipped() -> Mapping[str, Challenge]:
    from importlib import resources

    folder = resources.files("ib_kernel").joinpath("interview/data/challenges")
    found = {}
    for entry in folder.iterdir():
        if entry.name.endswith(".md"):
            challenge = parse_challenge(entry.read_text(encoding="utf-8"), entry.name[:-3])
            found[challenge.name] = challenge
    return found


def _read(path: Path) -> Challenge:
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"a challenge is a .md or .txt file, not {str(path)!r}")
    try:
        source = read_text(path, "the challenge", limit=MAX_BYTES)
    except FileNotFoundError as error:
        raise ConfigError(f"cannot read the challenge {shown_path(path)}: {error.strerror}") from None
    return parse_challenge(source, path.stem, str(path))


def _split_front_matter(source: str, origin: str) -> tuple[dict[str, Any], str]:
    lines = source.lstrip().split("\n")
    if not markers.opens_front_matter(lines[0], origin):
        if any(line.strip() == markers.FENCE for line in lines):
            raise ConfigError(
                f"the challenge {origin} has a line {markers.FENCE} and does not begin with one; front "
                f"matter is TOML between two such lines, the first of them the file's first"
            )
        return {}, source
    try:
        end = next(i for i, line in enumerate(lines[1:], 1) if line.strip() == markers.FENCE)
    except StopIteration:
        raise ConfigError(f"the challenge {origin} opens front matter with +++ and never closes it") from None
    matter = parse_toml("\n".join(lines[1:end]), f"the front matter of the challenge {origin}")
    return matter, "\n".join(lines[end + 1 :])


def _first_heading(text: str) -> str:
    first = next((line for line in text.split("\n") if line.strip()), "")
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def _field(meta: Mapping[str, Any], key: str, kind: type[str], origin: str) -> str | None:
    value = meta.get(key)
    if value is not None and not isinstance(value, kind):
        raise ConfigError(f"the challenge {origin} has a {key} that is not text")
    return value


def _strings(meta: Mapping[str, Any], key: str, origin: str) -> list[str]:
    value = meta.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"the challenge {origin} has {key} that are not a list of texts")
    return value
