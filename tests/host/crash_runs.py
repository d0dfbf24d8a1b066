"""Two hosts, candidates in front of one of them, and a `kill -9`: what a crash test does and looks at.

Candidates are those of the package, with a notebook's own client. Half of them have their reply when the host
is killed, the other half are in the middle of theirs. Each goes on at the other host by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hosts import RunningHost, joined

from ib_kernel.errors import BuddyError
from ib_kernel.plugin.manager import Plugins
from ib_kernel.remote.connection import HostRefused
from ib_kernel.remote.interview import RemoteInterview
from ib_kernel.remote.joining import join
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer, Step

SHORT = tuple(f"word{n} " for n in range(10))
LONG = tuple(f"word{n} " for n in range(300))
WHOLE, ENDLESS = "".join(SHORT), "".join(LONG)


@dataclass
class Found:
    """What was found: replies that were whole and cut at the crash, what is wrong, and the longest wait."""

    whole: int = 0
    cut: int = 0
    problems: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


class Candidate:
    """One candidate, their notebook's client, and what they hear."""

    def __init__(self, interview: RemoteInterview, number: int) -> None:
        self.interview, self.number = interview, number
        self.is_long = number % 2 == 1
        self.heard, self.error, self.went_on_at = "", "", 0.0
        self.thread = threading.Thread(target=self._ask, name=f"candidate-{number}")

    def _ask(self) -> None:
        try:
            with self.interview.ask("long" if self.is_long else "short") as reply:
                for piece in reply:
                    self.heard += piece
        except BuddyError as error:
            self.error = str(error)

    @property
    def is_ready(self) -> bool:
        """Whether the crash may come: in the middle of a long reply, after a short one."""
        return len(self.heard) > 40 if self.is_long else not self.thread.is_alive()

    def go_on(self) -> str:
        """Ask again, at whichever host answers, as soon as the first turn has ended."""
        self.thread.join(60)
        said = self.interview.say_sync("short again").text
        self.went_on_at = time.monotonic()
        return said


def decide(request: Any) -> Step:
    """Answer at length, slowly, where the last question says so."""
    is_long = str(request.body["messages"][-1]["content"]).endswith("long")
    return Step(pieces=LONG, delay_s=0.1) if is_long else Step(pieces=SHORT, delay_s=0.01)


def crash(folder: Path, candidates: int, env: dict[str, str] | None = None, lease_s: float = 2.0) -> Found:
    """Run it and return what was found.

    Args:
        folder: An empty folder.
        candidates: How many.
        env: What names the ledger to the hosts where it is not the data directory's own.
        lease_s: After how long a dead host's replies are given up.
    """
    found, data = Found(), folder / "ledger"
    with ExitStack() as stack:
        service = stack.enter_context(FaultServer(decide=decide))
        key = {"OPENAI_API_KEY": "sk-host-only-0123456789", "OPENAI_BASE_URL": service.base_url}
        given = {**key, "IB_LEASE_S": str(lease_s), **(env or {})}
        first, second = (stack.enter_context(RunningHost(data, env=given)) for _ in "12")
        crowd = []
        for number in range(candidates):
            line = first.invite("--budget", "5000000", "--candidate", f"Ada {number}")
            line = f"{line.partition('@')[0]}@{first.address}"
            interview = stack.enter_context(_joined(line, folder / f"n{number}"))
            crowd.append(Candidate(interview, number))
        _wait(lambda: all(len(c.interview.connection.places) == 2 or _look(c) for c in crowd))
        for candidate in crowd:
            candidate.thread.start()
        _wait(lambda: all(candidate.is_ready for candidate in crowd))
        first.kill()
        _go_on(crowd, found, time.monotonic())
        found.problems += _anew(folder / "n0", second)
        for candidate in crowd:
            found.problems += _wrong(candidate, second, found)
        if len(service.requests) != 2 * candidates:
            found.problems.append(f"{len(service.requests)} requests for {2 * candidates} turns")
        found.problems += _audit(second)
    return found


def _anew(mine: Path, host: RunningHost) -> list[str]:
    """Join again as a new kernel of a candidate does, who was told of the other host before."""
    with join("", Settings(data_dir=mine), Plugins()).interview as interview:
        return [] if interview.address == host.address else ["a new kernel does not find the other host"]


def _go_on(crowd: list[Candidate], found: Found, killed_at: float) -> None:
    def work(candidate: Candidate) -> None:
        try:
            said = candidate.go_on()
        except Exception as error:  # whatever it is, the test shows it
            found.problems.append(f"{candidate.number} does not go on: {error!r}")
            return
        if said != WHOLE:
            found.problems.append(f"{candidate.number}: the next reply is {said!r}")

    threads = [threading.Thread(target=work, args=(candidate,)) for candidate in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.slowest_s = max(candidate.went_on_at for candidate in crowd) - killed_at


def _wrong(candidate: Candidate, host: RunningHost, found: Found) -> list[str]:
    """Return what is wrong with one candidate's session."""
    interview, name, wrong = candidate.interview, candidate.number, []
    me = interview.me()
    replies = [(m["content"], m["partial"]) for m in me["history"] if m["role"] == "assistant"]
    totals, settled = me["totals"], [call["turn"] for call in me["spent"]]
    if interview.address != host.address:
        wrong.append(f"{name}: is not at the other host")
    if candidate.is_long:
        found.cut += 1
        if "unfinished" not in candidate.error:
            wrong.append(f"{name}: was not told that it is unfinished: {candidate.error!r}")
        kept = replies[0][0] if replies else ""
        if not kept or not ENDLESS.startswith(kept) or replies[0][1] is not True:
            wrong.append(f"{name}: what is kept of the cut reply is {replies[:1]}")
        if ENDLESS[: len(candidate.heard)] != candidate.heard or len(kept) < len(candidate.heard) - 100:
            wrong.append(f"{name}: heard {candidate.heard[-30:]!r}, kept {kept[-30:]!r}")
        if not totals["in_doubt"]:
            wrong.append(f"{name}: nothing is in doubt")
    else:
        found.whole += 1
        if (candidate.heard, replies[0]) != (WHOLE, (WHOLE, False)) or candidate.error:
            wrong.append(f"{name}: the finished reply is not whole: {replies[:1]} {candidate.error}")
        if totals["in_doubt"]:
            wrong.append(f"{name}: a finished turn is in doubt")
    asked = [m["content"] for m in me["history"] if m["role"] == "user"]
    if asked != ["long" if candidate.is_long else "short", "short again"] or len(replies) != 2:
        wrong.append(f"{name}: the transcript has {asked} and {len(replies)} replies")
    if totals["held"] or settled != ([2] if candidate.is_long else [1, 2]):
        wrong.append(f"{name}: held {totals['held']}, settled turns {settled}")
    return wrong


def _audit(host: RunningHost) -> list[str]:
    (_, doctor), (status, said) = host.here("doctor"), host.here("verify")
    return [*([] if "ledger: adds up" in doctor else [doctor]), *([said] if status else [])]


def _look(candidate: Candidate) -> bool:
    candidate.interview.state.refresh()
    return False


def _joined(line: str, folder: Path) -> RemoteInterview:
    """Join as often as a host lets one address: a crowd on one machine is quicker than people."""
    while True:
        try:
            return joined(line, folder).interview
        except HostRefused as refused:
            if refused.status != 429:
                raise
            time.sleep(1)


def _wait(true: Callable[[], bool], seconds: float = 120.0) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not become true"
        time.sleep(0.02)
