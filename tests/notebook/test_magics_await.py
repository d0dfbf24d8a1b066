"""Interrupts of cells that await, in a real kernel: the kernel treats those differently."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

PRESS = "threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
CELLS = [
    "import asyncio, os, signal, threading\nos.environ['IB_DEMO_DELAY_S'] = '0.2'\n%load_ext ib_kernel\n"
    "%interview start --client demo --budget 9000\nfrom ib_kernel import current_interview",
    PRESS + "await current_interview().say('A token bucket per user.')",
    "%budget",
    PRESS + "await asyncio.sleep(0)\nget_ipython().run_cell_magic('interview', '', 'And a hint?')",
    "%budget",
    "%config InterviewMagics.stream = 'final'",
    "print((await current_interview().say('Go on.')).text)",
]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory):
    """The executed cells."""
    data = tmp_path_factory.mktemp("ledger")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("IB_", "OPENAI_"))}
    environment |= {"IB_DATA_DIR": str(data), "IB_CONFIG": str(data / "none.toml")}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    client = nbclient.NotebookClient(notebook, timeout=280, allow_errors=True, kernel_name="python3")
    client.execute(env=environment, cwd=str(Path(data)))
    return notebook.cells


@pytest.mark.parametrize("i", [1, 3])
def test_an_interrupted_cell_fails_and_holds_nothing(cells, i):
    """The awaited turn ends with its cell, and the ledger holds nothing for it."""
    assert cells[i].outputs[-1].output_type == "error"
    gauge = cells[i + 1].outputs[0].data["text/plain"]
    assert "held" not in gauge
    assert "used 0 " not in gauge or "in doubt" in gauge


def test_a_magic_in_a_cell_that_awaits_stops_at_once_with_one_line(cells):
    """The kernel would keep the interrupt until the cell's end; we do not."""
    error = cells[3].outputs[-1]
    assert error.ename == "Stopped"
    assert len(error.traceback) == 1


def test_the_next_awaited_turn_works(cells):
    """Nothing of the interrupted turns stands in the way."""
    assert "demo" in cells[-1].outputs[0].text
