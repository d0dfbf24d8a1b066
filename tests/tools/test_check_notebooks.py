"""A notebook that is not clean is named, with the cell and what to do."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("check_notebooks", ROOT / "tools" / "check_notebooks.py")
assert SPEC
assert SPEC.loader
check_notebooks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_notebooks)


def code(source: str, count: int | None, *outputs: Any, **metadata: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": count,
        "id": f"cell-{count}",
        "metadata": metadata,
        "outputs": list(outputs),
        "source": source.splitlines(keepends=True),
    }


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": [text]}


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    return {
        "cells": list(cells),
        "metadata": copy.deepcopy(check_notebooks.KERNEL),
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_committed_notebook_is_clean(path: Path) -> None:
    """No key, no machine's path, no stray metadata, and every cell ran in its turn."""
    assert check_notebooks.faults(json.loads(path.read_text(encoding="utf-8"))) == []


def test_cells_that_ran_from_top_to_bottom_are_clean() -> None:
    """Outputs, tags that mean something and Markdown are no fault."""
    text = {"cell_type": "markdown", "id": "text", "metadata": {}, "source": ["See https://x.org/home/ann."]}
    cells = [code("1", 1, printed("1")), text, code("2/0", 2, tags=["raises-exception"])]
    assert check_notebooks.faults(notebook(*cells)) == []


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (code("1", None), "cell 1 has not run instead of [1]; restart the kernel and run all cells"),
        (code("1", 7), "cell 1 ran as [7] instead of [1]; restart the kernel and run all cells"),
        (code(" ", 1), "cell 1 is empty"),
        (code("1", 1, collapsed=True), "cell 1 has stray metadata: collapsed"),
        (code("1", 1, tags=["nbval-ignore-outptu"]), "cell 1 has an unknown tag: nbval-ignore-outptu"),
        (code("open('/home/ann/x')", 1), "cell 1 shows a path of one machine: /home/ann"),
        (code("1", 1, printed("in /tmp/tmp1a2b/data")), "cell 1 shows a path of one machine: /tmp/tmp1a2b"),
        (code("1", 1, printed("C:\\Users\\ann\\x")), "cell 1 shows a path of one machine: C:\\Users\\ann"),
    ],
)
def test_what_is_not_clean_is_named(cell: dict[str, Any], expected: str) -> None:
    """One line says which cell, what is wrong, and what to do where that is not plain."""
    assert check_notebooks.faults(notebook(cell)) == [expected]


@pytest.mark.parametrize(
    "key", ["sk-" + "a1" * 12, "sk-proj-" + "b2_" * 9, "ghp_" + "c3" * 18, "AKIA" + "D4" * 8]
)
def test_a_key_is_found_and_not_repeated(key: str) -> None:
    """In a source or an output, split over lines or not; the line about it does not show it."""
    shown = {"output_type": "display_data", "data": {"text/html": ["<b>", key, "</b>"]}, "metadata": {}}
    for cell in (code(f"key = '{key}'", 1), code("1", 1, shown)):
        (fault,) = check_notebooks.faults(notebook(cell))
        assert "looks like a key" in fault
        assert key not in fault


def test_fixing_takes_stray_metadata_away_and_nothing_else(tmp_path: Path) -> None:
    """What an editor left is removed; a cell that has not run is still a fault."""
    path = tmp_path / "a.ipynb"
    dirty = notebook(code("1", 1, printed("1"), collapsed=True, tags=["plugin"]), code("2", None))
    dirty["metadata"]["language_info"]["version"] = "3.13.0"
    path.write_text(json.dumps(dirty), encoding="utf-8")
    assert check_notebooks.main(["--fix", str(path)]) == 1
    after = json.loads(path.read_text(encoding="utf-8"))
    assert after == notebook(code("1", 1, printed("1"), tags=["plugin"]), code("2", None))
