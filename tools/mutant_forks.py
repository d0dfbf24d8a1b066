"""A pytest plugin: collect the tests once, and let a fork of this process run them for each mutant.

`tools/mutation.py` starts pytest with it, in a copy of the project whose functions are mutmut's: each calls
itself as it was, or the mutant that is under test. The first fork runs every test without a mutant, and
notes which functions each test calls. The others run those tests first that call the mutant's function, and
stop at the first that fails. What a test changes stays in its fork, and no fork outlives its deadline: this
process ends it with all that it started, whether it listens to signals or not.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.main import pytest_runtestloop as run_tests
from mutmut.mutation import trampoline

TRIAL = "MUTATION_TRIAL"
"""The environment variable that names the file with the `Trial`."""

SLOWER = 5
"""How many times as long as without a mutant a test may take, and the grace beside it."""

MEMORY = 4 << 30
"""Bytes of address space of a fork: a mutant that collects without end does not stop the machine."""

CLEAN, SAID = Path("clean.json"), Path("tests-said.txt")


@dataclass(frozen=True)
class Trial:
    """What is to be tried.

    Attributes:
        package: The package whose caches are emptied, because they hold what a mutant would say differently.
        mutants: Their names: the module, and the function that mutmut made of one of the module's.
        grace_s: Seconds that each test has besides.
        report: The file descriptor to which one line of JSON is written for the run without a mutant, and for
            each mutant.
        alone: pytest's arguments without this plugin, for a mutant that works while modules are imported.
    """

    package: str
    mutants: list[str]
    grace_s: float
    report: int
    alone: list[str]


@dataclass(frozen=True)
class Clean:
    """How the tests are without a mutant, by their names: the seconds each takes, the functions it calls."""

    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, list[str]] = field(default_factory=dict)


class Calls:
    """Notes which functions are called; `noted` are the latest."""

    def __init__(self) -> None:
        self.noted: set[str] = set()
        vars(trampoline)["record_trampoline_hit"] = self._note
        trampoline.set_mutant_under_test("stats")
        del os.environ["MUTANT_UNDER_TEST"]  # a program that a test starts has nobody to note it for

    def _note(self, name: str, caller: str | None = None) -> None:
        self.noted.add(name)


class CleanRun:
    """In the fork without a mutant: measures each test, and keeps what it calls."""

    def __init__(self, calls: Calls, package: str) -> None:
        self._calls, self._package = calls, package
        self.clean = Clean()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Have each test call what it would call if it ran alone."""
        forget(self._package)
        self._calls.noted.clear()
        began = time.monotonic()
        result = yield
        self.clean.seconds[item.nodeid] = time.monotonic() - began
        self.clean.calls[item.nodeid] = sorted(self._calls.noted)
        return result


class Progress:
    """In a fork: tells the process that waits which test begins, and keeps what a failing one says."""

    def __init__(self, out: int) -> None:
        self._out = out

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Write the test's name."""
        os.write(self._out, f"{nodeid}\n".encode())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the failure's text."""
        if report.failed:
            SAID.write_text(f"{report.nodeid}\n{report.longreprtext}\n", encoding="utf-8")


def forget(package: str) -> None:
    """Empty the caches of *package*: what they hold was found out without the mutant."""
    for name, module in list(sys.modules.items()):
        if f"{name}.".startswith(f"{package}."):
            for value in list(vars(module).values()):
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()


class Forks:
    """The trial: a fork without a mutant, then one for each."""

    def __init__(self, trial: Trial, plugins: pytest.PytestPluginManager) -> None:
        self._trial, self._plugins = trial, plugins
        self._calls = Calls()
        self._at_import: set[str] = set()
        self._began, self._collecting_s = time.monotonic(), 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run the tests in forks instead of here."""
        if session.testsfailed or session.config.option.collectonly:
            return None
        self._at_import, self._collecting_s = set(self._calls.noted), time.monotonic() - self._began
        CLEAN.unlink(missing_ok=True)
        SAID.unlink(missing_ok=True)
        measured = CleanRun(self._calls, self._trial.package)

        def run_clean() -> bool:
            self._plugins.register(measured)
            passed = self._passed(session, list(session.items))
            CLEAN.write_text(json.dumps(vars(measured.clean)), encoding="utf-8")
            return passed

        code, test = self._forked(run_clean, Clean(), limit_s=None)
        self._write({"clean": code, "by": test})
        if code:
            return True
        clean = Clean(**json.loads(CLEAN.read_text(encoding="utf-8")))
        for mutant in self._trial.mutants:
            self._write({"mutant": mutant} | self._try(session, mutant, clean))
        return True

    def _try(self, session: pytest.Session, mutant: str, clean: Clean) -> dict[str, str]:
        function = mutant.partition("__mutmut_")[0]
        callers = {test for test, called in clean.calls.items() if function in called}
        whole_s = SLOWER * sum(clean.seconds.values()) + 2 * self._trial.grace_s

        def run_mutant() -> bool:
            trampoline.set_mutant_under_test(mutant)
            forget(self._trial.package)
            return self._passed(session, ordered(session.items, callers, clean))

        def import_mutant() -> bool:
            trampoline.set_mutant_under_test(mutant)
            os.execv(sys.executable, [sys.executable, "-m", "pytest", *self._trial.alone])  # noqa: S606

        code, test = self._forked(run_mutant, clean, whole_s)
        if code == 0 and function in self._at_import:  # it did its work before the fork
            code, test = self._forked(import_mutant, Clean(), whole_s + SLOWER * self._collecting_s)
            callers.add("the import")
        if code is None:
            return {"outcome": "overdue", "by": test}
        if code:
            return {"outcome": "killed", "by": test}
        return {"outcome": "survived" if callers else "uncalled", "by": ""}

    def _passed(self, session: pytest.Session, items: list[pytest.Item]) -> bool:
        session.items[:] = items
        try:
            run_tests(session)
        except session.Failed:  # by -x
            return False
        return not session.testsfailed

    def _forked(self, run: Callable[[], bool], clean: Clean, limit_s: float | None) -> tuple[int | None, str]:
        """Let a fork *run*; return its exit code, None when it was overdue, and the test it began last."""
        begun, out = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.close(begun)
            self._be_the_fork(run, out)
        os.close(out)
        with suppress(OSError):  # the fork may have done it, or be gone
            os.setpgid(pid, pid)
        watch = Watch(pid, begun, clean.seconds, self._trial.grace_s)
        try:
            return watch.wait(limit_s)
        finally:
            watch.end()
            os.close(begun)

    def _be_the_fork(self, run: Callable[[], bool], out: int) -> None:
        code = 1
        try:
            os.setpgid(0, 0)
            os.close(self._trial.report)
            for fd, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
                os.dup2(os.open(os.devnull, mode), fd)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
            self._plugins.register(Progress(out))
            code = 0 if run() else 1
        except BaseException:  # noqa: BLE001 - no way back into the process that waits
            SAID.write_text(traceback.format_exc(), encoding="utf-8")
        finally:
            os._exit(code)

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._trial.report, f"{json.dumps(line)}\n".encode())


def ordered(items: list[pytest.Item], callers: set[str], clean: Clean) -> list[pytest.Item]:
    """Return *items* in the order that finds out soonest: quick callers of the function, slow ones, the rest.

    The tests of one file stay together in each of these, because they share fixtures.
    """
    seconds = clean.seconds
    files: dict[str, float] = {}
    for item in items:
        files[file_of(item)] = files.get(file_of(item), 0.0) + seconds.get(item.nodeid, 0.0)

    def place(item: pytest.Item) -> tuple[bool, bool, float, str]:
        is_slow = seconds.get(item.nodeid, 0.0) > 1
        return item.nodeid not in callers, is_slow, files[file_of(item)], file_of(item)

    return sorted(items, key=place)


def file_of(item: pytest.Item) -> str:
    """Return the file that the test stands in."""
    return item.nodeid.partition("::")[0]


class Watch:
    """Waits for a fork, which tells through *begun* which test it begins."""

    def __init__(self, pid: int, begun: int, seconds: dict[str, float], grace_s: float) -> None:
        self._pid, self._begun, self._seconds, self._grace_s = pid, begun, seconds, grace_s
        self._test, self._said, self._since = "", b"", time.monotonic()

    def wait(self, limit_s: float | None) -> tuple[int | None, str]:
        """Return its exit code, and the test it began last; None for the code when it is overdue."""
        began = time.monotonic()
        while True:
            ended = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            self._listen()
            if ended:
                return ended.si_status, self._test
            now = time.monotonic()
            if limit_s is not None and (now - began > limit_s or now - self._since > self._most(limit_s)):
                return None, self._test

    def _most(self, limit_s: float) -> float:
        if not self._seconds:
            return limit_s
        return SLOWER * self._seconds.get(self._test, 0.0) + self._grace_s

    def _listen(self) -> None:
        ready, _, _ = select.select([self._begun], [], [], 0.02)
        if not ready:
            return
        if not (data := os.read(self._begun, 65536)):
            time.sleep(0.02)  # it has closed its end: nothing more will be said
            return
        self._said += data
        *lines, self._said = self._said.split(b"\n")
        if lines:
            self._test, self._since = lines[-1].decode(), time.monotonic()

    def end(self) -> None:
        """End the fork, if it still runs, and whatever it has started."""
        with suppress(ProcessLookupError, PermissionError):  # all gone; macOS: only the dead are left
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Begin the trial that the environment names, before anything of the project is imported."""
    trial = Trial(**json.loads(Path(os.environ.pop(TRIAL)).read_text(encoding="utf-8")))
    early_config.pluginmanager.register(Forks(trial, early_config.pluginmanager))
