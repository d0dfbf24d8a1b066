"""Part of benchmarks/teams.py: a thousand sessions whose turns go through two hosts on one PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
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

    def join(number: int) -> tuple[str, str]:
        session = service.create_session(
            candidate=f"Ada {number}", token_budget=100_000, model="gpt-5.4-mini", client="openai"
        )
        token, now = new_token("candidate"), time.time()
        store.add_grant(Grant(hashed(token), "candidate", session.session_id, now, now + 3600, None, "bench"))
        record_shown(store, session.session_id, notice_of(settings, session), session.candidate)
        return session.session_id, token

    with ThreadPoolExecutor(8) as crowd:
        tokens = dict(crowd.map(join, range(sessions)))
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


async def _all(
    addresses: list[str], tokens: dict[str, str], limit_s: float
) -> tuple[list[float], int, float]:
    times, wrong, slots = [], 0, asyncio.Semaphore(AT_ONCE)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as line:

        async def candidate(number: int, token: str) -> None:
            nonlocal wrong
            async with slots:
                if time.monotonic() - start > limit_s:
                    return
                for turn in range(2):  # each turn at the other host
                    address = addresses[(number + turn) % len(addresses)]
                    took, said = await _turn(line, address, token, f"turn-{turn}-{number:06}")
                    times.append(took)
                    wrong += said != WHOLE
                    if len(times) % 200 == 0:
                        rate = len(times) / (time.monotonic() - start)
                        print(f"… {len(times):,} turns, {rate:.0f} a second", flush=True)

        start = time.monotonic()
        await asyncio.gather(*(candidate(n, token) for n, token in enumerate(tokens.values())))
        return times, wrong, time.monotonic() - start


def drive(url: str, folder: Path, sessions: int, limit_s: float) -> dict[str, float]:
    """Let every session take two turns, each at another host, and audit the ledger.

    Args:
        url: An empty ledger.
        folder: A folder that does not exist yet.
        sessions: How many.
        limit_s: Seconds after which no further session begins; "sessions" says how many did.
    """
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
        times, wrong, took = asyncio.run(_all([host.address for host in hosts], tokens, limit_s))
        asked = len(service.requests)
    store = PostgresStore(url, background=False)
    totals = [store.totals(session_id) for session_id in tokens]
    problems = [*store.check(), *store.verify()]
    store.close()
    return {
        "sessions": len(times) / 2,
        "turns/s": len(times) / took,
        "p50": statistics.median(times),
        "p95": percentile(times, 0.95),
        "wrong": wrong,
        "asked": asked,
        "turns": sum(t.turns for t in totals),
        "held": sum(t.held + t.in_doubt for t in totals),
        "overspend": sum(t.used + t.held + t.in_doubt > t.token_budget for t in totals) + len(problems),
    }
