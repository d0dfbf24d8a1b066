"""What a model writes does nothing, and what we show can be read: attacks, axe-core, two themes."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import lab
from attacks import ATTACKS

from ib_kernel.testing import FaultServer

FLAG = "window.ibHacked=1"
BAD = (
    "script,img,iframe,object,embed,svg,math,link,meta,base,form,input,video,style,"
    "[onerror],[onload],[onclick],[onmouseover],[ontoggle]"
)
PAYLOADS = [attack.replace("alert(1)", FLAG).replace("\ud800", "") for attack in ATTACKS]


def test_a_corpus_of_attacks_does_nothing(jupyter: lab.Lab) -> None:
    """Nothing runs and nothing is fetched: live, saved, reopened without trust, in transcript and gauge."""
    name = "<img src=x onerror=window.ibHacked=1>"
    with FaultServer() as service:
        for payloads in (PAYLOADS, PAYLOADS[::-1]):
            service.reply(pieces=[f"{payload}\n\n" for payload in payloads], delay_s=0.005)
        cells = [
            "import os\n"
            f"os.environ.update(OPENAI_API_KEY='test', OPENAI_BASE_URL='{service.base_url}')\n"
            "%load_ext ib_kernel\n"
            f'%interview start "{name}" --candidate "{name}" --client openai --model gpt-4.1-mini '
            "--budget 900000",
            "%%interview -n 20000\nGo.",
            "%%interview -n 20000\n<svg/onload=window.ibHacked=1>",
            "%interview transcript",
            "%budget",
            "from ib_kernel import BudgetWidget\nBudgetWidget()",
            "%%usage\nSELECT content FROM messages",
        ]
        with jupyter.notebook("attacks.ipynb", cells) as sheet:
            sheet.run(*range(7))
            sheet.wait_for_text(5, " left")
            shown = "".join(sheet.text(i) for i in range(7))
            assert all(output["output_type"] != "error" for i in range(7) for output in sheet.outputs(i))
            harmless(jupyter, sheet)
            sheet.shot("attacks")
            notebook = sheet.saved()
        notebook.cells[0].source += "\n# edited elsewhere"
        jupyter.write("attacks_again.ipynb", [])
        (jupyter.work / "attacks_again.ipynb").write_text(json.dumps(notebook))
        with jupyter.notebook("attacks_again.ipynb") as sheet:
            harmless(jupyter, sheet)
    assert "window.ibHacked=1" in shown, "the text itself is shown"


def harmless(jupyter: lab.Lab, sheet: lab.Sheet) -> None:
    """Check the page: no flag, no dialog, no request elsewhere, no element that could do anything."""
    sheet.page.wait_for_timeout(300)
    assert sheet.page.evaluate("() => window.ibHacked === undefined")
    assert jupyter.dialogs == []
    own = urlsplit(jupyter.url).netloc
    elsewhere = [
        u for u in jupyter.requests if not u.startswith(("data:", "blob:")) and urlsplit(u).netloc != own
    ]
    assert elsewhere == []
    found = sheet.page.evaluate(
        "bad => [...document.querySelectorAll('.jp-RenderedHTML')].flatMap(n => [...n.querySelectorAll(bad)])"
        ".map(n => [n.closest('.jp-Cell').innerText.slice(0, 60), n.outerHTML.slice(0, 300)])",
        BAD,
    )
    assert found == []
    links = sheet.page.evaluate(
        "() => [...document.querySelectorAll('.jp-RenderedHTML a[href]')].map(a => a.getAttribute('href'))"
    )
    assert all(link.lower().startswith(("http://", "https://", "mailto:")) for link in links)


def test_what_we_show_is_accessible_in_both_themes(jupyter: lab.Lab, axe: str) -> None:
    """axe-core finds no violation in reply, gauge, widget, table or lists, light or dark."""
    cells = [
        "%load_ext ib_kernel\n%interview start --client demo --candidate Ada --challenge rate-limiter "
        "--budget 20000 --minutes 45",
        "%%interview\nI'd start with a token bucket:\n```python\ndef allow(n): return n < 3  # no\n```",
        "%budget",
        "from ib_kernel import BudgetWidget\nBudgetWidget()",
        "%interview sessions",
        "%interview help",
        "%%usage\nSELECT turn, model, input_tokens FROM calls",
        "%interview transcript",
        "%interview doctor",
    ]
    with jupyter.notebook("accessible.ipynb", cells) as sheet:
        sheet.run(*range(len(cells)))
        sheet.wait_for_text(3, " left")
        sheet.page.set_viewport_size({"width": 1280, "height": 4200})  # axe judges contrast where it can see
        sheet.page.evaluate(axe)
        words = {}
        for theme in ("Light", "Dark"):
            jupyter.theme(theme)
            sheet.shot(f"theme-{theme.lower()}")
            words[theme] = [sheet.text(i) for i in (0, 1, 2, 4)]
            assert lab.problems(sheet.page, ".jp-OutputArea-output", other_theme=theme == "Dark") == [], theme
        jupyter.theme("Light")
        sheet.page.set_viewport_size({"width": 1280, "height": 1400})
    assert words["Light"] == words["Dark"]
