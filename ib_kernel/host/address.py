"""Where the hosts of a ledger are: in the ledger, and for this machine in files that only their owner reads.

Several hosts may run on one ledger. Each keeps a file of its own in the data directory, which `ib` on the
same machine goes by; where the ledger is a server's, the hosts of all machines stand in it too.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ib_kernel.errors import ConfigError
from ib_kernel.settings.files import read_text
from ib_kernel.values.joining import parse_address

FOLDER = "hosts"


@dataclass(frozen=True, slots=True)
class Address:
    """A running host: its public address, the fingerprint candidates need ("": none), and its process."""

    address: str
    fingerprint: str = ""
    pid: int = 0


def write_address(data_dir: Path, address: Address) -> None:
    """Keep *address* in the data directory, readable for its owner only; files of hosts that died go."""
    folder = data_dir / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    for old, known in _known(data_dir):
        if known is None or not is_running(known.pid):
            with contextlib.suppress(OSError):
                old.unlink()
    handle, name = tempfile.mkstemp(prefix=".host", dir=folder)  # 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(address), file)
    os.replace(name, folder / f"{address.pid}.json")


def remove_address(data_dir: Path) -> None:
    """Forget this process's address."""
    with contextlib.suppress(OSError):
        (data_dir / FOLDER / f"{os.getpid()}.json").unlink()


def read_addresses(data_dir: Path) -> list[Address]:
    """Return the hosts that run on *data_dir*, the newest first."""
    found = [(file, known) for file, known in _known(data_dir) if known is not None]
    running = [(_written_at(file), known) for file, known in found if is_running(known.pid)]
    return [known for _, known in sorted(running, key=lambda one: -one[0])]


def read_address(data_dir: Path) -> Address:
    """Return where a host of *data_dir* runs: the one that was started last.

    Raises:
        ConfigError: None runs there.
    """
    running = read_addresses(data_dir)
    if not running:
        raise ConfigError(f"no host runs on {data_dir}; start one with: ib host --data {data_dir}")
    return running[0]


def is_running(pid: int) -> bool:
    """Return True if a process of that number runs."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0


def _known(data_dir: Path) -> Iterator[tuple[Path, Address | None]]:
    """Yield each host's file with what it says; None for one that cannot be read."""
    for file in sorted((data_dir / FOLDER).glob("*.json")):
        try:
            found = json.loads(read_text(file, "the host's address", limit=10_000))
            known = Address(parse_address(found["address"]), str(found["fingerprint"]), int(found["pid"]))
        except (OSError, ValueError, TypeError, KeyError, ConfigError):
            yield file, None
        else:
            yield file, known


def _written_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
