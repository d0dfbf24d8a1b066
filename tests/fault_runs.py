"""One turn through the whole pipeline, with the real ledger, against one fault; what came of it, in words."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clock import Clock

from ib_kernel import Interview, Settings
from ib_kernel.errors import BuddyError
from ib_kernel.testing import FAULTS, FaultServer, Step
from ib_kernel.testing.server import Recorded
from ib_kernel.turn.turn import TurnResult
from ib_kernel.values import Message

KEY = "sk-failures-0123456789abcdefghij"
MODEL = "gpt-4.1-mini"
TEXT = "I would start with a token bucket for every user."
WAITS: dict[str, dict[str, Any]] = {
    "429-seconds": {"retry_after": 0.01},
    "503": {"retry_after": 0.01},
    "429-ms": {"retry_after_ms": 10},
}
"""Shorter waits than the fault's own, so that tests are quick; that they are kept is tested elsewhere."""
PATIENCE_S = 20.0
"""Seconds of the test's clock that a turn waits for its first piece, half as long as for a further one."""


def step_of(fault: str) -> Step:
    """Return the step of *fault*, with waits that a test can afford."""
    return dataclasses.replace(FAULTS[fault].step, **WAITS.get(fault, {}))


@dataclass
class Run:
    """One turn: its error's class name or "answered", the requests, the rows, and the ledger's sums."""

    session: str
    error: str
    requests: list[Recorded]
    rows: list[dict[str, Any]]
    held: int
    in_doubt: int
    result: TurnResult | None
    message: str = ""

    @property
    def ledger(self) -> str:
        """Return the words of docs/failures.md for what the rows say."""
        words = {_words(row) for row in self.rows}
        return " and ".join(sorted(words))

    @property
    def cell(self) -> str:
        """Return this run as a cell of the table in docs/failures.md."""
        return f"{self.error} · {len(self.requests)} · {self.ledger}"


def _words(row: dict[str, Any]) -> str:
    if row["status"] == "in_doubt":
        return "in doubt"
    if row["status"] == "failed":
        return "free"
    if row["error"]:
        return "prompt counted"
    return str(row["source"]).replace("_", " ")


def ask(
    buddy: Interview,
    *,
    whole: bool,
    cap: int = 60,
    extra: dict[str, Any] | None = None,
    read: Callable[[], None] = lambda: None,
) -> TurnResult:
    """Send one small turn, streamed or whole, and read it to its end; call *read* after each piece."""
    extra = {**(extra or {}), **({"stream": False} if whole else {})}
    messages = [{"role": "system", "content": "You interview."}, {"role": "user", "content": TEXT}]
    with buddy.send(messages, Message(0, "user", TEXT), max_tokens=cap, extra=extra) as reply:
        for _ in reply:
            read()
    assert reply.result is not None
    return reply.result


class Trial:
    """One server and one ledger, against which turn after turn is run, each in a session of its own."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.server = FaultServer().start()
        self._patch = pytest.MonkeyPatch()
        self._clock = Clock(self._patch)
        self._read = threading.Event()
        self._over = threading.Event()
        self._base: dict[str, Any] = {
            "data_dir": folder,
            "base_url": self.server.base_url,
            "api_key": KEY,
            "model": MODEL,
            "token_budget": 50_000,
            "backoff_s": 0.001,
            "retry_budget": 1_000_000,
            "first_piece_s": PATIENCE_S,
            "gap_s": 2 * PATIENCE_S,
            "deadline_s": 1_000_000.0,
            **given,
        }
        self._open: dict[str, Interview] = {}

    def interview(self, api: str) -> Interview:
        """Return the interview for *api*."""
        if api not in self._open:
            self._open[api] = Interview(Settings(api=api, **self._base))
        return self._open[api]

    def _on_hang(self, buddy: Interview, request: Recorded) -> None:
        """Let the time pass after which the turn gives up: at once, or once it has read what came."""
        if not request.pieces_sent:
            self._clock.forward(PATIENCE_S, buddy)
            return
        self._read.wait()
        self._clock.forward_until(self._over.is_set, 2 * PATIENCE_S, buddy)

    def run(self, fault: str, *, whole: bool = False, api: str = "chat") -> Run:
        """Run one turn in which every request meets *fault*."""
        run = self.turn(fault, whole=whole, api=api)
        self.read_rows([run])
        return run

    def turn(self, fault: str, *, whole: bool, api: str) -> Run:
        """Run the turn; its rows are still to be read."""
        buddy = self.interview(api)
        session = buddy.start("Backend engineer", candidate="Ada").session_id
        self._read.clear()
        self._over.clear()
        self.server.on_hang = functools.partial(self._on_hang, buddy)
        step = step_of(fault)
        self.server.decide = lambda request: step
        first = len(self.server.requests)
        error, message, result = "answered", "", None
        try:
            cap = 8 if fault == "above-cap" else 60
            result = ask(buddy, whole=whole, cap=cap, read=self._read.set)
        except BuddyError as caught:
            error, message = type(caught).__name__, str(caught)
        finally:
            self._over.set()
        totals = buddy.service.store.totals(session)
        requests = self.server.requests[first:]
        return Run(session, error, requests, [], totals.held, totals.in_doubt, result, message)

    def read_rows(self, runs: list[Run]) -> None:
        """Read the rows of *runs* from the ledger, in one query."""
        found = self.interview("chat").service.store.sql("SELECT * FROM calls ORDER BY attempt").dicts()
        for run in runs:
            run.rows = [row for row in found if row["session_id"] == run.session]

    def close(self) -> None:
        """Close the interviews and the server."""
        for interview in self._open.values():
            interview.close()
        self.server.stop()
        self._patch.undo()
