"""Visible checks: a challenge's tests beside the candidate's code, in a process of its own with limits.

The limits keep a mistake from hurting (an endless loop, all memory, a full disk); they are no border: the
code is the candidate's own, on the candidate's own machine. `sandbox` is the border.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ib_kernel.evidence import visible_runner
from ib_kernel.interview.challenges import Challenge

TOTAL_S = 5.0
"""Seconds that all tests together may take, starting Python included."""
TEST_S = 2.0
"""Seconds that one test may take."""
LIMITS: Mapping[str, int] = {"CPU": 5, "AS": 2 << 30, "FSIZE": 1 << 20, "CORE": 0}
"""POSIX limits of the process: seconds of CPU, bytes of memory, bytes of a file."""
_MAX_ANSWER = 1_000_000


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """What one visible test showed.

    `why` is "same", "different", "error", "time", "memory", "ended" (the process ended in it) or "not run".
    `got` and `expected` are the sides of the comparison that did not hold, `source` its text, `said` the
    test's own message or the exception's line; all may hold text that the code has chosen.
    """

    __test__ = False  # pytest: not a test class

    name: str
    passed: bool
    why: str
    got: str = ""
    expected: str = ""
    source: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class VisibleOutcome:
    """What the visible tests showed. `problem` is why none was run (one line), "" otherwise."""

    tests: tuple[TestOutcome, ...] = ()
    problem: str = ""
    seconds: float = 0.0
    lines: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return sum(test.passed for test in self.tests)


def check_visible(challenge: Challenge, code: str, *, total_s: float = TOTAL_S) -> VisibleOutcome:
    """Run the visible tests of *challenge* beside *code*, in an empty folder that is removed afterwards.

    Args:
        challenge: Its `Challenge.visible` tests and `Challenge.data` files are used.
        code: What the candidate has written.
        total_s: Seconds after which the process and all it has started are ended.
    """
    if not challenge.visible:
        return VisibleOutcome(problem=f"the challenge {challenge.name} has no visible tests")
    began = time.monotonic()
    job = {"entry": code, "tests": challenge.visible, "seconds": TEST_S, "limits": dict(LIMITS)}
    folder = tempfile.mkdtemp(prefix="check-")
    try:
        for name, content in challenge.data.items():
            Path(folder, Path(name).name).write_bytes(content)
        lines = _run(job, folder, began + total_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _outcome(challenge, lines, time.monotonic() - began)


def _run(job: Mapping[str, Any], folder: str, deadline: float) -> list[dict[str, Any]]:
    environment = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG") if name in os.environ}
    environment |= {"HOME": folder, "TMPDIR": folder, "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(  # noqa: S603 - our own runner
        [sys.executable, "-I", visible_runner.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment,
        start_new_session=os.name == "posix",
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes were asked for
    try:
        with contextlib.suppress(OSError):  # it has ended: the answer says so
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.close()
        return _lines(_read(process.stdout, deadline))
    finally:
        _end(process)


def _read(stream: Any, deadline: float) -> bytes:
    if os.name != "posix":  # pragma: no cover - selectors read sockets only there
        return _read_in_thread(stream, deadline)
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while len(data) < _MAX_ANSWER and selector.select(max(0.0, deadline - time.monotonic())):
            part = os.read(stream.fileno(), 1 << 16)
            data += part
            if not part or data.endswith(b'{"end": true}\n'):
                break
    return data


def _read_in_thread(stream: Any, deadline: float) -> bytes:  # pragma: no cover - Windows
    import threading

    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(stream.read(_MAX_ANSWER)), daemon=True)
    reader.start()
    reader.join(max(0.0, deadline - time.monotonic()))
    return found[0] if found else b""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and everything that it has started."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, 9)
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _lines(data: bytes) -> list[dict[str, Any]]:
    found = []
    for line in data.split(b"\n"):
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return found


def _outcome(challenge: Challenge, lines: list[dict[str, Any]], seconds: float) -> VisibleOutcome:
    if lines and lines[0].get("test") == "":
        why = "memory" if lines[0].get("why") == "memory" else str(lines[0].get("said", ""))
        return VisibleOutcome(problem=f"your code does not run: {why}", seconds=seconds)
    ended = any(line.get("end") for line in lines)
    done = {str(line["test"]): line for line in lines if "ok" in line and "test" in line}
    began = [str(line["test"]) for line in lines if line.get("began")]
    if not began and not ended:
        return VisibleOutcome(problem="your code did not end in time before any test began", seconds=seconds)
    late = seconds >= TOTAL_S - 0.1
    names = list(dict.fromkeys([*began, *test_names(challenge)]))
    return VisibleOutcome(
        tuple(_test(name, done.get(name), began=name in began, late=late) for name in names),
        seconds=seconds,
    )


def _test(name: str, line: Mapping[str, Any] | None, *, began: bool, late: bool) -> TestOutcome:
    if line is None:
        return TestOutcome(name, passed=False, why=("time" if late else "ended") if began else "not run")
    texts = {key: str(line.get(key, ""))[: visible_runner.MAX_TEXT + 1] for key in _TEXTS}
    return TestOutcome(name, passed=line.get("ok") is True, why=str(line.get("why", ""))[:20], **texts)


_TEXTS = ("got", "expected", "source", "said")


def test_names(challenge: Challenge) -> list[str]:
    """Return the names of the challenge's visible tests, in the order of the file."""
    import ast

    try:
        tree = ast.parse(challenge.visible)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
    ]


test_names.__test__ = False  # type: ignore[attr-defined]
