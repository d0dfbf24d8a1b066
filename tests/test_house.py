"""The house stays as it was laid out: few files at the top, the field's own words, a layer for each room."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(ROOT / "ib_kernel").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
PRIVATE = re.compile(
    r"\b(Teller|Booking|SessionDesk|CapMeter|Biller|Shelf|Ruler|mend|lend|hurry|park|sorted_out|_let_go)\b"
)
"""Words of our own that the field's words have replaced: "reservation", "notify", "repair", "hand out"."""


def test_at_the_top_of_the_package_are_few_files() -> None:
    """What comes new belongs into a room."""
    top = {path.name for path in (ROOT / "ib_kernel").glob("*.py")}
    assert {"__init__.py", "cli.py", "errors.py"} <= top
    assert len(top) <= 6, sorted(top)


def test_no_source_uses_a_private_word() -> None:
    """A stranger knows the nouns and verbs before reading the code."""
    assert len(SOURCES) > 300
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if PRIVATE.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("line", ["class Teller:", "    mend(row)", "# lend it out", "Booking(1)"])
def test_a_private_word_would_be_found(line: str) -> None:
    """As a whole word, wherever it stands."""
    assert PRIVATE.search(line)


def test_every_room_is_in_a_layer() -> None:
    """import-linter's layers name each file and folder of the top, and fail for one that is in none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = [
        contract
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers" and contract.get("containers") == ["ib_kernel"]
    ]
    assert [contract["exhaustive"] for contract in layers] == [True]
    named = {name.strip("() ") for layer in layers[0]["layers"] for name in re.split("[|:]", layer)}
    there = {path.stem for path in (ROOT / "ib_kernel").iterdir() if path.suffix == ".py"}
    there |= {path.parent.name for path in (ROOT / "ib_kernel").glob("*/__init__.py")}
    assert there - {"__init__"} <= named
