"""Part of benchmarks/teams.py: a thousand sessions whose turns go through two hosts on one PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import aiohttp
from ledger_pairs import percentile

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests" / "host")]

from hosts import RunningHost  # noqa: E402

from ib_kernel.budget.service import TokenService  # noqa: E402
from ib_kernel.host.notice import notice_of, record_shown  # noqa: E402
from ib_kernel.host.tokens import hashed, new_token  # noqa: E402
from ib_kernel.settings import Settings  # noqa: E402
from ib_kernel.testing import FaultServer, Step  # noqa: E402
from ib_kernel.values.host import Grant  # noqa: E402
from ib_postgres.store import PostgresStore  # noqa: E402

AT_ONCE = 50
PIECES = tuple(f"word{n} " for n in range(8))
WHOLE = "".join(PIECES)


def prepared(url: str, sessions: int, data: Path) -> dict[str, str]:
    """Open *sessions* sessions whose candidates have joined; return their tokens by session."""
    store = PostgresStore(url, background=False)
    settings = Settings(data_dir=data)
    service = TokenService(settings, store=store)
    tokens = {}
    for number in range(sessions):
        session = service.create_session(
            candidate=f"Ada {number}", token_budget=100_000, model="gpt-5.4-mini", client="openai"
        )
        token, now = new_token("candidate"), time.time()
        store.add_grant(Grant(hashed(token), "candidate", session.session_id, now, now + 3600, None, "bench"))
        record_shown(store, session.session_id, notice_of(settings, session), session.candidate)
        tokens[session.session_id] = token
    store.close()
    return tokens


async def _turn(line: aiohttp.ClientSession, address: str, token: str, name: str) -> tuple[float, str]:
    """Ask once; return the milliseconds until the reply had ended, and the reply."""
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": name}
    start, said = time.perf_counter(), ""
    async with line.post(f"{address}/v1/turns", json={"text": "Go on"}, headers=headers) as answer:
        kind = ""
        async for raw in answer.content:
            text = raw.decode()
            if text.startswith("event: "):
                kind = text[7:].strip()
            elif text.startswith("data: ") and kind == "piece":
                said += json.loads(text[6:])["text"]
    return (time.perf_counter() - start) * 1000, said


async def _all(addresses: list[str], tokens: dict[str, str]) -> tuple[list[float], int, float]:
    times, wrong, slots = [], 0, asyncio.Semaphore(AT_ONCE)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as line:

        async def candidate(number: int, token: str) -> None:
            nonlocal wrong
            for turn in range(2):  # each turn at the other host
                async with slots:
                    address = addresses[(number + turn) % len(addresses)]
                    took, said = await _turn(line, address, token, f"turn-{turn}-{number:06}")
                times.append(took)
                wrong += said != WHOLE

        start = time.monotonic()
        await asyncio.gather(*(candidate(n, token) for n, token in enumerate(tokens.values())))
        return times, wrong, time.monotonic() - start


def drive(url: str, folder: Path, sessions: int) -> dict[str, float]:
    """Let every session take two turns, each at another host, and audit the ledger."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        service = stack.enter_context(FaultServer(decide=lambda request: Step(pieces=PIECES)))
        env = {
            "OPENAI_API_KEY": "sk-host-only-0123456789",
            "OPENAI_BASE_URL": service.base_url,
            "IB_STORE": "postgres",
            "IB_POSTGRES_URL": url,
        }
        hosts = [stack.enter_context(RunningHost(folder / f"host{n}", env=env)) for n in range(2)]
        tokens = prepared(url, sessions, folder)
        times, wrong, took = asyncio.run(_all([host.address for host in hosts], tokens))
        asked = len(service.requests)
    store = PostgresStore(url, background=False)
    totals = [store.totals(session_id) for session_id in tokens]
    problems = [*store.check(), *store.verify()]
    store.close()
    return {
        "turns/s": len(times) / took,
        "p50": statistics.median(times),
        "p95": percentile(times, 0.95),
        "wrong": wrong,
        "asked": asked,
        "turns": sum(t.turns for t in totals),
        "held": sum(t.held + t.in_doubt for t in totals),
        "overspend": sum(t.used + t.held + t.in_doubt > t.token_budget for t in totals) + len(problems),
    }


if __name__ == "__main__":
    print(drive(os.environ["IB_POSTGRES_URL"], Path(sys.argv[1]), int(sys.argv[2])))
