"""Finding challenges: shipped ones by name, a plugin's, the user's own from a file or a folder."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ib_kernel.errors import ConfigError, NameClash, UnknownName, did_you_mean
from ib_kernel.interview.challenges.folder import PrivatePart, is_folder, read_folder, read_private
from ib_kernel.interview.challenges.model import Challenge
from ib_kernel.interview.challenges.parse import parse_challenge
from ib_kernel.settings.files import read_text, shown_path

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from ib_kernel.plugin.manager import Plugins

MAX_BYTES = 200_000
"""A challenge file larger than this is refused: it would not fit a sensible token budget."""

MAX_FILES = 500
"""The most challenges that are read from one folder of a plugin."""

_SUFFIXES = (".md", ".markdown", ".txt")


def list_challenges(plugins: Plugins | None = None, folders: Sequence[Path] = ()) -> list[Challenge]:
    """Return the shipped challenges and those of *plugins* and *folders*, by name.

    Args:
        plugins: Whose challenges are known besides; None for the shipped ones only.
        folders: The user's own (`Settings.challenges`).

    Returns:
        Those that can be used.
    """
    known = _known(plugins, folders).challenges
    return [known[name] for name in sorted(known)]


def load_challenge(
    name_or_path: str | os.PathLike[str], plugins: Plugins | None = None, folders: Sequence[Path] = ()
) -> Challenge:
    """Return a challenge by name, or read a folder or a ``.md`` or ``.txt`` file of the user's.

    Args:
        name_or_path: A shipped challenge's name, one of a plugin's, a folder (see `folder`) or a file, in
            which everything is the task unless it has front matter or the marker line (see `parse`).
        plugins: Whose challenges are known besides; None for the shipped ones only.
        folders: The user's own, whose challenges are known by name.

    Raises:
        UnknownName: There is no such challenge; the line says which there are.
        NameClash: Two of them offer it.
        ConfigError: The file cannot be used.
    """
    asked = str(name_or_path).strip()
    known = _known(plugins, folders)
    if asked.lower() in known.challenges:
        return known.challenges[asked.lower()]
    if asked.lower() in known.problems:
        raise known.problems[asked.lower()]
    path = Path(os.path.expanduser(asked))
    if path.suffix.lower() in _SUFFIXES or os.sep in asked or "/" in asked:
        return _read(path)
    hint = did_you_mean(asked.lower(), known.challenges)
    raise UnknownName(
        f"no challenge called {asked!r}; there are: {', '.join(sorted(known.challenges))}, or a folder, a "
        f".md or .txt file{hint}"
    )


def offered_challenges(
    plugins: Plugins | None, folders: Sequence[Path] = ()
) -> tuple[dict[str, Challenge], dict[str, ConfigError]]:
    """Return the challenges of *plugins* and *folders*, by name, and what is wrong with unusable ones.

    A name that is shipped stays the shipped challenge's; of two that offer one name, neither wins.

    Args:
        plugins: Whose challenges.
        folders: The user's own.
    """
    known, shipped = _known(plugins, folders), _shipped()
    return {n: c for n, c in known.challenges.items() if n not in shipped}, known.problems


@dataclass(slots=True)
class _Known:
    """Challenges by name, what cannot be used, and which plugin has offered which name."""

    challenges: dict[str, Challenge]
    problems: dict[str, ConfigError] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    private: dict[str, tuple[PrivatePart, str]] = field(default_factory=dict)

    def take(self, entry: Traversable | Path, owner: str) -> None:
        """Read one file or folder that *owner* offers: a plugin, or a folder of the user's."""
        name = entry.name.rsplit(".", 1)[0].lower() if entry.is_file() else entry.name.lower()
        try:
            found = _read_offered(entry, owner)
            name = found.name.lower()
            self._refuse_second(name, owner, private=isinstance(found, PrivatePart))
            if isinstance(found, PrivatePart):
                self.private[name] = found, owner
            else:
                self.challenges[name] = found
                self.owners[name] = owner
        except ConfigError as error:
            self.problems[name] = error

    def _refuse_second(self, name: str, owner: str, *, private: bool) -> None:
        if private:
            other = self.private[name][1] if name in self.private else ""
            what = "the private part of the challenge"
        else:
            other = self.owners.get(name, "interview-buddy-kernel" if name in _shipped() else "")
            what = "the challenge"
        if other:
            raise NameClash(f"{what} {name!r} is offered by both {other} and {owner}")

    def join(self) -> None:
        """Put each private part to its challenge."""
        for name, (part, owner) in self.private.items():
            try:
                if name not in self.challenges:
                    raise ConfigError(
                        f"{_whose(owner)} has the private part of a challenge {name!r} that nobody offers"
                    )
                self.challenges[name] = part.added_to(self.challenges[name], f"of {_whose(owner)}")
            except ConfigError as error:  # a half of one and a half of another is no challenge
                self.problems[name] = error
                self.challenges.pop(name, None)
        for name in self.problems:
            if name not in _shipped():  # what is shipped stays what it is
                self.challenges.pop(name, None)


def _whose(owner: str) -> str:
    """Return an owner as messages call it: a folder by its path, a plugin as one."""
    return shown_path(owner) if os.path.isabs(owner) else f"the plugin {owner}"


def _known(plugins: Plugins | None, folders: Sequence[Path] = ()) -> _Known:
    known = _Known(dict(_shipped()))
    if plugins is not None:
        plugins.load()
        catalog = plugins.catalog
        for place, plugin in catalog.challenges.names().items():
            for entry in _entries(catalog.challenges.get(place)):
                known.take(entry, plugin)
    for folder in folders:
        for own in _entries(folder):
            known.take(own, str(folder))
    known.join()
    return known


def _entries(folder: Traversable | Path) -> Sequence[Traversable | Path]:
    try:
        found = [e for e in folder.iterdir() if e.name.lower().endswith(_SUFFIXES) or is_folder(e)]
    except OSError:  # it was there when the plugin was loaded
        return []
    return sorted(found, key=lambda entry: entry.name)[:MAX_FILES]


def _read_offered(entry: Traversable | Path, owner: str) -> Challenge | PrivatePart:
    from importlib import resources

    origin = f"{entry.name} of {_whose(owner)}"
    if entry.is_dir():
        return read_private(entry, entry.name, origin) or read_folder(entry, entry.name, origin)
    with resources.as_file(entry) as path:
        try:
            source = read_text(path, "the challenge", limit=MAX_BYTES)
        except FileNotFoundError as error:
            raise ConfigError(f"cannot read the challenge {entry}: {error.strerror}") from None
    return parse_challenge(source, entry.name.rsplit(".", 1)[0], origin)


@functools.cache
def _shipped() -> Mapping[str, Challenge]:
    from importlib import resources

    folder = resources.files("ib_kernel").joinpath("interview/data/challenges")
    found = {}
    for entry in folder.iterdir():
        if entry.name.endswith(".md"):
            challenge = parse_challenge(entry.read_text(encoding="utf-8"), entry.name[:-3])
            found[challenge.name] = challenge
        elif is_folder(entry):
            challenge = read_folder(entry, entry.name, "shipped")
            found[challenge.name] = challenge
    return found


def _read(path: Path) -> Challenge:
    if os.path.isdir(path):  # False for what cannot be a path, where Path.is_dir raises
        return read_folder(path, path.resolve().name, shown_path(path))
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"a challenge is a folder, a .md or a .txt file, not {str(path)!r}")
    try:
        source = read_text(path, "the challenge", limit=MAX_BYTES)
    except FileNotFoundError as error:
        raise ConfigError(f"cannot read the challenge {shown_path(path)}: {error.strerror}") from None
    return parse_challenge(source, path.stem, str(path))
