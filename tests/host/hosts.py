"""A real host for tests: its own process, ledger and loopback port; and a candidate's side of the line."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ib_kernel.cli import main
from ib_kernel.plugin.manager import Plugins
from ib_kernel.remote.joining import Joined, join
from ib_kernel.settings import Settings
from ib_kernel.testing import Step

IB = (sys.executable, "-c", "import sys; from ib_kernel.cli import main; sys.exit(main())")
WAIT_S = 120.0

NEVER_ENDS = Step(pieces=tuple(f"word{n} " for n in range(1_000)), delay_s=0.25)
"""A reply of minutes, for what stops one: it is still going on then, however busy the machine is."""


@dataclass
class RunningHost:
    """One `ib host`. `link` is what it printed first; *program* and *umask* start it as another user does."""

    data: Path
    env: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    listen: str = "127.0.0.1:0"
    program: tuple[str, ...] = IB
    umask: int = -1
    address: str = ""
    link: str = ""
    process: subprocess.Popen[str] | None = None
    said: list[str] = field(default_factory=list)

    def __enter__(self) -> RunningHost:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it has said where it is."""
        command = [*self.program, "host", "--data", str(self.data), "--listen", self.listen, *self.options]
        self.process = subprocess.Popen(
            command, env=self._environment(), umask=self.umask,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        lines: queue.Queue[str] = queue.Queue()
        self._ear = threading.Thread(target=self._listen_to, args=(self.process, lines), daemon=True)
        self._ear.start()
        while True:
            line = lines.get(timeout=WAIT_S)
            found = re.search(r"(https?://\S+)/#(\S+)", line)
            assert line, "\n".join(self.said)
            if found:
                self.address, self.link = found[1], found[0]
            if "Ctrl-C" in line:
                break
        if self.listen.endswith(":0") and "--url" not in self.options:
            self.listen = re.sub(r"https?://", "", self.address)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(WAIT_S)
        self._ear.join(WAIT_S)

    def stop(self) -> int:
        """Ask it to stop, as Ctrl-C does, and return its exit status."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(WAIT_S)
        self._ear.join(WAIT_S)
        return status

    def ib(self, *words: str) -> str:
        """Run another `ib` command on the same ledger and return what it printed; it must succeed."""
        status, out = self.ib_any(*words)
        assert status == 0, out
        return out

    def ib_any(self, *words: str) -> tuple[int, str]:
        """Run another `ib` command and return its status and what it printed."""
        done = subprocess.run(
            [*self.program, words[0], "--data", str(self.data), *words[1:]],
            env=self._environment(), umask=self.umask,
            capture_output=True, text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip
        return done.returncode, (done.stdout + done.stderr).strip()

    def invite(self, *words: str) -> str:
        """Invite a candidate and return the line without ``%interview join``."""
        status, line = self.here("invite", *words)
        assert status == 0, line
        assert line.startswith("%interview join ")
        assert "\n" not in line
        return line.removeprefix("%interview join ")

    def new_link(self) -> str:
        """Return a new link to the interviewer's page, which signs in once."""
        found = re.search(r"https?://\S+/#\S+", self.here("link")[1])
        assert found is not None
        return found[0]

    def here(self, *words: str) -> tuple[int, str]:
        """Run an `ib` command in this process, which takes no time to start, with the host's environment.

        As another user it is a process of its own.
        """
        if self.program != IB:
            return self.ib_any(*words)
        out, env = io.StringIO(), self._environment()
        before = dict(os.environ)
        try:
            os.environ.update({k: v for k, v in env.items() if k.startswith(("IB_", "OPENAI_"))})
            with contextlib.redirect_stdout(out):
                status = main([words[0], "--data", str(self.data), *words[1:]])
        finally:
            os.environ.clear()
            os.environ.update(before)
        return status, out.getvalue().strip()

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("IB_", "OPENAI_"))}
        return {**kept, "IB_CONFIG": os.devnull, "IB_DEMO_DELAY_S": "0", **self.env}

    def _listen_to(self, process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.said.append(line)
                lines.put(line)
        lines.put("")


def joined(line: str, folder: Path, **changes: Any) -> Joined:
    """Join as a notebook does whose data directory is *folder*, and say that the notice was seen."""
    found = join(line, Settings(data_dir=folder, **changes), Plugins())
    found.interview.notice_was_shown()
    return found
