"""The sandbox for somebody's code: bubblewrap, no network, no files, limits on everything.

One process for one job (see `runner`). Where bubblewrap is missing or the system forbids it, nothing is run
and the line says why and what to install. The rules were tried against attacks; each is here for a reason:

- Started as root, bubblewrap is started as user 65534 instead, because the process limit does not bind root.
- The environment is empty and the arguments go by descriptor, because ``/proc/1`` inside shows both.
- Folders of installed packages are empty inside: challenges' private parts may be there (see `inside`).
- The job goes in and the line comes out over one socket on descriptor 0; output and errors go nowhere.
- The process, and everything that it started, dies with the sandbox's first process.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ib_kernel.errors import ConfigError
from ib_kernel.evidence import inside, runner
from ib_kernel.evidence.inside import NoSandbox, Python, interpreter, options_of

_NO_ENVIRONMENT: dict[str, str] = {}

INSTALL = "install bubblewrap (Debian and Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
"""What to type where it is missing."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one job may use. Times in seconds, sizes in bytes.

    `import_s` is CPU time for executing the code before its run begins, `run_s` for the run, `total_s` is
    wall-clock time for the job: a busy machine is not the candidate's fault.
    """

    total_s: float = 10.0
    import_s: float = 3.0
    run_s: float = 3.0
    memory: int = 1 << 30
    files: int = 16 << 20
    file: int = 1 << 20
    descriptors: int = 64

    def rlimits(self) -> dict[str, int]:
        """Return the limits that the runner sets before it executes the code, by their POSIX names."""
        return {
            "CPU": int(self.import_s + self.run_s) + 1,
            "AS": self.memory,
            "FSIZE": self.file,
            "NOFILE": self.descriptors,
            "NPROC": 1,
            "CORE": 0,
        }


@dataclass(frozen=True, slots=True)
class Job:
    """One run of somebody's code.

    Args:
        entry: The code, as the module ``entry``.
        hidden: The code that holds the run, which may import from ``entry``.
        run: The name of the function that is called.
        value: A canonical line that the function is given; None: it is called without arguments.
        data: Files that are there, by name.
    """

    entry: str
    hidden: str
    run: str
    value: str | None = None
    data: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a job ended: `kind` is "value", "error", "time", "memory" or "ended" (without an answer).

    `line` is the canonical line of a value; `detail` says more about an error, in our words or the name of
    the exception's class: text that somebody's code has chosen, so clean it before it is shown.
    """

    kind: str
    line: bytes = b""
    detail: str = ""


class Sandbox:
    """Runs jobs, one process each. Safe from several threads.

    Call `run` from a thread that lives until it returns: the sandbox dies with the thread that started it.
    """

    def __init__(self, limits: SandboxLimits | None = None) -> None:
        self.limits = limits or SandboxLimits()

    def problem(self) -> str:
        """Return why nothing can be run here, one line; "" when a real job was run and answered."""
        return _problem()

    def state(self) -> str:
        """Return `problem`, or that it works and what code in it may import: one line."""
        return self.problem() or f"it works; {inside.importable()}"

    def run(self, job: Job) -> Answer:
        """Run one job and wait for its answer, `SandboxLimits.total_s` at most.

        Args:
            job: What to run.

        Raises:
            NoSandbox: There is no sandbox here.
        """
        problem = self.problem()
        if problem:
            raise NoSandbox(problem)
        return self._run(job)

    def _run(self, job: Job) -> Answer:
        ours, theirs = socket.socketpair()
        python = interpreter()
        deadline = time.monotonic() + self.limits.total_s
        with (
            ours,
            theirs,
            _handed(_runner_source()) as code,
            _handed(options_of(python, code, self.limits.files)) as arguments,
        ):
            process = _start(python.program, arguments, code, theirs)
            try:
                theirs.close()
                _send(ours, self._encoded(job, python), deadline)
                return _parsed(_receive(ours, deadline), late=time.monotonic() >= deadline)
            finally:
                process.kill()
                process.wait()

    def _encoded(self, job: Job, python: Python) -> bytes:
        import base64

        what: dict[str, Any] = {
            "entry": job.entry,
            "hidden": job.hidden,
            "run": job.run,
            "data": {name: base64.b64encode(content).decode() for name, content in job.data.items()},
            "packages": ["/packages"] if python.packages else [],
            "limits": self.limits.rlimits(),
            "import_s": self.limits.import_s,
            "run_s": self.limits.run_s,
        }
        if job.value is not None:
            what["value"] = job.value
        encoded = json.dumps(what).encode() + b"\n"
        if len(encoded) > runner.MAX_JOB:
            raise ConfigError(f"code and data for a check are larger than {runner.MAX_JOB:,} bytes")
        return encoded


@functools.cache
def _runner_source() -> bytes:
    return Path(runner.__file__).read_bytes()


@contextlib.contextmanager
def _handed(content: bytes) -> Iterator[int]:
    """Yield a descriptor that *content* can be read from."""
    if not hasattr(os, "memfd_create"):  # pragma: no cover - bubblewrap runs on Linux only
        raise NoSandbox("hidden checks run on Linux only, where bubblewrap is")
    handle = os.memfd_create("check")
    try:
        os.write(handle, content)
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)


def _start(python: str, arguments: int, code: int, channel: socket.socket) -> subprocess.Popen[bytes]:
    as_root = os.geteuid() == 0
    no_groups: list[str | int] = []
    program = shutil.which("bwrap")
    if program is None:
        raise NoSandbox(f"hidden checks need a sandbox: {INSTALL}")
    return subprocess.Popen(  # noqa: S603 - our own arguments
        [program, "--args", str(arguments), "--", python, "-I", "-S", "/runner.py"],
        stdin=channel.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_NO_ENVIRONMENT,
        cwd="/",
        close_fds=True,
        pass_fds=(arguments, code),
        start_new_session=True,
        user=inside.NOBODY if as_root else None,
        group=inside.NOBODY if as_root else None,
        extra_groups=no_groups if as_root else None,
    )


def _send(channel: socket.socket, data: bytes, deadline: float) -> None:
    channel.settimeout(max(0.01, deadline - time.monotonic()))
    with contextlib.suppress(OSError):  # it has ended: the answer says so
        channel.sendall(data)


def _receive(channel: socket.socket, deadline: float) -> bytes:
    """Return the first line that came, without its end; what is longer than any line is not read on."""
    data = b""
    while b"\n" not in data and len(data) <= runner.MAX_LINE + 200:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        channel.settimeout(left)
        try:
            part = channel.recv(1 << 16)
        except OSError:
            break
        if not part:
            break
        data += part
    line, end, _ = data.partition(b"\n")
    return line if end else b""


def _parsed(line: bytes, *, late: bool) -> Answer:
    kind, _, rest = line.partition(b" ")
    if kind == b"value" and rest:
        return Answer("value", rest)
    if kind == b"error":
        return Answer("error", detail=rest.decode("ascii", "replace")[:200])
    if kind in (b"time", b"memory"):
        return Answer(kind.decode(), detail=rest.decode("ascii", "replace")[:200])
    return Answer("time" if late else "ended")


@functools.cache
def _problem() -> str:
    if shutil.which("bwrap") is None:
        return f"hidden checks need a sandbox: {INSTALL}"
    try:
        answer = Sandbox()._run(
            Job("x = 6", "from entry import x\n\ndef run_it():\n    return x * 7\n", "run_it")
        )
    except NoSandbox as error:
        return str(error)
    except OSError as error:
        return f"the sandbox for hidden checks cannot be started: {error.strerror}"
    if answer.line != b"i2a":
        return (
            "the sandbox for hidden checks does not work here: bubblewrap cannot start a process, as usual "
            "in containers and where the system restricts user namespaces; run the host outside the container"
        )
    return ""
