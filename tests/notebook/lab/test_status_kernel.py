"""The kernel's end of the wire to the panel, spoken to by a real client of a real kernel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

jupyter_client = pytest.importorskip("jupyter_client", reason="install it with: pip install -e '.[lab]'")

START = (
    '%interview start "Backend engineer" --candidate Ada --challenge rate-limiter --client demo '
    "--budget 20000 --minutes 45"
)


class Page:
    """A front end with the extension: it runs cells, looks for the kernel's comm and speaks on it."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.comm = ""
        self.heard: list[dict[str, Any]] = []

    def run(self, code: str) -> None:
        """Run a cell to its end."""
        request = self.client.execute(code)
        self._until(lambda m: m["parent_header"].get("msg_id") == request and _is_idle(m))
        self.look()

    def look(self) -> None:
        """Look for the kernel's comm."""
        request = self.client.comm_info(target_name="ib_kernel.status")
        reply = self.client.get_shell_msg(timeout=240)
        while reply["parent_header"].get("msg_id") != request:
            reply = self.client.get_shell_msg(timeout=240)
        self.comm = next(iter(reply["content"]["comms"]), "")

    def send(self, kind: str, **data: Any) -> None:
        """Send a message of the comm to the kernel, handled when this returns."""
        content = {"comm_id": self.comm, "data": data}
        message = self.client.session.msg(kind, content)
        self.client.shell_channel.send(message)
        request = message["header"]["msg_id"]
        self._until(lambda m: m["parent_header"].get("msg_id") == request and _is_idle(m))

    def wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first message of the comm that is wanted, heard before or from now on."""
        while not (found := [data for data in self.heard if wanted(data)]):
            self._take()
        return found[0]

    def state(self, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Return the first state that is wanted."""
        found = self.wait(lambda data: data["type"] == "state" and wanted(data["state"]))
        return dict(found["state"])

    def _until(self, done: Callable[[Any], bool]) -> None:
        while not done(self._take()):
            pass

    def _take(self) -> Any:
        message = self.client.get_iopub_msg(timeout=240)
        content = message["content"]
        assert message["msg_type"] != "comm_open", "other front ends would warn of it"
        if message["msg_type"] == "comm_msg" and content["comm_id"] == self.comm:
            assert content["data"]["version"] == 1
            self.heard.append(content["data"])
        return message


def _is_idle(message: Any) -> bool:
    return bool(message["msg_type"] == "status" and message["content"]["execution_state"] == "idle")


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Callable[[], Page]]:
    """Return a function that starts a kernel on one ledger and returns a page that is connected to it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("IB_", "OPENAI_"))}
    environment |= {"IB_DATA_DIR": str(tmp_path / "ledger"), "IB_CONFIG": str(tmp_path / "none.toml")}
    running: list[Any] = []

    def start() -> Page:
        manager, client = jupyter_client.manager.start_new_kernel(
            startup_timeout=240, kernel_name="python3", env=environment
        )
        running.append((manager, client))
        return Page(client)

    yield start
    for manager, client in running:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_page_that_says_hello_is_told_everything_and_follows(kernel: Callable[[], Page]) -> None:
    """No session, then one with its task; a turn changes the figures; a second notebook's turn does too."""
    page = kernel()
    page.run("%load_ext ib_kernel")
    assert page.comm
    assert page.heard == [], "nothing is read or sent for a page that does not listen"
    page.send("comm_msg", do="hello")
    assert page.state() == {"session_id": ""}

    page.run(START)
    state = page.state(lambda s: bool(s["session_id"]))
    assert (state["budget"], state["left"], state["turns"]) == (20_000, 20_000, 0)
    assert (state["status"], state["time_limit_s"], state["running"]) == ("active", 2_700, True)
    task = page.wait(lambda data: data["type"] == "task")["task"]
    assert task["title"] == "Rate limiter for a public API"
    assert "<strong>12 identical instances</strong>" in task["html"]
    assert "<h1>" not in task["html"]
    assert (task["checks"], task["hints"]) == (False, True), "it has nothing to check, and hints to take"

    page.run("%%interview\n\nA token bucket per user.\nKept in Redis.")
    state = page.state(lambda s: s.get("turns") == 1 and s["held"] == 0)
    (turn,) = state["history"]
    assert turn["input"] + turn["output"] == state["used"] > 0
    assert (turn["turn"], turn["question"]) == (1, "A token bucket per user.")

    other = kernel()
    other.run(f"%load_ext ib_kernel\n%interview use {state['session_id']}\n")
    other.run("%%interview\nWhat happens when Redis is away?")
    assert page.state(lambda s: s.get("turns") == 2)["left"] < state["left"]


def test_the_estimate_is_the_count_made_at_sending(kernel: Callable[[], Page]) -> None:
    """What the panel says before is what the turn then records; a mistake is one line."""
    page = kernel()
    page.run(f"%load_ext ib_kernel\n{START}\nlimit = 'ten requests'")
    page.send("comm_msg", do="hello")

    def estimate(n: int, cell: str) -> dict[str, Any]:
        page.send("comm_msg", do="estimate", n=n, cell=cell)
        return dict(page.wait(lambda d: d["type"] == "estimate" and d["n"] == n)["estimate"])

    cell = "%%interview --vars -n 300\nMy limit is {{limit}}, and é costs two bytes."
    first, longer = estimate(1, cell), estimate(2, f"{cell} And one sentence more.")
    assert first["problem"] == ""
    assert longer["prompt"] > first["prompt"] > first["new"] > 0
    assert first["total"] == first["prompt"] + first["reply"]
    assert first["history_from_turn"] is None
    assert first["after"] == 20_000 - first["total"]
    page.run(cell)
    assert page.state(lambda s: s.get("turns") == 1)["history"][0]["input"] == first["prompt"]

    assert estimate(3, "%%interview\n\n")["problem"] == "There is nothing to send yet."
    assert "--modle" in estimate(4, "%%interview --modle x\nhello")["problem"]
    assert "nobody" in estimate(5, "%%interview --vars\n{{nobody}}")["problem"]
    assert estimate(6, "%%interview\n" + "x" * 200_001)["problem"].startswith("This cell is too long")
    refused = estimate(9, "%%interview -n 19900\nhello")["problem"]
    assert refused.startswith("Would not be sent. demo replies with 4,096 tokens at most")
    page.send("comm_msg", do="something else")
    page.send("comm_msg", do="estimate", n=7, cell=7)
    assert estimate(8, cell)["problem"] == ""


def test_unloading_closes_the_wire_and_loading_again_opens_another(kernel: Callable[[], Page]) -> None:
    """`%reload_ext` keeps the session; the page that hears of the new comm is told of it."""
    page = kernel()
    page.run(f"%load_ext ib_kernel\n{START}")
    before = page.comm
    page.send("comm_msg", do="hello")
    session = page.state(lambda s: bool(s["session_id"]))["session_id"]
    page.run("%reload_ext ib_kernel")
    assert page.comm != before
    page.heard.clear()
    page.send("comm_msg", do="hello")
    assert page.state() == {"session_id": ""}
    page.run("%budget")
    assert page.state(lambda s: bool(s["session_id"]))["session_id"] == session


def test_a_terminal_has_no_wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython without a kernel opens nothing and reads nothing."""
    from IPython.core.interactiveshell import InteractiveShell

    from ib_kernel.notebook.engine import Engine
    from ib_kernel.notebook.lab.status import StatusWire

    wire = StatusWire(InteractiveShell(), Engine(dict))
    wire.open()
    wire.refresh()
    wire.close()
    assert wire._comm is None
    assert wire._thread is None
