"""The notebooks in JupyterLab: run from top to bottom, saved, reopened, exported."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import lab
import nbformat
import pytest

TOURS = ["01_first_interview", "02_budget", "03_usage_sql"]


@pytest.fixture(scope="session")
def toured(jupyter: lab.Lab):
    """The three notebooks, run in the browser, as they were saved."""
    saved = {}
    for name in TOURS:
        shutil.copy(lab.ROOT / "notebooks" / f"{name}.ipynb", jupyter.work)
        with jupyter.notebook(f"{name}.ipynb") as sheet:
            sheet.page.evaluate("() => { jupyterapp.commands.execute('notebook:clear-all-cell-outputs'); }")
            (sheet.run_all if name == TOURS[0] else sheet.run_each)()
            saved[name] = sheet.saved()
            sheet.shot(name)
    return saved


@pytest.mark.parametrize("name", TOURS)
def test_every_cell_runs_and_only_those_meant_to_fail_do(toured, name) -> None:
    """In the browser as under nbclient: an error stands only under a cell that is tagged so, in one line."""
    for cell in toured[name].cells:
        if cell.cell_type == "code":
            assert cell.execution_count, cell.source
            errors = [output for output in cell.outputs if output.output_type == "error"]
            assert bool(errors) == ("raises-exception" in cell.metadata.get("tags", [])), (
                cell.source,
                errors,
            )
            assert all(len(error.traceback) == 1 for error in errors)


@pytest.mark.parametrize("name", TOURS)
def test_a_streamed_reply_is_saved_once_and_whole(toured, name) -> None:
    """The file has one output per reply, with its figures; no waiting line and no half reply."""
    for cell in toured[name].cells:
        if cell.cell_type == "code" and cell.source.startswith("%%interview"):
            (output,) = cell.outputs
            if output.output_type == "error":
                continue
            text = output.data["text/plain"]
            assert " left" in text.splitlines()[-1] or "⚠" in text
            assert "waiting for" not in text
            assert set(output.data) == {"text/html", "text/plain"}
            assert dict(output.metadata) == {}


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "untrusted"])
def test_a_reopened_notebook_shows_what_it_showed(jupyter: lab.Lab, toured, trusted) -> None:
    """Replies and gauges can be read after reopening; an untrusted notebook loses nothing that matters."""
    name = "01_first_interview.ipynb" if trusted else "from_elsewhere.ipynb"
    notebook = toured["01_first_interview"]
    if not trusted:  # outputs that were not made here
        notebook.cells[0].source += "\n\nEdited elsewhere."
        nbformat.write(notebook, jupyter.work / name)
    with jupyter.notebook(name) as sheet:
        is_trusted = sheet.page.evaluate(
            "() => [...jupyterapp.shell.currentWidget.content.widgets]"
            ".filter(c => c.model.type === 'code').every(c => c.model.trusted)"
        )
        assert is_trusted == trusted
        cells = [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        shown = {i: sheet.text(i) for i, cell in cells if cell.source.startswith(("%%interview", "%budget"))}
        sheet.shot(f"reopened-{'trusted' if trusted else 'untrusted'}")
    assert len(shown) == 5
    assert all(re.search(r"Turn \d", text) or "Budget · Ada" in text for text in shown.values())
    gauge = next(text for text in shown.values() if "Budget · Ada" in text)
    for part in ("used ", "left ", "tokens left · about ", "cost: nothing (scripted demo)"):
        assert part in gauge


def test_an_exported_notebook_shows_it_offline(jupyter: lab.Lab, chromium, toured) -> None:
    """nbconvert's page shows replies and gauge without a network."""
    source = jupyter.work / "01_first_interview.ipynb"
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--log-level=ERROR", str(source)]
    subprocess.run(command, check=True, timeout=280, cwd=jupyter.work)
    context = chromium.new_context(offline=True, viewport={"width": 1100, "height": 1400})
    page = context.new_page()
    page.route(
        "**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort()
    )
    page.goto(source.with_suffix(".html").as_uri(), wait_until="domcontentloaded")
    text = page.inner_text("body")
    lab.ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=lab.ARTIFACTS / "exported.png", full_page=True)
    context.close()
    assert len(re.findall(r"Turn \d", text)) >= 4
    assert "tokens left · about " in text
