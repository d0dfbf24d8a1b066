"""The live gauge, the interviewer's controls and the board: every button clicked, in a browser."""

from __future__ import annotations

import re

import lab

from ib_kernel import Settings, TokenService

START = "import os\nos.environ['IB_DATA_DIR'] = os.path.abspath('../ledger-{0}')\n%load_ext ib_kernel\n"
ADA = '%interview start "Backend engineer" --client demo --candidate Ada --budget 10000 --minutes 30\n'


def press(sheet: lab.Sheet, i: int, name: str) -> None:
    """Click the button called *name* under cell *i*."""
    sheet.area(i).query_selector(f'button:text-is("{name}")').click()


def test_another_program_s_spending_shows_within_two_seconds(jupyter: lab.Lab) -> None:
    """The ledger is the one truth: what somebody else spends moves this notebook's gauge."""
    cells = [
        START.format("shared") + ADA,
        "from ib_kernel import BudgetWidget\nw = BudgetWidget()\nw",
        "w.session_id",
    ]
    with jupyter.notebook("shared.ipynb", cells) as sheet:
        sheet.run(0, 1)
        sheet.wait_for_text(1, "10,000 left")
        session = sheet.run(2)[0]["data"]["text/plain"].strip("'")
        service = TokenService(Settings(data_dir=jupyter.work.parent / "ledger-shared"))
        service.update_consumption(session, 1000, 234)
        sheet.wait_for_text(1, "8,766 left", seconds=2)
        service.close()


def test_every_control_does_what_it_says(jupyter: lab.Lab, axe: str) -> None:
    """Tokens, minutes, pause, resume, and an end that asks first; nothing for axe-core, light or dark."""
    cells = [START.format("controls") + ADA, "%budget --live --controls", "%interview status"]
    with jupyter.notebook("controls.ipynb", cells) as sheet:
        sheet.run(0, 1)
        sheet.wait_for_text(1, "used 0 of 10,000")
        press(sheet, 1, "Add tokens")
        sheet.wait_for_text(1, "used 0 of 15,000")
        press(sheet, 1, "Add minutes")
        sheet.wait_for_text(1, "39:")
        press(sheet, 1, "Pause")
        sheet.wait_for_text(1, "Paused")
        assert "paused" in sheet.run(2)[0]["data"]["text/plain"]
        press(sheet, 1, "Resume")
        sheet.wait_for_text(1, "Running")
        sheet.page.evaluate(axe)
        for theme in ("Dark", "Light"):
            jupyter.theme(theme)
            sheet.shot(f"controls-{theme.lower()}", 1)
            assert lab.problems(sheet.page, ".jp-OutputArea-output", other_theme=theme == "Light") == [], (
                theme
            )
        press(sheet, 1, "End session")
        sheet.wait_for_text(1, "This cannot be undone.")
        assert "active" in sheet.run(2)[0]["data"]["text/plain"]
        sheet.page.keyboard.press("Escape")
        press(sheet, 1, "End session")
        sheet.page.wait_for_timeout(500)
        press(sheet, 1, "Really end it")
        sheet.wait_for_text(1, "Ended")


LOCKED = """from ib_kernel import BudgetWidget, TokenService
service = TokenService()
session = service.create_session(candidate="Ada", token_budget=10_000, passphrase="open sesame")
hold = service.reserve_tokens(session.session_id, 600)
service.store.mark_unresolved(hold, "timeout")
BudgetWidget(session, service=service, controls=True)"""


def test_a_locked_session_asks_for_its_passphrase_and_a_write_off_asks_twice(jupyter: lab.Lab) -> None:
    """Without the passphrase nothing changes; with it the field is emptied, and a write-off is confirmed."""
    with jupyter.notebook("locked.ipynb", [START.format("locked"), LOCKED]) as sheet:
        sheet.run(0, 1)
        sheet.wait_for_text(1, "9,400 left")
        secret = sheet.area(1).query_selector("input[type=password]")
        press(sheet, 1, "Add tokens")
        sheet.wait_for_text(1, "passphrase")
        secret.fill("open barley")
        press(sheet, 1, "Add tokens")
        sheet.page.wait_for_function("field => field.value === ''", arg=secret)
        assert "9,400 left" in sheet.text(1)
        secret.fill("open sesame")
        press(sheet, 1, "Add tokens")
        sheet.wait_for_text(1, "14,400 left")
        assert secret.input_value() == ""
        secret.fill("open sesame")
        sheet.area(1).query_selector('button:has-text("Write off")').click()
        assert "14,400 left" in sheet.text(1)
        sheet.page.wait_for_timeout(500)
        sheet.area(1).query_selector('button:has-text("Really write off")').click()
        sheet.wait_for_text(1, "15,000 left")
        sheet.shot("locked", 1)


def test_the_board_finds_and_shows_a_session(jupyter: lab.Lab, axe: str) -> None:
    """Filter, sort, select: the conversation, its chart and the controls; reopened, its last state."""
    cells = [
        START.format("board") + "%interview start --client demo --candidate Grace --budget 5000\n" + ADA,
        "%%interview\nI'd start with a **token bucket**.",
        "from ib_kernel import SessionsWidget\nSessionsWidget()",
    ]
    with jupyter.notebook("board.ipynb", cells) as sheet:
        sheet.run(0, 1, 2)
        sheet.wait_for_text(2, "2 of 2 sessions")
        area = sheet.area(2)
        area.query_selector("input[type=search]").fill("grace")
        sheet.wait_for_text(2, "1 of 2 sessions")
        area.query_selector("input[type=search]").fill("")
        sheet.wait_for_text(2, "2 of 2 sessions")
        for i, value in ((0, "paused"), (0, ""), (1, "used"), (1, "newest")):
            area.query_selector_all("select")[i].select_option(value)
            sheet.wait_for_text(2, "0 of 2 sessions" if value == "paused" else "2 of 2 sessions")
        area.query_selector('button[aria-label^="Ada,"]').click()
        sheet.wait_for_text(2, "token bucket")
        sheet.wait_for_text(2, "Interviewer's controls")
        sheet.page.evaluate(axe)
        for theme in ("Dark", "Light"):
            jupyter.theme(theme)
            sheet.shot(f"board-{theme.lower()}")
            assert lab.problems(sheet.page, ".jp-OutputArea-output", other_theme=theme == "Light") == [], (
                theme
            )
        sheet.saved()
        assert "not live" not in sheet.text(2)
        sheet.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        sheet.wait_for_text(2, "not live")
    with jupyter.notebook("board.ipynb") as sheet:
        sheet.wait_for_text(2, "2 of 2 sessions")
        shown = sheet.text(2)
        assert re.search(r"As of \d{4}-\d\d-\d\d \d\d:\d\d, not live\.", shown)
        assert "Grace" in shown
        assert "not found" not in shown
