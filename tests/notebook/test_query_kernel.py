"""A query in a real kernel that is interrupted: one line at once, and the next cell works."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

ENDLESS = "%%usage\nSELECT count(*) FROM range(100000000) AS a, range(100000000) AS b"


@pytest.fixture
def kernel(tmp_path: Any) -> Iterator[Any]:
    """A kernel with the extension loaded and a ledger of its own."""
    manager, client = start_new_kernel(startup_timeout=120)
    client.execute_interactive(
        f"import os; os.environ['IB_DATA_DIR'] = {str(tmp_path / 'data')!r}\n%load_ext ib_kernel", timeout=120
    )
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client: Any, code: str, timeout: float = 60) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run a cell; return its reply and its outputs."""
    outputs: list[dict[str, Any]] = []
    reply = client.execute_interactive(code, timeout=timeout, output_hook=outputs.append)
    return reply["content"], outputs


def test_an_interrupt_ends_a_query_in_a_kernel(kernel: Any) -> None:
    """After two seconds of work an interrupt is one line, and the next query is answered."""
    manager, client = kernel
    run(client, "%%usage\nSELECT 1 AS one")
    asked = client.execute(ENDLESS, stop_on_error=False)  # else a request that comes too soon is aborted
    time.sleep(2)
    manager.interrupt_kernel()
    while True:
        try:
            reply = client.get_shell_msg(timeout=30)
        except queue.Empty:
            pytest.fail("the interrupted query went on")
        if reply["parent_header"].get("msg_id") == asked:
            break
    assert reply["content"]["status"] == "error"
    assert "the query was stopped" in reply["content"]["evalue"]
    assert "\n" not in reply["content"]["evalue"]
    answer, outputs = run(client, "%%usage\nSELECT 41 + 1 AS n")
    assert answer["status"] == "ok"
    assert any("42" in str(message["content"].get("data", "")) for message in outputs)
