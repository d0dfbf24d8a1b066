"""A challenge from a folder: the candidate's part, and the interviewer's part, which may live elsewhere.

::

    challenge.md        front matter (see `parse`) and the task
    starter.py          what the candidate begins with
    data/*              files that are copied beside the notebook
    tests/visible.py    plain test_* functions with asserts; they import from the module `entry`
    notes.md            for the interviewer (and the model that plays one)
    rubric.toml         [[criteria]] name, title, anchors = [0, 1, 2, 3]
    hints.toml          hints = ["the first rung", "the next", …]
    tests/hidden.py     run_* functions that use `entry` and return plain observations
    solution.py         a right answer; what its runs return is what is expected

A folder with the files from ``notes.md`` on and without ``challenge.md`` is the private part of the challenge
of its name: what is published to candidates and what is not can be two distributions.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError
from ib_kernel.interview.challenges.model import Challenge, Criterion
from ib_kernel.interview.challenges.parse import parse_challenge
from ib_kernel.settings.files import parse_toml, read_bytes, read_text, shown_path

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

TASK = "challenge.md"
"""The file that makes a folder a challenge."""

MAX_TEXT = 200_000
"""Bytes of the largest text file."""
MAX_DATA = 2_000_000
"""Bytes of all data files together."""
MAX_DATA_FILES = 20
"""The most data files."""
MAX_HINTS = 20
"""The most rungs of a hint ladder."""

PRIVATE_FILES = ("notes.md", "rubric.toml", "hints.toml", "solution.py", "tests/hidden.py")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class PrivatePart:
    """The interviewer's part of a challenge, on its own. `version` is the challenge's that it belongs to."""

    name: str
    version: str
    part: Challenge

    def added_to(self, challenge: Challenge, origin: str) -> Challenge:
        """Return *challenge* with this private part.

        Args:
            challenge: The candidate's part.
            origin: Where the private part is from, for messages.

        Raises:
            ConfigError: It belongs to another version.
        """
        if self.version != challenge.version:
            raise ConfigError(
                f"the private part of the challenge {challenge.name} ({origin}) is for its version "
                f"{self.version}, and the challenge is version {challenge.version}; install the two together"
            )
        part = self.part
        return replace(
            challenge,
            notes=part.notes,
            rubric=part.rubric,
            criteria=part.criteria,
            hints=part.hints,
            hidden=part.hidden,
            solution=part.solution,
        )


def is_folder(place: Traversable | Path) -> bool:
    """Return True if *place* is a folder with a challenge or a private part in it."""
    return place.is_dir() and any(_file(place, name).is_file() for name in (TASK, *PRIVATE_FILES))


def read_folder(place: Traversable | Path, name: str, origin: str) -> Challenge:
    """Read a challenge from its folder.

    Args:
        place: The folder.
        name: Its name when the front matter gives none.
        origin: Where it is from, for messages: "shipped" or a path.

    Raises:
        ConfigError: One line that names the file, what is wrong and what to type instead.
    """
    challenge = parse_challenge(_text(place, TASK, origin), name, origin)
    private = _private(place, challenge.name, origin, notes=challenge.notes, rubric=challenge.rubric)
    return replace(
        private,
        **{
            field: getattr(challenge, field)
            for field in ("name", "title", "text", "roles", "level", "origin", "version", "minutes", "tokens")
        },
        tags=challenge.tags,
        entry=challenge.entry,
        reveal=challenge.reveal,
        starter=_text(place, "starter.py", origin, optional=True),
        visible=_text(place, "tests/visible.py", origin, optional=True),
        data=_data(place, origin),
    )


def read_private(place: Traversable | Path, name: str, origin: str) -> PrivatePart | None:
    """Read the private part of the challenge *name*; None where the folder is a whole challenge.

    Args:
        place: The folder.
        name: The challenge it belongs to.
        origin: Where it is from, for messages.

    Raises:
        ConfigError: As `read_folder`.
    """
    if _file(place, TASK).is_file():
        return None
    rubric = _toml(place, "rubric.toml", origin)
    version = rubric.get("version", "1")
    if not isinstance(version, str):
        raise ConfigError(f"the challenge {origin}: version in rubric.toml is not text")
    return PrivatePart(name, version, _private(place, name, origin))


def _private(
    place: Traversable | Path, name: str, origin: str, notes: str = "", rubric: tuple[str, ...] = ()
) -> Challenge:
    criteria = parse_criteria(_toml(place, "rubric.toml", origin), f"the challenge {origin}")
    return Challenge(
        name,
        "",
        "",
        notes=_text(place, "notes.md", origin, optional=True).strip() or notes,
        rubric=tuple(c.title for c in criteria) or rubric,
        criteria=criteria,
        hints=_hints(_toml(place, "hints.toml", origin), origin),
        hidden=_text(place, "tests/hidden.py", origin, optional=True),
        solution=_text(place, "solution.py", origin, optional=True),
    )


def parse_criteria(table: dict[str, Any], what: str, file: str = "rubric.toml") -> tuple[Criterion, ...]:
    """Return the criteria of a rubric, ``[[criteria]]`` tables with name, title and four anchors.

    Args:
        table: The parsed file.
        what: Whose rubric it is, for messages.
        file: The file's name, for messages.

    Raises:
        ConfigError: One line that says which criterion lacks what.
    """
    rows = table.get("criteria", [])
    if not isinstance(rows, list):
        raise ConfigError(f"{what}: criteria in {file} are [[criteria]] tables")
    found: list[Criterion] = []
    for number, row in enumerate(rows, 1):
        where = f"{what}: criterion {number} in {file}"
        name, title = (row.get("name"), row.get("title")) if isinstance(row, dict) else (None, None)
        anchors = row.get("anchors") if isinstance(row, dict) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name) or any(name == c.name for c in found):
            raise ConfigError(f"{where} needs a name of its own of letters, digits and -")
        if not isinstance(title, str) or not title.strip():
            raise ConfigError(f"{where} ({name}) needs a title")
        if not (
            isinstance(anchors, list)
            and len(anchors) == 4
            and all(isinstance(a, str) and a.strip() for a in anchors)
        ):
            raise ConfigError(
                f"{where} ({name}) needs anchors, four texts: what levels 0, 1, 2 and 3 look like"
            )
        found.append(Criterion(name, title.strip(), (anchors[0], anchors[1], anchors[2], anchors[3])))
    return tuple(found)


def _hints(table: dict[str, Any], origin: str) -> tuple[str, ...]:
    hints = table.get("hints", [])
    good = isinstance(hints, list) and all(isinstance(hint, str) and hint.strip() for hint in hints)
    if not good or len(hints) > MAX_HINTS:
        raise ConfigError(
            f"the challenge {origin}: hints in hints.toml are a list of at most {MAX_HINTS} texts"
        )
    return tuple(hints)


def _data(place: Traversable | Path, origin: str) -> dict[str, bytes]:
    folder = place.joinpath("data")
    if not folder.is_dir():
        return {}
    files = sorted((entry for entry in folder.iterdir() if entry.is_file()), key=lambda entry: entry.name)
    if len(files) > MAX_DATA_FILES:
        raise ConfigError(
            f"the challenge {origin} has {len(files)} data files; at most {MAX_DATA_FILES} are read"
        )
    found: dict[str, bytes] = {}
    for entry in files:
        if not _NAME.fullmatch(entry.name):
            raise ConfigError(
                f"the challenge {origin} has a data file {shown_path(entry.name)!r}; names are letters, "
                "digits, dots, - and _"
            )
        left = MAX_DATA - sum(len(content) for content in found.values())
        with _path(entry) as path:
            found[entry.name] = read_bytes(path, f"data of the challenge {origin},", limit=left)
    return found


def _toml(place: Traversable | Path, name: str, origin: str) -> dict[str, Any]:
    text = _text(place, name, origin, optional=True)
    return parse_toml(text, f"{name} of the challenge {origin}") if text else {}


def _text(place: Traversable | Path, name: str, origin: str, *, optional: bool = False) -> str:
    file = _file(place, name)
    if optional and not _is_there(file):
        return ""
    with _path(file) as path:
        try:
            return read_text(path, f"{name} of the challenge {origin},", limit=MAX_TEXT)
        except FileNotFoundError:
            raise ConfigError(f"the challenge {origin} has no {name}") from None


def _file(place: Traversable | Path, name: str) -> Traversable | Path:
    for part in name.split("/"):
        place = place.joinpath(part)
    return place


def _is_there(file: Traversable | Path) -> bool:
    """Return True for anything of that name: a device or a broken link is refused, not passed over."""
    return os.path.lexists(file) if isinstance(file, Path) else file.is_file()


@contextlib.contextmanager
def _path(file: Traversable | Path) -> Iterator[Path]:
    if isinstance(file, Path):
        yield file
    else:
        with resources.as_file(file) as path:
            yield path
