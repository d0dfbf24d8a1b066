"""Where a running host is: a file in its data directory that only its owner can read."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from ib_kernel.errors import ConfigError
from ib_kernel.settings.files import read_text
from ib_kernel.values.joining import parse_address

FILE = "host.json"


@dataclass(frozen=True, slots=True)
class Address:
    """A running host: its public address, the fingerprint candidates need ("": none), and its process."""

    address: str
    fingerprint: str = ""
    pid: int = 0


def write_address(data_dir: Path, address: Address) -> None:
    """Keep *address* in the data directory, readable for its owner only."""
    handle, name = tempfile.mkstemp(prefix=".host", dir=data_dir)  # 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(address), file)
    os.replace(name, data_dir / FILE)


def remove_address(data_dir: Path) -> None:
    """Forget the address if it is this process's."""
    with contextlib.suppress(OSError, ConfigError):
        if read_address(data_dir).pid == os.getpid():
            (data_dir / FILE).unlink()


def read_address(data_dir: Path) -> Address:
    """Return where the host of *data_dir* runs.

    Raises:
        ConfigError: None runs there.
    """
    nobody = f"no host runs on {data_dir}; start one with: ib host --data {data_dir}"
    try:
        found = json.loads(read_text(data_dir / FILE, "the host's address", limit=10_000))
        where = Address(parse_address(found["address"]), str(found["fingerprint"]), int(found["pid"]))
    except (OSError, ValueError, TypeError, KeyError):
        raise ConfigError(nobody) from None
    if not is_running(where.pid):
        raise ConfigError(nobody)
    return where


def is_running(pid: int) -> bool:
    """Return True if a process of that number runs."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0
