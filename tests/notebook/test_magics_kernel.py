"""A whole session in a real kernel, as a front end sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

CELLS = [
    "%load_ext ib_kernel",
    "%interview start Backend engineer --candidate Ada --challenge rate-limiter --budget 6000 --client demo",
    "%%interview\nA token bucket per user, kept in Redis.",
    "%%interview --modle x\nhello",
    "%%interview -n 99999\nhello",
    "%config InterviewMagics.stream = 'never'",
    "%budget",
    "%%usage\nSELECT model, sum(input_tokens) AS i, sum(output_tokens) AS o FROM calls GROUP BY ALL",
    "rows = _.fetchall(); rows[0][0]",
    "%%time\n%interview status",
    "from ib_kernel import BudgetWidget, current_interview\nBudgetWidget()",
    "import _thread, threading\n"
    "client = current_interview().client('demo')\n"
    "original = client.stream\n"
    "def slow(body):\n"
    "    import asyncio, contextlib\n"
    "    @contextlib.asynccontextmanager\n"
    "    async def opened():\n"
    "        async with original(body) as events:\n"
    "            async def paced():\n"
    "                n = 0\n"
    "                async for event in events:\n"
    "                    yield event\n"
    "                    n += 1\n"
    "                    if n == 8:\n"
    "                        _thread.interrupt_main()\n"
    "                        await asyncio.sleep(30)\n"
    "            yield paced()\n"
    "    return opened()\n"
    "client.stream = slow",
    "%%interview\nI would refill each bucket continuously.",
    "%budget",
    "%unload_ext ib_kernel",
]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory):
    """The executed cells, by their source's first line."""
    import os

    data = tmp_path_factory.mktemp("ledger")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("IB_", "OPENAI_"))}
    environment |= {"IB_DATA_DIR": str(data), "IB_CONFIG": str(data / "none.toml")}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    client = nbclient.NotebookClient(notebook, timeout=280, allow_errors=True, kernel_name="python3")
    client.execute(env=environment, cwd=str(Path(data)))
    return notebook.cells


def lines(cell) -> list[str]:
    """Return the one-line tracebacks of a cell."""
    return [line for output in cell.outputs if output.output_type == "error" for line in output.traceback]


def test_loading_and_unloading_print_nothing(cells):
    """%load_ext and %unload_ext leave no output."""
    assert cells[0].outputs == []
    assert cells[-1].outputs == []


def test_a_turn_is_one_output_with_its_footer(cells):
    """The stream's redraws end as one display of HTML and plain text."""
    (output,) = cells[2].outputs
    assert output.output_type == "display_data"
    assert set(output.data) == {"text/html", "text/plain"}
    assert "demo · turn 1 · " in output.data["text/plain"]
    assert "of 6\u202f000 left" in output.data["text/html"]


@pytest.mark.parametrize(
    ("index", "name", "line"),
    [
        (3, "UsageError", "Unknown option --modle; did you mean --model?"),
        (4, "BudgetRefused", "Not sent. "),
        (5, "ConfigError", "stream (%config) cannot be 'never'; allowed: one of live, final"),
    ],
)
def test_a_mistake_is_one_error_output_of_one_line(cells, index, name, line):
    """The cell fails, and the front end gets the error's name and a single line."""
    (output,) = cells[index].outputs
    assert (output.output_type, output.ename) == ("error", name)
    (shown,) = output.traceback
    assert shown.startswith(line)
    assert "\n" not in shown


def test_sql_shows_a_table_and_leaves_a_result(cells):
    """The table is the cell's result, and the next cell uses it."""
    (output,) = cells[7].outputs
    assert output.output_type == "execute_result"
    assert "<table" in output.data["text/html"]
    assert cells[8].outputs[0].data["text/plain"] == "'demo'"


def test_magics_compose_with_time(cells):
    """%%time around a magic works."""
    assert any("Wall time" in o.get("text", "") for o in cells[9].outputs)
    assert any("Ada" in o.get("data", {}).get("text/plain", "") for o in cells[9].outputs)


def test_the_widget_comes_with_a_static_gauge(cells):
    """The saved output has the live view, HTML and text."""
    data = cells[10].outputs[0].data
    assert {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"} <= set(data)


def test_an_interrupt_in_the_kernel_keeps_the_partial_reply(cells):
    """One line, the pieces that had come, nothing left held, and the next cell works."""
    display, error = cells[12].outputs
    assert display.data["text/plain"].startswith("*demo*")
    assert "stopped" in display.data["text/plain"]
    assert error.ename == "Stopped"
    assert error.traceback[0].startswith("Stopped. The reply so far is kept; ")
    assert "held" not in cells[13].outputs[0].data["text/plain"]
