"""Streaming, the interrupt and the live widget, against a service that does what a test tells it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import lab
import pytest

from ib_kernel.testing import FaultServer

PIECES = [
    f"## Part {n}\n\n"
    if not n % 5
    else f"Paragraph {n} with **bold** words and `code`. " + "And more. " * 9 + "\n\n"
    for n in range(1, 120)
]


HELD = "document.querySelector('.ib-widget .ib-rails').getAttribute('aria-label').includes('held')"


@pytest.fixture
def service() -> Iterator[FaultServer]:
    """A stand-in for the model's service."""
    with FaultServer() as running:
        yield running


def beginning(service: FaultServer) -> str:
    """The first cell: the openai client talks to *service*, and nobody waits long for a retry."""
    return (
        "import os\n"
        f"os.environ.update(OPENAI_API_KEY='test', OPENAI_BASE_URL='{service.base_url}')\n"
        f"os.environ['IB_DATA_DIR'] = os.path.abspath('../ledger-{service.port}')\n"
        "%load_ext ib_kernel\n"
        "%interview start --client openai --model gpt-4.1-mini --budget 400000"
    )


def held(sheet: lab.Sheet, i: int) -> bool:
    """Run the %budget cell *i* and tell whether tokens are held."""
    (output,) = sheet.run(i)
    return "held" in output["data"]["text/plain"]


def test_a_long_reply_grows_block_by_block_and_is_saved_as_one_output(jupyter, service) -> None:
    """Finished blocks stay as they are, at most ten redraws a second, and the end is one output."""
    service.reply(pieces=PIECES, delay_s=0.03)
    with jupyter.notebook(
        "long.ipynb", [beginning(service), "%%interview -n 9000\nTell me everything."]
    ) as sheet:
        sheet.run(0)
        sheet.page.evaluate(
            """() => { window.ibSeen = [];
              const k = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
              k.iopubMessage.connect((_, m) => window.ibSeen.push([m.header.msg_type, performance.now(),
                 (m.content.data || {})['text/html']?.length || 0])); }"""
        )
        sheet.begin(1)
        sheet.wait_for_text(1, "Paragraph 59")
        sheet.shot("streaming")
        sheet.wait()
        (whole,) = sheet.outputs(1)
        (saved,) = sheet.saved().cells[1].outputs
        seen = sheet.page.evaluate("() => window.ibSeen")
    kinds = [kind for kind, _, _ in seen]
    growing = kinds[: kinds.index("clear_output")].count("display_data")
    assert growing >= 2
    assert "Paragraph 118" in whole["data"]["text/plain"]
    assert saved.data["text/plain"] == whole["data"]["text/plain"]
    assert saved.data["text/plain"].count("Paragraph 3 ") == 1
    redraws = [when for kind, when, _ in seen if kind == "update_display_data"]
    assert len(redraws) <= 10 * (redraws[-1] - redraws[0]) / 1000 + growing + 3
    assert sum(size for kind, _, size in seen if kind.endswith("display_data")) < 60 * len(
        whole["data"]["text/html"]
    )


def test_three_interrupts_at_three_moments(jupyter, service) -> None:
    """While waiting, by Stop while streaming, while a retry waits: one line, nothing held, no stream left."""
    cells = [beginning(service), "%%interview\nHello.", "%budget", "%%interview\nAnd now?"]
    with jupyter.notebook("interrupts.ipynb", cells) as sheet:
        sheet.run(0)

        service.script("hang-before-headers")
        sheet.begin(1)
        sheet.wait_for_text(1, "waiting for gpt-4.1-mini")
        service.wait_for_progress(headers=False)
        sheet.interrupt()
        sheet.wait(20)
        assert sheet.error(1).startswith("Stopped. Nothing of the reply had arrived")
        assert len(sheet.outputs(1)) == 1, "the waiting line is gone"
        service.wait_for_disconnect()
        assert not held(sheet, 2)

        service.reply(pieces=PIECES, delay_s=0.3)  # a minute: it is still going on wherever this runs
        sheet.begin(1)
        sheet.wait_for_text(1, "Paragraph 3 ")
        sheet.wait_for_text(1, " held until it is done")
        sheet.shot("stop-button", 1)
        sheet.page.click(".ib-stop button")
        sheet.wait(20)
        assert sheet.page.query_selector(".ib-stop") is None, "there is nothing to stop any more"
        assert sheet.error(1).startswith("Stopped. The reply so far is kept; ")
        kept, _ = sheet.outputs(1)
        assert "Paragraph 3 " in kept["data"]["text/plain"]
        assert "stopped" in kept["data"]["text/plain"].splitlines()[-1]
        service.wait_for_disconnect(number=service.requests[-1].number)
        sheet.shot("interrupted", 1)
        assert not held(sheet, 2)

        service.script("429", retry_after=30)
        sheet.begin(1)
        sheet.wait_for_text(1, "trying again in")
        sheet.interrupt()
        sheet.wait(20)
        assert sheet.error(1).startswith("Stopped. ")
        assert not held(sheet, 2)

        service.reply("All is well.")
        (output,) = sheet.run(3)
        assert "All is well." in output["data"]["text/plain"]
        assert service.requests[-1].number == 3, "an interrupted retry is not sent after all"


def test_the_widget_moves_while_a_reply_streams(jupyter) -> None:
    """The gauge shows tokens held while the reply comes, and more used at its end."""
    cells = [
        "import os\nos.environ['IB_DEMO_DELAY_S'] = '0.05'\n%load_ext ib_kernel\n"
        "%interview start --client demo --candidate Ada --budget 20000",
        "from ib_kernel import BudgetWidget\nBudgetWidget()",
        "%%interview\nI'd start with a token bucket per user.",
    ]
    with jupyter.notebook("live.ipynb", cells) as sheet:
        sheet.run(0, 1)
        sheet.wait_for_text(1, "20,000 left")
        sheet.begin(2)
        sheet.page.wait_for_function(f"() => {HELD}")
        sheet.shot("gauge-moves")
        sheet.wait()
        sheet.page.wait_for_function(
            f"() => /about \\d+ turns/.test((i => {lab.CELL}.outputArea.node.innerText)(1))", timeout=5000
        )
        after, held_after = sheet.text(1), sheet.page.evaluate(f"() => {HELD}")
        sheet.shot("gauge-moved")
    assert not held_after
    assert "20,000 left" not in after


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_a_kernel_that_ends_in_mid_stream(jupyter, service, how) -> None:
    """A restart settles the turn; what a killed kernel was paying for is named where work goes on."""
    again = beginning(service).rsplit("\n", 1)[0]
    first = beginning(service) + "\nprint(os.getpid())"
    cells = [first, "%%interview\nHello.", again, "%budget", "%interview start --client demo"]
    with jupyter.notebook(f"{how}.ipynb", cells) as sheet:
        pid = int(sheet.run(0)[-1]["text"].split()[-1])
        service.reply(pieces=PIECES, delay_s=0.1)
        sheet.begin(1)
        sheet.wait_for_text(1, "Paragraph 1 ")
        if how == "killed":
            os.kill(pid, signal.SIGKILL)
            sheet.page.click(".jp-Dialog button.jp-mod-accept", timeout=30_000)
            sheet.page.wait_for_function(lab.READY)
        else:
            sheet.restart()
        service.wait_for_disconnect()
        sheet.page.wait_for_selector(".ib-stop", state="detached")
        sheet.run(2, 3)
        line = sheet.error(3)
        assert line.startswith("No session yet.")
        assert ("cut short" in line) == (how == "killed")
        (output,) = sheet.run(4)
        assert ("cut short" in output["data"]["text/plain"]) == (how == "killed")
        sheet.saved()
    with jupyter.notebook(f"{how}.ipynb") as sheet:
        assert "unfinished" in sheet.text(1), "whoever reopens the notebook sees that"
