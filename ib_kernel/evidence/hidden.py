"""Hidden checks: runs beside the candidate's code, compared with what the solution's runs returned.

A run returns plain observations, never a verdict, so that the candidate's code can see inputs and never what
is expected. The lines of the solution are made the same way, once for each version of a challenge, and kept.
Where several answers are right, ``check_NAME(value)`` decides over the plain value that ``run_NAME`` gave, in
a process of its own, without the candidate's code; beside that code, no check is there to be asked.
"""

from __future__ import annotations

import ast
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ib_kernel.errors import ConfigError
from ib_kernel.evidence.inside import importable
from ib_kernel.evidence.sandbox import Answer, Job, Sandbox
from ib_kernel.interview.challenges import Challenge

MAX_RUNS = 30
"""The most hidden runs of one challenge."""

MAX_CODE = 200_000
"""Bytes of the candidate's code that are checked at most."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What one hidden run showed.

    Args:
        name: The run's name, without ``run_``.
        passed: Whether it gave what is expected.
        why: "same", "different", "error", "time", "memory" or "ended".
    """

    name: str
    passed: bool
    why: str


class HiddenChecks:
    """Runs the hidden runs of challenges and remembers what their solutions gave. Safe from several threads.

    Args:
        sandbox: Where code is run; None: one with the usual limits.
        at_once: How many runs go on at the same time.
    """

    def __init__(self, sandbox: Sandbox | None = None, *, at_once: int = 2) -> None:
        self.sandbox = sandbox or Sandbox()
        self._at_once = at_once
        self._expected: dict[str, dict[str, bytes]] = {}
        self._lock = threading.Lock()

    def check(self, challenge: Challenge, code: str) -> list[RunOutcome]:
        """Run every hidden run of *challenge* beside *code*.

        Args:
            challenge: With its private part.
            code: What the candidate has written; it defines what `Challenge.entry` names.

        Returns:
            One outcome a run, in the order of the file.

        Raises:
            NoSandbox: Code cannot be run safely here.
            ConfigError: The challenge has no hidden runs, its solution does not answer them, or *code* is too
                large.
        """
        if len(code.encode("utf-8", "surrogatepass")) > MAX_CODE:
            raise ConfigError(f"the code to check has more than {MAX_CODE:,} bytes")
        names = run_names(challenge)
        expected = self.expected(challenge)
        answers = self._answers(challenge, code, names)
        checks = _functions(challenge.hidden, "check_")
        return [
            self._outcome(challenge, name, answer, expected[name], own_check=name in checks)
            for name, answer in zip(names, answers, strict=True)
        ]

    def expected(self, challenge: Challenge) -> dict[str, bytes]:
        """Return the lines that the solution's runs give, by the runs' names; made once for each version.

        Raises:
            NoSandbox: Code cannot be run safely here.
            ConfigError: A run of the solution gives no value; the line says which and why.
        """
        key = challenge.challenge_sha
        with self._lock:
            known = self._expected.get(key)
        if known is None:
            names = run_names(challenge)
            if not challenge.solution:
                raise ConfigError(f"the challenge {challenge.name} has hidden runs and no solution.py")
            answers = self._answers(challenge, challenge.solution, names)
            known = {
                name: _value(challenge, name, answer) for name, answer in zip(names, answers, strict=True)
            }
            with self._lock:
                self._expected[key] = known
        return known

    def _answers(self, challenge: Challenge, code: str, names: list[str]) -> list[Answer]:
        runs = _without_checks(challenge.hidden)
        jobs = [Job(code, runs, f"run_{name}", data=challenge.data) for name in names]
        problem = self.sandbox.problem()  # before any thread: one line, once
        if problem:
            self.sandbox.run(jobs[0])
        with ThreadPoolExecutor(self._at_once, thread_name_prefix="ib-check") as pool:
            return list(pool.map(self.sandbox.run, jobs))

    def _outcome(
        self, challenge: Challenge, name: str, answer: Answer, expected: bytes, *, own_check: bool
    ) -> RunOutcome:
        if answer.kind != "value":
            return RunOutcome(name, passed=False, why=answer.kind)
        if answer.line == expected:
            return RunOutcome(name, passed=True, why="same")
        passed = own_check and self._accepted(challenge, name, answer)
        return RunOutcome(name, passed=passed, why="same" if passed else "different")

    def _accepted(self, challenge: Challenge, name: str, answer: Answer) -> bool:
        value = answer.line.decode("ascii")
        job = Job(challenge.solution, challenge.hidden, f"check_{name}", value, challenge.data)
        return self.sandbox.run(job).line == b"b1"


def run_names(challenge: Challenge) -> list[str]:
    """Return the names of the challenge's hidden runs, without ``run_``, in the order of the file.

    Raises:
        ConfigError: There are none, or too many.
    """
    names = _functions(challenge.hidden, "run_")
    if not names:
        raise ConfigError(f"the challenge {challenge.name} has no hidden checks")
    if len(names) > MAX_RUNS:
        raise ConfigError(
            f"the challenge {challenge.name} has {len(names)} hidden runs, more than {MAX_RUNS}"
        )
    return names


def _without_checks(source: str) -> str:
    """Return a hidden file without its checks: code beside them could try values until one is accepted."""
    if not _functions(source, "check_"):
        return source
    tree = ast.parse(source)
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.FunctionDef) and node.name.startswith("check_"))
    ]
    return ast.unparse(tree)


def _functions(source: str, prefix: str) -> list[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [
        node.name.removeprefix(prefix)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith(prefix)
    ]


def _value(challenge: Challenge, name: str, answer: Answer) -> bytes:
    if answer.kind != "value":
        why = f"{answer.kind} {answer.detail}".rstrip()
        if answer.detail.endswith("ModuleNotFoundError"):
            why += f" in the sandbox; {importable()}"
        raise ConfigError(
            f"the solution of the challenge {challenge.name} gives no value in run_{name}: {why}"
        )
    return answer.line
