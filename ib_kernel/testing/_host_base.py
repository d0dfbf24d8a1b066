"""What the parts of `HostStoreContract` share: hashes, invitations, tokens, another process."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ib_kernel.testing._store_base import NOON, StoreBase
from ib_kernel.values import BudgetStore, EvidenceStore, Grant, HostStore, Invitation


class Ledger(BudgetStore, HostStore, EvidenceStore, Protocol):
    """A store that keeps all three promises."""


def sha(text: str) -> str:
    """Return the hex SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def invite(store: Any, code: str = "code", *, now: float = NOON, **more: Any) -> Invitation:
    """Add an invitation to session "s" whose code is *code*."""
    invitation = Invitation(f"id of {code}", "s", sha(code), "Grace", now, now + 600.0, **more)
    store.add_invitation(invitation)
    return invitation


def token(text: str, kind: Any = "candidate", subject: str = "s", *, now: float = NOON) -> Grant:
    """Return a token that is valid for an hour."""
    return Grant(sha(text), kind, subject, now, now + 3600.0)


class HostProcesses(StoreBase):
    """Several processes on one ledger."""

    @contextmanager
    def child(self, folder: Path, what: str, *values: str) -> Iterator[subprocess.Popen[str]]:
        """Run ``_host_child`` beside this process until the block is left."""
        command = [
            sys.executable,
            "-m",
            "ib_kernel.testing._host_child",
            self.process_factory,
            str(folder),
            what,
        ]
        pipe = subprocess.PIPE
        with subprocess.Popen([*command, *values], stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603
            try:
                assert hear(process)["ready"]
                yield process
            finally:
                process.kill()


def go(process: subprocess.Popen[str]) -> None:
    """Let the other process begin."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> Any:
    """Return what the other process says next."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the other process ended without a word"
    return json.loads(line)
