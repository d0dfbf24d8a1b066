"""A session played back in the notebook: arrow keys, marks, the notebook as it was, readable by all."""

from __future__ import annotations

import lab

START = (
    "import os\nos.environ['IB_DATA_DIR'] = os.path.abspath('../ledger-replay')\n%load_ext ib_kernel\n"
    "%interview start Engineer --candidate Ada --client demo --challenge lru-cache --budget 20000"
)
CELLS = [
    START,
    "%interview begin",
    "entries = {}",
    "def put(key, value):\n    entries[key] = value",
    "put('a', 1)",
    "entries['b']",  # the seventh moment: it fails
    "%%interview --error\nWhy does this fail?",
    "%interview check",
    "%%interview -n 19900\nMay I have a longer answer?",
    "%interview hint",
    "from ib_kernel import ReplayWidget\nReplayWidget()",
]


def test_a_replay_moves_by_keys_and_shows_the_notebook_as_it_was(jupyter: lab.Lab, axe: str) -> None:
    """The failing cell is there as it was run, nothing of what came later is; nothing for axe-core."""
    with jupyter.notebook("replay.ipynb", CELLS) as sheet:
        page = sheet.page
        page.evaluate("() => { jupyterapp.shell.collapseRight(); }")
        sheet.run_each()
        last = page.evaluate("() => jupyterapp.shell.currentWidget.content.widgets.length - 1")
        sheet.wait_for_text(last, "tokens left")
        slider = page.locator(".ib-replay .ib-slider")
        where = page.locator(".ib-replay [role=status]")
        left, right = (
            page.locator(f".ib-replay [aria-label={side}]") for side in ("Notebook", "Conversation")
        )
        page.get_by_role("button", name="Next failure").click()
        shown = left.inner_text()
        assert "KeyError" in shown
        assert "entries['b']" in shown
        assert "Why does this fail?" not in right.inner_text()
        before = where.inner_text()
        slider.press("ArrowRight")
        assert where.inner_text() != before
        slider.press("ArrowLeft")
        assert where.inner_text() == before
        page.get_by_role("button", name="Next question").click()
        assert "Why does this fail?" in right.inner_text()
        page.get_by_role("button", name="Next check").click()
        assert "Check 1" in where.inner_text()
        slider.press("End")
        kinds = page.evaluate(
            "() => [...document.querySelectorAll('.ib-legend .ib-key')].map(n => n.innerText.trim())"
        )
        assert kinds == ["question", "check", "hint", "refused", "failed cell"]
        marks = page.locator(".ib-marks .ib-glyph").count()
        assert marks >= 5
        page.evaluate(axe)
        for width in (1280, 420):
            page.set_viewport_size({"width": width, "height": 2400})
            for theme in ("Light", "Dark"):
                jupyter.theme(theme)
                sheet.area(last).screenshot(path=lab.ARTIFACTS / f"replay-{theme.lower()}-{width}.png")
                assert lab.problems(page, ".ib-replay", other_theme=theme == "Dark") == [], (theme, width)
                assert page.evaluate(lab.WIDER, ".jp-OutputArea-output:has(.ib-replay)") == [], (theme, width)
        jupyter.theme("Light")
        page.set_viewport_size({"width": 1280, "height": 1400})
