"""The JupyterLab extension: cells in Markdown, status item, panel, and calm where there is nothing to say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import lab

START = (
    '%load_ext ib_kernel\n%interview start "Backend engineer" --candidate Ada --challenge rate-limiter '
    "--client demo --budget 20000 --minutes 45"
)
ANSWER = (
    "%%interview\nI'd keep **two numbers** per customer:\n```python\ndef allow(n):\n    return n > 1\n```"
)
PROSE, CODE = "text/x-ipythongfm", "text/x-ipython"
LANGUAGES = "() => jupyterapp.shell.currentWidget.content.widgets.map(w => w.model.mimeType)"
PANEL = "#interview-buddy-panel"
FIGURES = re.compile(r"about ([\d\u202f]+) tokens\s+([\d\u202f]+) to send")


def figure(text: str) -> int:
    """Return a number as the panel writes it."""
    return int(text.replace("\u202f", ""))


def panel(sheet: lab.Sheet) -> str:
    """Return what can be read in the panel."""
    return str(sheet.page.inner_text(PANEL))


def open_panel(sheet: lab.Sheet) -> None:
    """Show the panel beside the notebook."""
    sheet.page.evaluate("() => { jupyterapp.commands.execute('interview-buddy:open'); }")
    sheet.page.wait_for_selector(PANEL, state="visible")


def wait_for(sheet: lab.Sheet, part: str, where: str = PANEL) -> None:
    """Wait until *part* can be read in the panel or the status item."""
    sheet.page.wait_for_function(
        """([where, part]) => document.querySelector(where)?.innerText
             .replaceAll('\u202f', ' ').includes(part)""",
        arg=[where, part],
        timeout=30_000,
    )


def select(sheet: lab.Sheet, i: int) -> None:
    """Make cell *i* the active one."""
    sheet.page.evaluate("i => { jupyterapp.shell.currentWidget.content.activeCellIndex = i; }", i)


def test_a_question_is_markdown_however_it_came_there(jupyter: lab.Lab) -> None:
    """Opened, typed, pasted, after a restart of the kernel and when the file is opened again."""
    with jupyter.notebook("language.ipynb", [ANSWER, "1 + 1", ""]) as sheet:
        page = sheet.page
        assert page.evaluate(LANGUAGES) == [PROSE, CODE, CODE]
        select(sheet, 2)
        page.evaluate("() => { jupyterapp.commands.execute('notebook:enter-edit-mode'); }")
        page.keyboard.type("%%interview")
        assert page.evaluate(LANGUAGES)[2] == PROSE
        for _ in range(4):
            page.keyboard.press("Backspace")
        assert page.evaluate(LANGUAGES)[2] == CODE
        page.keyboard.type("view -n 300\nIt's not code, is it?")
        assert page.evaluate(LANGUAGES)[2] == PROSE
        select(sheet, 0)
        page.evaluate(
            "async () => { const run = name => jupyterapp.commands.execute(name);"
            " await run('notebook:copy-cell'); await run('notebook:paste-cell-below'); }"
        )
        page.wait_for_function(f"() => ({LANGUAGES})().length === 4")
        assert page.evaluate(LANGUAGES) == [PROSE, PROSE, CODE, PROSE]
        sheet.restart()
        assert page.evaluate(LANGUAGES) == [PROSE, PROSE, CODE, PROSE]
        sheet.saved()
        inside = page.evaluate(f"i => {lab.CELL}.node.querySelectorAll('.cm-line span').length", 0)
        assert inside > 3, "the code block inside is coloured"
    with jupyter.notebook("language.ipynb") as sheet:
        assert sheet.page.evaluate(LANGUAGES) == [PROSE, PROSE, CODE, PROSE]


def test_the_panel_s_estimate_follows_typing_and_is_what_is_sent(jupyter: lab.Lab) -> None:
    """It changes with each sentence, and the turn's row has the number that stood there last."""
    with jupyter.notebook("estimate.ipynb", [START, "%%interview\nA token bucket."]) as sheet:
        page = sheet.page
        sheet.run(0)
        open_panel(sheet)
        select(sheet, 1)
        wait_for(sheet, "to send")
        first = FIGURES.search(panel(sheet))
        assert first is not None
        page.evaluate("() => { jupyterapp.commands.execute('notebook:enter-edit-mode'); }")
        page.keyboard.press("Control+End")
        page.keyboard.type(" One for each customer, kept in Redis.")
        page.wait_for_function(
            "([where, old]) => !document.querySelector(where).innerText.includes(old) "
            "&& document.querySelector(where).innerText.includes('to send')",
            arg=[PANEL, f"{first[2]} to send"],
        )
        page.wait_for_timeout(1000)  # the last key's estimate
        last = FIGURES.search(panel(sheet))
        assert last is not None
        assert figure(last[2]) > figure(first[2])
        (output,) = sheet.run(1)
        sent = re.search(r"([\d,]+) in \+", output["data"]["text/plain"])
        assert sent is not None
        assert int(sent[1].replace(",", "")) == figure(last[2])
        wait_for(sheet, "Turn 1")


SPENDING = """%load_ext ib_kernel
import json, time
from ib_kernel import TokenService
service = TokenService()
session = service.store.sessions()[0].session_id
time.sleep(1)
for n in range(3):
    service.update_consumption(session, 1000 * 2**n, 0)
    print(json.dumps([service.get_remaining_budget(session), time.time()]), flush=True)
    time.sleep(1.3)"""
"""Another notebook's spending, each at another moment of whoever looks in whole seconds."""

SEEN = """() => { window.ibSeen = []; const item = document.querySelector('.ib-status');
  new MutationObserver(() => window.ibSeen.push([item.getAttribute('aria-label'), Date.now() / 1000]))
    .observe(item, {attributes: true, childList: true, subtree: true, characterData: true}); }"""


def test_a_button_of_the_panel_runs_a_cell_of_its_own(jupyter: lab.Lab) -> None:
    """The visible tests run below the active cell, their output is kept there, the panel has the result."""
    rooms = START.replace("rate-limiter", "meeting-rooms")
    code = "def rooms_needed(meetings):\n    return 1\n\ndef free_slots(m, o, c, n):\n    return []"
    with jupyter.notebook("buttons.ipynb", [code, rooms]) as sheet:
        sheet.run(0, 1)
        open_panel(sheet)
        wait_for(sheet, "not run yet")
        select(sheet, 0)
        sheet.page.click(f"{PANEL} button:has-text('visible tests')")
        wait_for(sheet, "1 of 3 passed")
        sheet.wait_for_text(1, "1 of 3 visible tests passed")
        sheet.shot("panel-buttons")


def test_the_status_item_follows_another_notebook_s_spending(jupyter: lab.Lab) -> None:
    """Two notebooks, two kernels, one session: the first shows within 2 s what the second has spent.

    Both clocks are this machine's: the page notes when its words changed, the other notebook when it had
    spent. The middle one of three counts, so that a moment in which the machine is busy is forgiven.
    """
    with jupyter.notebook("first.ipynb", [START.replace("20000", "50000")]) as sheet:
        sheet.run(0)
        wait_for(sheet, "50k", ".ib-status")
        front = sheet.page.evaluate("() => jupyterapp.shell.currentWidget.id")
        sheet.page.evaluate(SEEN)
        with jupyter.notebook("second.ipynb", [SPENDING]) as other:
            back = sheet.page.evaluate("() => jupyterapp.shell.currentWidget.id")
            other.begin(0)
            sheet.page.evaluate("id => { jupyterapp.shell.activateById(id); }", front)
            other.wait()
            wait_for(sheet, "43k", ".ib-status")
            seen = sheet.page.evaluate("() => window.ibSeen")
            sheet.page.evaluate("id => { jupyterapp.shell.activateById(id); }", back)
            sheet.page.wait_for_function("id => jupyterapp.shell.currentWidget.id === id", arg=back)
            spent = [json.loads(line) for line in other.outputs(0)[-1]["text"].splitlines()]
    shown = [(int(found[1]), at) for words, at in seen if (found := re.search(r"(\d+) tokens left", words))]
    waited = sorted(min(at for left, at in shown if left <= wanted) - when for wanted, when in spent)
    print("seen after, s:", [round(s, 2) for s in waited])
    assert waited[1] <= 2.0, waited


def test_no_session_a_restart_and_another_notebook_are_calm(jupyter: lab.Lab) -> None:
    """The item is there only for a notebook with a session, and the panel says what can be done."""
    with jupyter.notebook("calm.ipynb", [START, "1"]) as sheet:
        open_panel(sheet)
        wait_for(sheet, "No interview is in use in this notebook")
        assert sheet.page.is_hidden(".ib-status")
        sheet.run(0)
        wait_for(sheet, "Task: Rate limiter for a public API")
        assert sheet.page.is_visible(".ib-status")
        with jupyter.notebook("plain.ipynb", ["1"]) as other:
            wait_for(other, "No interview is in use in this notebook")
            assert other.page.is_hidden(".ib-status")
        wait_for(sheet, "Task: Rate limiter for a public API")
        sheet.saved()
        sheet.page.reload()
        sheet.page.wait_for_function("() => window.jupyterapp && jupyterapp.restored", timeout=60_000)
        sheet.page.wait_for_function(lab.READY, timeout=60_000)
        open_panel(sheet)
        wait_for(sheet, "Task: Rate limiter for a public API")
        sheet.restart()
        wait_for(sheet, "The kernel was started again")
        assert sheet.page.is_hidden(".ib-status")


def test_nothing_moves_in_the_status_bar(jupyter: lab.Lab) -> None:
    """No animation and no transition, also in the last turns."""
    with jupyter.notebook("still.ipynb", [START]) as sheet:
        sheet.run(0)
        wait_for(sheet, "20k", ".ib-status")
        moving = sheet.page.evaluate(
            "() => [...document.querySelectorAll('.ib-status, .ib-status *')].map(getComputedStyle)"
            ".filter(s => s.animationName !== 'none' || s.transitionDuration !== '0s').length"
        )
        assert moving == 0


def test_the_package_without_the_extension_works_as_before(chromium: Any, url: str, place: Path) -> None:
    """A page that knows nothing of the comm runs an interview; the kernel goes on unbothered."""
    page = lab.Lab(chromium, url, place, extension=False)
    with page.notebook("bare.ipynb", [START, "%%interview\nHello.", "%budget"]) as sheet:
        assert sheet.page.query_selector(".ib-status") is None
        for i in range(3):
            outputs = sheet.run(i)
            assert all(output["output_type"] != "error" for output in outputs), outputs
    page.page.close()
