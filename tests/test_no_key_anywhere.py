"""The fault suite with a recognisable key, which no log, traceback, output, file or crash report has."""

from __future__ import annotations

import io
import json
import logging
import pickle
import re
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from clock import eventually
from fault_runs import KEY, Trial
from IPython.core.interactiveshell import InteractiveShell
from notebook_shell import Notebook

from ib_kernel.errors import BuddyError
from ib_kernel.testing import FAULTS, FaultServer

SECRET = KEY.removeprefix("sk-")
"""Searched for without its prefix, so that a half-redacted key is found as well."""

QUICK = [name for name in FAULTS if name != "enormous"]


class Everything(logging.Handler):
    """Keeps every record of every logger as text, with its arguments, fields and traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said = io.StringIO()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.write(f"{record.getMessage()} {vars(record)!r}\n")
        if record.exc_info:
            self.said.write("".join(traceback.format_exception(*record.exc_info)))


@pytest.fixture
def logged() -> Iterator[Everything]:
    """Every logger at DEBUG, those of the SDK and the HTTP library too."""
    handler, root = Everything(), logging.getLogger()
    before = {
        name: logging.getLogger(name).level for name in ("", "openai", "httpx2", "httpcore2", "asyncio")
    }
    for name in before:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def test_no_fault_writes_the_key_to_a_log_or_a_file(tmp_path: Path, logged: Everything) -> None:
    """Every fault over both APIs: neither log records at DEBUG nor any byte of the ledger's files hold it."""
    trial = Trial(tmp_path)
    try:
        runs = [
            trial.turn(f, whole=w, api=a) for f in QUICK for w, a in ((False, "chat"), (True, "responses"))
        ]
        assert all(request.sent_key(KEY) for run in runs for request in run.requests)
        assert not any(SECRET in run.message for run in runs)
    finally:
        trial.close()
    said = logged.said.getvalue()
    assert "HTTP Request" in said or "httpcore2" in said, "the HTTP library's log was not seen"
    assert SECRET not in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"usage.duckdb"} <= {path.name for path in files}
    assert any("sqlite" in path.name or "hot" in path.name for path in files)
    for path in files:
        assert SECRET.encode() not in path.read_bytes(), path.name


@pytest.mark.parametrize("fault", ["401", "500", "reset", "malformed", "not-json", "close-before-headers"])
def test_no_traceback_shows_the_key(tmp_path: Path, fault: str) -> None:
    """Not the error, its chain, nor the local variables of any of its frames."""
    from fault_runs import ask, step_of

    trial = Trial(tmp_path)
    step = step_of(fault)
    trial.server.decide = lambda request: step
    buddy = trial.interview("chat")
    buddy.start()
    try:
        with pytest.raises(BuddyError) as caught:
            ask(buddy, whole=False)
        report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert SECRET not in "".join(report.format())
        assert SECRET not in repr(caught.value) + str(caught.value.args) + repr(vars(caught.value))
    finally:
        trial.close()


def test_no_object_shows_the_key(tmp_path: Path) -> None:
    """repr, str, vars and JSON of what users hold; pickling refuses."""
    trial = Trial(tmp_path)
    try:
        trial.run("no-done")
        buddy = trial.interview("chat")
        parts = [buddy, buddy.settings, buddy.settings.api_key, buddy.client("openai"), buddy.service]
        for part in parts:
            shown = f"{part!r} {part} {vars(part) if hasattr(part, '__dict__') else ''}"
            assert SECRET not in shown
            assert SECRET not in json.dumps(part, default=repr)
            with pytest.raises((TypeError, pickle.PicklingError, AttributeError)):
                pickle.dumps(part)
    finally:
        trial.close()


@pytest.mark.parametrize("mode", ["Plain", "Context", "Verbose"])
def test_no_notebook_output_shows_the_key(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Errors in a shell, with every kind of traceback, the doctor, %tb and the usage: not a trace of it."""
    with FaultServer() as server:
        for name, value in {
            "OPENAI_API_KEY": KEY,
            "IB_BASE_URL": server.base_url,
            "IB_MODEL": "gpt-4.1-mini",
            "IB_BACKOFF_S": "0.001",
            "IB_STREAM": "final",
        }.items():
            monkeypatch.setenv(name, value)
        shell = InteractiveShell.instance()
        shell.extension_manager.load_extension("ib_kernel")
        notebook = Notebook(shell)
        try:
            seen = [notebook.run(f"%xmode {mode}"), notebook.run("%interview start")]
            for fault in ("401", "500", "reset", "malformed", "403", "quota", "no-done"):
                server.script(fault)
                seen += [notebook.run("%%interview\nHello"), notebook.run("%tb")]
            for line in ("%interview doctor", "%usage", "%budget", "%interview status"):
                seen.append(notebook.run(line))
            seen.append(notebook.run("%%usage\nFROM calls"))
            seen.append(notebook.run("from ib_kernel import current_interview\nvars(current_interview())"))
        finally:
            shell.extension_manager.unload_extension("ib_kernel")
            InteractiveShell.clear_instance()
        shown = "".join(f"{ran.text}{ran.html}{ran.result!r}{ran.error!r}" for ran in seen)
        assert any(request.sent_key(KEY) for request in server.requests)
        assert "AuthFailed" in shown
        assert SECRET not in shown


CHILD = textwrap.dedent(
    """
    import faulthandler, logging, os, sys, threading
    faulthandler.enable(all_threads=True)
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    from ib_kernel import Interview
    buddy = Interview()
    buddy.start()
    def fail():
        buddy.say_sync("Hello")
    thread = threading.Thread(target=fail)     # an unhandled error in a thread
    thread.start()
    thread.join()
    {end}
    """
)
ABORT = """\
threading.Thread(target=fail, daemon=True).start()
sys.stdin.readline()  # until the service has the request
os.abort()
"""


@pytest.mark.parametrize("end", [ABORT, "fail()"], ids=["abort", "unhandled"])
def test_no_crash_report_shows_the_key(tmp_path: Path, end: str) -> None:
    """A kernel that dies mid-call, with faulthandler and every log on, and an unhandled error: no key."""
    with FaultServer() as server:
        server.script("401")
        server.script("hang-before-headers" if end == ABORT else "403")
        environment = {
            "PATH": "",
            "OPENAI_API_KEY": KEY,
            "IB_BASE_URL": server.base_url,
            "IB_MODEL": "gpt-4.1-mini",
            "IB_CONFIG": str(tmp_path / "none.toml"),
            "IB_DATA_DIR": str(tmp_path / "ledger"),
            "SYSTEMROOT": "C:\\Windows",
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, "-X", "dev", "-c", CHILD.format(end=end)]
        with subprocess.Popen(command, env=environment, cwd=tmp_path, **pipes) as child:  # type: ignore[call-overload]
            eventually(lambda: len(server.requests) >= 2 or child.poll() is not None)
            stdout, stderr = child.communicate(b"go on\n")
        assert any(request.sent_key(KEY) for request in server.requests)
    said = (stdout + stderr).decode(errors="replace")
    assert child.returncode != 0
    assert re.search("Fatal Python error|Aborted|AuthFailed", said)
    assert SECRET not in said
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path.name
