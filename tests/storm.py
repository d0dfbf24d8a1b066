"""Many random faults with many calls in flight: what is left behind, and what the ledger says afterwards."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_runs import KEY, MODEL, TEXT, step_of

from ib_kernel import Interview, Settings
from ib_kernel.errors import BuddyError
from ib_kernel.testing import FAULTS, FaultServer, Step
from ib_kernel.values import Message

LEFT_OUT = ("enormous",)
"""Counting a megabyte dozens of times is no test of concurrency."""


@dataclass
class Storm:
    """What came of it. `overdraft` is the sessions' sum, `over_reported` what usage exceeded the holds by."""

    endings: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    held: int = 0
    overdraft: int = 0
    over_reported: int = 0
    problems: list[str] = field(default_factory=list)
    tasks_left: list[str] = field(default_factory=list)
    threads_left: list[str] = field(default_factory=list)
    sockets_left: int = 0
    complaints: list[str] = field(default_factory=list)


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def steps(seed: int) -> list[Step]:
    """Return every fault's step in random order, and a service that bills more than was asked for."""
    faults = [step_of(name) for name in FAULTS if name not in LEFT_OUT]
    billed = {"prompt_tokens": 900, "completion_tokens": 900, "total_tokens": 1_800}
    faults.append(dataclasses.replace(FAULTS["no-done"].step, usage=billed, name="over-billed"))
    faults += [Step()] * (len(faults) // 4)
    random.Random(seed).shuffle(faults)
    return faults


def brew(calls: int, in_flight: int, folder: Path, *, seed: int = 1, budget: int = 10_000_000) -> Storm:
    """Make *calls* turns against random faults, *in_flight* at once; some readers leave early."""
    storm, dice, complaints = Storm(), random.Random(seed), _Complaints()
    logging.getLogger("asyncio").addHandler(complaints)
    kinds = steps(seed)
    threads_before = set(threading.enumerate())
    with FaultServer(decide=lambda request: dice.choice(kinds)) as server:
        settings = Settings(
            data_dir=folder,
            base_url=server.base_url,
            api_key=KEY,
            model=MODEL,
            backoff_s=0.002,
            first_piece_s=0.5,
            gap_s=0.5,
            retry_budget=calls // 4,
            store_transcript=False,
        )
        with Interview(settings) as buddy:
            session = buddy.start(token_budget=budget).session_id
            _all(buddy, storm, calls, in_flight, seed)
            _look(buddy, storm, session)
        storm.requests = len(server.requests)
        server.wait_until_idle()
        storm.sockets_left = server.open_connections()
    storm.threads_left = [
        t.name for t in set(threading.enumerate()) - threads_before if t.is_alive() and t.name != "tqdm"
    ]
    logging.getLogger("asyncio").removeHandler(complaints)
    storm.complaints = complaints.lines
    return storm


def _all(buddy: Interview, storm: Storm, calls: int, in_flight: int, seed: int) -> None:
    async def one(number: int, gate: asyncio.Semaphore) -> None:
        dice = random.Random(f"{seed} {number}")
        question = Message(0, "user", TEXT)
        extra: dict[str, Any] = {"stream": False} if dice.random() < 0.3 else {}
        leaves = dice.choice([None, None, None, None, 0, 1, 3])
        async with gate:
            try:
                send = buddy.send([{"role": "user", "content": TEXT}], question, max_tokens=60, extra=extra)
                async with send as reply:
                    pieces = 0
                    async for _ in reply:
                        pieces += 1
                        if leaves is not None and pieces > leaves:
                            break
                storm.endings["answered" if reply.result else "left"] += 1
            except BuddyError as error:
                storm.endings[type(error).__name__] += 1

    async def everyone() -> None:
        gate = asyncio.Semaphore(in_flight)
        await asyncio.gather(*(one(number, gate) for number in range(calls)))

    asyncio.run(everyone())


def _look(buddy: Interview, storm: Storm, session: str) -> None:
    async def tasks() -> list[str]:
        mine = asyncio.current_task()
        return [repr(task) for task in asyncio.all_tasks() if task is not mine]

    storm.tasks_left = buddy.call(tasks())
    store = buddy.service.store
    totals = store.totals(session)
    storm.held, storm.overdraft = totals.held, totals.overdraft
    storm.problems = store.check()
    rows = store.sql(
        "SELECT coalesce(sum(greatest(0, input_tokens + output_tokens - counted_tokens - 60)), 0)::BIGINT "
        "FROM calls WHERE source = 'api'"
    ).fetchall()
    storm.over_reported = int(rows[0][0])
