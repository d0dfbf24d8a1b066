"""The notebooks are committed executed, keep to themselves, and what they teach passes the contracts."""

from __future__ import annotations

import builtins
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
ids = [path.stem for path in NOTEBOOKS]


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_there_are_seven_notebooks() -> None:
    """The tour has its parts, one for a model of one's own, a whole coding interview, and a decision."""
    assert [name[:2] for name in ids] == ["01", "02", "03", "04", "05", "06", "07"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_a_notebook_was_committed_executed_from_top_to_bottom(path: Path) -> None:
    """Every code cell has run, once, in order; an unexecuted notebook would validate vacuously."""
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))
    assert sum(bool(cell.outputs) for cell in code_cells(path)) >= 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_a_notebook_uses_a_ledger_of_its_own(path: Path) -> None:
    """The first cell sets a temporary data directory before anything is loaded."""
    first = code_cells(path)[0].source
    assert 'os.environ["IB_DATA_DIR"] = tempfile.mkdtemp(' in first
    assert first.index("IB_DATA_DIR") < (first + "%load_ext").index("%load_ext")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_only_cells_that_are_meant_to_fail_do(path: Path) -> None:
    """An error output stands only where the cell says `raises-exception`; one of ours is one line."""
    for cell in code_cells(path):
        errors = [out for out in cell.outputs if out.output_type == "error"]
        tagged = "raises-exception" in cell.metadata.get("tags", [])
        assert bool(errors) == tagged, cell.source
        for error in errors:
            assert len(error.traceback) == 1 or hasattr(builtins, error.ename)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_nothing_that_is_compared_holds_an_id_a_time_or_a_path(path: Path) -> None:
    """Session ids, clock times and temporary folders would make the comparison fail elsewhere."""
    for cell in code_cells(path):
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            continue
        for output in cell.outputs:
            text = output.get("text") or "".join(map(str, output.get("data", {}).values()))
            assert not re.search(r"\b[0-9a-f]{12}\b|\d\d:\d\d:\d\d|/tmp/|/home/|interview-\w{8}", text), (
                cell.source
            )


def test_the_usage_notebook_has_two_charts() -> None:
    """Burn-down and comparison are drawn."""
    (path,) = (p for p in NOTEBOOKS if p.stem.startswith("03"))
    charts = [o for cell in code_cells(path) for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(charts) >= 2
