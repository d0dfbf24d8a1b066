"""`ib challenge new` and `pack`: a challenge to begin with, and the two distributions that it becomes."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from string import Template

from ib_kernel.errors import ConfigError
from ib_kernel.evidence.lint import leaks
from ib_kernel.interview.challenges.folder import PRIVATE_FILES, TASK, read_folder
from ib_kernel.interview.challenges.model import Challenge
from ib_kernel.settings.files import parse_toml, read_text, shown_path

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
"""What a new challenge may be called: it is a folder's name and a part of a package's."""

_PUBLIC_FILES = (TASK, "starter.py", "tests/visible.py")

_PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{dist}"
version = "{version}"
description = "{what} of the Interview Buddy challenge {name}"
requires-python = ">=3.11"
dependencies = ["interview-buddy-kernel"]

[project.entry-points.ib_kernel]
{module} = "{module}"

[tool.hatch.build.targets.wheel]
packages = ["{module}"]
"""

_PLUGIN = '''\
"""{what} of the challenge {name}."""

from importlib.resources import files

from ib_kernel import hookimpl


@hookimpl
def ib_register(catalog):
    catalog.add_challenges(files("{module}") / "challenges")
'''


def new_challenge(folder: Path) -> list[Path]:
    """Write a small challenge that is complete, to be replaced part by part.

    Args:
        folder: A folder that is not there yet; its name is the challenge's.

    Returns:
        The files that were written.

    Raises:
        ConfigError: The name cannot be a challenge's, or there is something of that name.
    """
    name = folder.name
    if not NAME.fullmatch(name) or len(name) > 60:
        raise ConfigError(
            f"{name!r} is no name for a challenge: small letters, digits and -, such as rate-limiter"
        )
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ConfigError(f"{shown_path(folder)} is there already; choose another name") from None
    except OSError as error:
        raise ConfigError(f"cannot make {shown_path(folder)}: {error.strerror}") from None
    return [
        _write(folder / file, Template(text.lstrip("\n")).safe_substitute(name=name).encode())
        for file, text in _template().items()
    ]


def _template() -> dict[str, str]:
    source = resources.files("ib_kernel").joinpath("evidence/data/new.toml").read_text(encoding="utf-8")
    return {name: str(text) for name, text in parse_toml(source, "new.toml").items()}


def pack(folder: Path, out: Path) -> list[Path]:
    """Split a challenge's folder into two packages, one for everybody and one for interviewers.

    Each can be built by ``pip wheel`` and installed beside the other; together they are the challenge.

    Args:
        folder: A challenge with both parts.
        out: Where the two folders are made.

    Returns:
        The two folders, the candidate's part first.

    Raises:
        ConfigError: It is no such folder, something of the private part stands in the candidate's, or a
            folder to be made is there already.
    """
    if not folder.is_dir():
        raise ConfigError(f"{shown_path(folder)} is no folder; pack takes the folder of a challenge")
    challenge = read_folder(folder, folder.resolve().name, str(folder))
    _refuse_unsplit(folder, challenge)
    public = {name: (folder / name).read_bytes() for name in _PUBLIC_FILES if (folder / name).is_file()}
    public |= {f"data/{name}": content for name, content in challenge.data.items()}
    private = {name: (folder / name).read_bytes() for name in PRIVATE_FILES if (folder / name).is_file()}
    private["rubric.toml"] = _with_version(private.get("rubric.toml", b""), challenge)
    kinds = (("", "The candidate's part", public), ("-private", "The interviewer's part", private))
    made = [out / f"challenge-{challenge.name}{suffix}" for suffix, _, _ in kinds]
    for place in made:
        if place.exists():
            raise ConfigError(f"{shown_path(place)} is there already; remove it, or name another --out")
    for place, (_, what, files) in zip(made, kinds, strict=True):
        _package(place, challenge, what, files)
    return made


def _refuse_unsplit(folder: Path, challenge: Challenge) -> None:
    where = f"the challenge {challenge.name}"
    if not NAME.fullmatch(challenge.name):
        raise ConfigError(f"{where} cannot be packed by that name: small letters, digits and -")
    if not any((folder / name).is_file() for name in PRIVATE_FILES):
        raise ConfigError(f"{where} has no private part: notes.md, rubric.toml, hints.toml, solution.py")
    task = _task_alone(folder, challenge)
    if task.notes or task.rubric:
        raise ConfigError(
            f"{where} has notes or a rubric in {TASK}, which candidates get; move them to notes.md and "
            "rubric.toml"
        )
    for finding in leaks(challenge):
        raise ConfigError(f"{where} is not packed: {finding.text}")


def _task_alone(folder: Path, challenge: Challenge) -> Challenge:
    """Return what the challenge's ``challenge.md`` alone says."""
    from ib_kernel.interview.challenges.parse import parse_challenge

    return parse_challenge(read_text(folder / TASK, TASK), challenge.name, challenge.origin)


def _with_version(rubric: bytes, challenge: Challenge) -> bytes:
    """Return rubric.toml with the version of the challenge that it belongs to."""
    text = rubric.decode("utf-8")
    said = parse_toml(text, "rubric.toml").get("version")
    if said is None:
        return f"version = {json.dumps(challenge.version)}\n\n{text}".encode()
    if said != challenge.version:
        raise ConfigError(
            f"rubric.toml of the challenge {challenge.name} is for version {said}, and {TASK} says "
            f"{challenge.version}"
        )
    return rubric


def _package(place: Path, challenge: Challenge, what: str, files: dict[str, bytes]) -> None:
    module = place.name.replace("-", "_")
    version = challenge.version if re.fullmatch(r"\d+(\.\d+)*", challenge.version) else "1"
    words = {"dist": place.name, "module": module, "name": challenge.name, "what": what, "version": version}
    _write(place / "pyproject.toml", _PYPROJECT.format(**words).encode())
    _write(place / module / "__init__.py", _PLUGIN.format(**words).encode())
    for name, content in files.items():
        _write(place / module / "challenges" / challenge.name / name, content)


def _write(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"cannot write {shown_path(path)}: {error.strerror}") from None
    return path
