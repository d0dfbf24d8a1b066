"""Part of benchmarks/host.py: starts the gateway and what it is compared with, each in its own process."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host_wire import MODEL

HERE = Path(__file__).resolve().parent
PEERS = ("bare", "parsing", "gateway", "hardcap", "LiteLLM")
READY_S = 240.0
REDIS_PORT = 16379

HARDCAP = """
redis_url: redis://127.0.0.1:{redis}/0
budget: {{estimator: max_tokens}}
upstreams:
  bench: {{kind: openai, base_url: "http://127.0.0.1:{port}", read_timeout_s: 60}}
routes:
  {model}: {{targets: [{{upstream: bench, model: {model}}}]}}
tenants:
  bench:
    api_keys: [sk-bench-0123456789]
    budget: {{window_s: 86400, total: 1000000000000}}
"""

LITELLM = """
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: "http://127.0.0.1:{port}/v1"
      api_key: sk-bench-0123456789
litellm_settings: {{telemetry: false, drop_params: true}}
general_settings: {{master_key: sk-bench-0123456789}}
"""


@dataclass(frozen=True)
class Started:
    """A running server: where it is, which tokens it takes, and its process (0: none of ours)."""

    name: str
    port: int
    path: str
    tokens: list[str]
    pid: int


def started(name: str, upstream: int, options: argparse.Namespace) -> object:
    """Start *name* before *upstream*; a context. `RuntimeError` says why it is not there."""
    if name in ("bare", "parsing", "gateway", "turns"):
        return _own(name, upstream)
    python = options.hardcap if name == "hardcap" else options.litellm
    if not python:
        raise RuntimeError(f"no environment was named (--{name.lower()} ITS/bin/python)")
    return _peer(name, (_hardcap if name == "hardcap" else _litellm)(python, upstream))


@contextmanager
def _own(name: str, upstream: int) -> Iterator[Started]:
    command = [sys.executable, str(HERE / "host_bases.py"), name, str(upstream)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        words = process.stdout.readline().split()
        if not words:
            raise RuntimeError("it did not start")
        _wait(int(words[0]))
        time.sleep(1.0)
        yield Started(name, int(words[0]), words[1], words[2:], process.pid)
        process.stdin.close()
        process.wait(20)


def _hardcap(python: str, upstream: int) -> tuple[list[str], int]:
    port = _free()
    file = Path(tempfile.mkdtemp(prefix="bench-hardcap-")) / "config.yaml"
    file.write_text(HARDCAP.format(model=MODEL, port=upstream, redis=REDIS_PORT))
    script = str(Path(python).with_name("hardcap"))
    return [script, "serve", "-c", str(file), "--host", "127.0.0.1", "--port", str(port)], port


def _litellm(python: str, upstream: int) -> tuple[list[str], int]:
    port = _free()
    file = Path(tempfile.mkdtemp(prefix="bench-litellm-")) / "config.yaml"
    file.write_text(LITELLM.format(model=MODEL, port=upstream))
    script = str(Path(python).with_name("litellm"))
    return [script, "--config", str(file), "--port", str(port), "--num_workers", "1"], port


@contextmanager
def _peer(name: str, how: tuple[list[str], int]) -> Iterator[Started]:
    with _redis() if name == "hardcap" else contextlib.nullcontext():
        command, port = how
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(port, process)
            yield Started(name, port, "/v1", ["sk-bench-0123456789"], process.pid)
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def _redis() -> Iterator[None]:
    if shutil.which("redis-server") is None:
        raise RuntimeError("it needs a redis-server, and there is none")
    command = ["redis-server", "--port", str(REDIS_PORT), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something answers at *port*."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"it ended with code {process.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/nothing", timeout=2)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("it did not answer")


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])
