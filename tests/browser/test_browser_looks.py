"""Every surface in light and dark, wide and narrow: readable, whole, and kept as pictures.

SCREENSHOTS=FOLDER says where the pictures go; otherwise they are among the artefacts.
"""

from __future__ import annotations

import os
from pathlib import Path

import lab
import pytest

from ib_kernel.testing import FaultServer

WIDTHS = {"wide": 1280, "narrow": 420}
REPLY = """Good: check and write in one step is what makes it safe. Compare it with what you
would lose otherwise:

| Approach | Bytes per customer | Worst case at the limit |
|---|--:|---|
| Fixed window | 16 | twice the limit around a full minute |
| Sliding log | 8 × requests | exact, but large for busy customers |
| Token bucket | 24 | limit plus one burst |

```python
def allow(bucket, now, rate=10, burst=20):
    bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * rate)
    bucket.at = now  # whose clock is this?
    return bucket.tokens >= 1
```
| Name | Meaning |
|---|---|
| `rate-limiter-config` | how many requests a well-known customer may send |

Two questions: **whose clock** is `now`, and where does this code take the token away?
"""
SURFACES = {
    "start": '%interview start "Backend engineer" --client openai --model gpt-4.1-mini '
    '--candidate "Ada Lovelace" '
    "--challenge rate-limiter --budget 20000 --minutes 45",
    "reply": "%%interview\nOne Lua script in Redis reads and writes the bucket, so none of them can race.\n"
    "```python\ntokens -= 1\n```",
    "refused": "%%interview -n 19900\nMay I have a longer answer?",
    "gauge": "%budget",
    "widget": "from ib_kernel import BudgetWidget\nBudgetWidget()",
    "controls": "BudgetWidget(controls=True)",
    "board": "from ib_kernel import SessionsWidget\nSessionsWidget()",
    "sessions": "%interview sessions",
    "usage": "%%usage\nSELECT turn, model, input_tokens, output_tokens, status, source FROM calls",
    "models": "%interview models",
    "transcript": "%interview transcript",
}


def folder() -> Path:
    """Return where the pictures go."""
    place = Path(os.environ.get("SCREENSHOTS") or lab.ARTIFACTS / "looks")
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture
def service() -> FaultServer:
    """A service that answers as an interviewer would."""
    with FaultServer() as running:
        running.reply(REPLY)
        yield running


def begin(service: FaultServer) -> str:
    """Return the cell that points the kernel to *service*, with a ledger of its own."""
    return (
        "import os\n"
        f"os.environ.update(OPENAI_API_KEY='test', OPENAI_BASE_URL='{service.base_url}')\n"
        f"os.environ['IB_DATA_DIR'] = os.path.abspath('../looks-{service.port}')\n%load_ext ib_kernel"
    )


def test_every_surface_is_whole_and_readable_in_light_and_dark_wide_and_narrow(
    jupyter: lab.Lab, axe: str, service: FaultServer
) -> None:
    """Nothing for axe-core, no faint text, nothing wider than its box; one picture of each."""
    place, names = folder(), list(SURFACES)
    with jupyter.notebook("looks.ipynb", [begin(service), *SURFACES.values()]) as sheet:
        page = sheet.page
        sheet.run_each()
        sheet.wait_for_text(1 + names.index("widget"), " left")
        sheet.wait_for_text(1 + names.index("board"), "1 of 1 sessions")
        page.click(".ib-sessions button")
        page.click(".ib-widget .ib-line >> nth=0")
        page.evaluate("() => { jupyterapp.commands.execute('interview-buddy:open'); }")
        page.wait_for_function("() => /Task:/.test(document.querySelector('.ib-panel').innerText)")
        page.evaluate(axe)
        for width, pixels in WIDTHS.items():
            page.set_viewport_size({"width": pixels, "height": 5200})
            if width == "narrow":
                page.evaluate("() => { jupyterapp.shell.collapseRight(); }")
            for theme in ("Light", "Dark"):
                jupyter.theme(theme)
                page.wait_for_timeout(300)
                for i, name in enumerate(names):
                    area = sheet.area(1 + i)
                    area.screenshot(path=place / f"{name}-{theme.lower()}-{width}.png")
                where = ".jp-OutputArea-output" + (", .ib-panel, .ib-status" if width == "wide" else "")
                assert lab.problems(page, where, other_theme=theme == "Dark") == [], (theme, width)
                assert page.evaluate(lab.WIDER, where) == [], (theme, width)
                if width == "wide":
                    page.set_viewport_size({"width": pixels, "height": 860})
                    page.screenshot(path=place / f"lab-{theme.lower()}.png")
                    page.locator(".ib-panel").screenshot(path=place / f"panel-{theme.lower()}.png")
                    page.locator(".ib-panel button >> nth=-1").scroll_into_view_if_needed()
                    page.locator(".ib-panel").screenshot(path=place / f"panel-{theme.lower()}-end.png")
                    page.set_viewport_size({"width": pixels, "height": 5200})
        jupyter.theme("Light")
        in_a_narrow_window(sheet, place)
        forced_and_printed(sheet, place, names)
        page.set_viewport_size({"width": 1280, "height": 1400})


def in_a_narrow_window(sheet: lab.Sheet, place: Path) -> None:
    """Open the panel where there is little room: it is whole, and so is the status item."""
    page = sheet.page
    page.set_viewport_size({"width": 420, "height": 860})
    page.evaluate("() => { jupyterapp.commands.execute('interview-buddy:open'); }")
    page.wait_for_selector(".ib-panel", state="visible")
    page.wait_for_timeout(300)
    page.screenshot(path=place / "panel-narrow.png")
    page.locator(".ib-panel button >> nth=-1").scroll_into_view_if_needed()
    page.screenshot(path=place / "panel-narrow-end.png")
    item = page.locator(".ib-status").bounding_box()
    assert item is not None
    assert item["x"] >= 0
    assert item["x"] + item["width"] <= 420
    assert lab.problems(page, ".ib-panel, .ib-status") == []
    assert page.evaluate(lab.WIDER, ".ib-panel") == []
    page.evaluate("() => { jupyterapp.shell.collapseRight(); }")


PAINTED = """() => [...document.querySelectorAll('.ib-rail')].filter(n => n.offsetHeight && n.children.length)
  .flatMap(rail => [rail, ...rail.children]).filter(n => n.offsetWidth)
  .filter(n => { const s = getComputedStyle(n);
    return s.backgroundImage === 'none' && /^(rgba\\(0, 0, 0, 0\\)|transparent|rgb\\(255, 255, 255\\))$/
      .test(s.backgroundColor); }).map(n => n.outerHTML.slice(0, 120))"""
"""Parts of the rails that nothing is seen of."""


def forced_and_printed(sheet: lab.Sheet, place: Path, names: list[str]) -> None:
    """Keep pictures of both; the rails' parts are still there to be seen."""
    page = sheet.page
    page.set_viewport_size({"width": 1280, "height": 5200})
    for how in ({"forced_colors": "active"}, {"media": "print"}):
        page.emulate_media(**how)
        page.wait_for_timeout(200)
        for name in ("reply", "gauge", "widget", "board"):
            picture = place / f"{name}-{next(iter(how.values()))}.png"
            sheet.area(1 + names.index(name)).screenshot(path=picture)
        assert page.evaluate(PAINTED) == [], how
        page.emulate_media(media="screen", forced_colors="none")
