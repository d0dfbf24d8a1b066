"""What `deploy/` names is there: options of `ib`, extras, copied files. Whether an image runs is untried."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from ib_kernel.cli import main

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
CONTAINER = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
UNIT = (DEPLOY / "ib-host.service").read_text(encoding="utf-8")


def lines(word: str, text: str, sign: str = " ") -> list[str]:
    """Return what comes after *word* in each line that begins with it."""
    return [line[len(word) + 1 :] for line in text.splitlines() if line.startswith(word + sign)]


def unknown(command: Sequence[str], capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Return the options of an ``ib`` command that its help does not have."""
    program, word, *given = command
    assert Path(program).name == "ib"
    with pytest.raises(SystemExit) as ended:
        main([word, "--help"])
    assert ended.value.code == 0
    known = re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)
    return {part for part in given if part.startswith("--")} - set(known)


def test_the_image_starts_a_host_as_it_can_be_started(capsys: pytest.CaptureFixture[str]) -> None:
    """Each option exists, in the entry point and in the line that says how it is run."""
    (entry,) = lines("ENTRYPOINT", CONTAINER)
    assert unknown(json.loads(entry), capsys) == set()
    (run,) = lines("# Run:", CONTAINER)
    tail = run.split("ib-host ", 1)[1]
    assert unknown(["ib", "host", *shlex.split(tail)], capsys) == set()
    (port,) = lines("EXPOSE", CONTAINER)
    assert f":{port}" in entry
    assert f":{port}:{port}" in run


def test_the_image_has_what_it_copies_and_installs() -> None:
    """Folders, extras and the Python that the project is for; its data is its own user's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (install,) = re.findall(r"pip install [^&]*", CONTAINER)
    for path, extras in re.findall(r"/src(/[\w/]+)?(?:\[([\w,]+)\])?", install):
        assert (ROOT / path.lstrip("/") / "pyproject.toml").is_file(), path
        assert set(filter(None, extras.split(","))) <= set(project["optional-dependencies"])
    (python,) = re.findall(r"python:(\d+\.\d+)", CONTAINER)
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]
    (user,) = lines("USER", CONTAINER)
    assert re.search(rf"useradd .*\b{user}\b", CONTAINER)
    (volume,) = lines("VOLUME", CONTAINER)
    assert f"chown {user} {volume}" in CONTAINER
    assert f'"--data", "{volume}"' in CONTAINER


def test_the_unit_starts_a_host_as_it_can_be_started(capsys: pytest.CaptureFixture[str]) -> None:
    """Each option exists, and its folder is the one that systemd makes for it."""
    (start,) = lines("ExecStart", UNIT, "=")
    assert unknown(shlex.split(start), capsys) == set()
    (state,) = lines("StateDirectory", UNIT, "=")
    assert f"--data /var/lib/{state} " in start
    assert lines("StateDirectoryMode", UNIT, "=") == ["0700"]


def test_what_nobody_has_tried_says_so() -> None:
    """In the file itself and in the table of the folder."""
    assert CONTAINER.startswith("# Untried.")
    assert "the service itself is untried" in UNIT.splitlines()[0]
    table = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for name, word in (("ib-host.service", "its form only"), ("Containerfile", "| no:")):
        assert word in next(line for line in table.splitlines() if f"({name})" in line)
