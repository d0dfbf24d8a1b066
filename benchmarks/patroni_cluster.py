"""Three PostgreSQL nodes under Patroni and one etcd, from Debian's packages, on this machine's loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from standbys import free_port, nobody, remove, temporary_folder, wait_until

NODES = 3
TTL_S, LOOP_S, RETRY_S = 20, 5, 5
"""Patroni's least time until a leader that is gone is replaced, how often it looks, how long it tries."""


def missing() -> str:
    """Return what is not installed; "" when all is there."""
    if shutil.which("patroni") is None or shutil.which("etcd") is None:
        return "apt-get install patroni etcd-server"
    return "" if _binaries() is not None else "apt-get install postgresql"


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    return found[-1].parent if found else None


class Cluster:
    """The running nodes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = [free_port() for _ in range(NODES)]
        self.apis = [free_port() for _ in range(NODES)]
        self.etcd, self.peer = free_port(), free_port()
        self.processes: list[subprocess.Popen[bytes]] = []

    def start_etcd(self) -> None:
        """Start the store of who leads."""
        here, peers = f"http://127.0.0.1:{self.etcd}", f"http://127.0.0.1:{self.peer}"
        self._run(
            "etcd", "etcd", "--name", "e", "--data-dir", str(self.folder / "etcd"), "--enable-v2=true",
            "--listen-client-urls", here, "--advertise-client-urls", here, "--listen-peer-urls", peers,
            "--initial-advertise-peer-urls", peers, "--initial-cluster", f"e={peers}",
        )  # fmt: skip

    def start_node(self, number: int) -> None:
        """Start one node. Its configuration is JSON, which is YAML."""
        file = self.folder / f"node{number}.yml"
        file.write_text(json.dumps(self._config(number)), encoding="utf-8")
        self._run(f"node{number}", "patroni", str(file))

    def _config(self, number: int) -> dict[str, Any]:
        here = "127.0.0.1/32 trust"
        everybody = ["local all all trust", f"host all all {here}", f"host replication all {here}"]
        return {
            "scope": "ib", "name": f"node{number}",
            "restapi": {"listen": f"127.0.0.1:{self.apis[number]}",
                        "connect_address": f"127.0.0.1:{self.apis[number]}"},
            "etcd": {"host": f"127.0.0.1:{self.etcd}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_S, "loop_wait": LOOP_S, "retry_timeout": RETRY_S,
                    "maximum_lag_on_failover": 0, "synchronous_mode": True, "synchronous_mode_strict": True,
                    "postgresql": {"use_pg_rewind": False, "use_slots": True,
                                   "parameters": {"max_connections": 100, "wal_level": "replica"}},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, {"auth": "trust"}],
                "pg_hba": everybody,
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.ports[number]}",
                "connect_address": f"127.0.0.1:{self.ports[number]}",
                "data_dir": str(self.folder / f"data{number}"), "bin_dir": str(_binaries()),
                "pgpass": str(self.folder / f"pgpass{number}"), "pg_hba": everybody,
                "authentication": {"superuser": {"username": "postgres"},
                                   "replication": {"username": "postgres"}},
                "parameters": {"unix_socket_directories": str(self.folder)},
            },
            "watchdog": {"mode": "off"},
        }  # fmt: skip

    def _run(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.log").open("wb")
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self.folder)}
        self.processes.append(
            subprocess.Popen(
                [*nobody(), *command], stdout=log, stderr=log, cwd="/", env=env, start_new_session=True
            )
        )

    def members(self) -> list[dict[str, Any]]:
        """Return what the nodes say of each other; nothing while none answers."""
        for api in self.apis:
            url = f"http://127.0.0.1:{api}/cluster"
            with suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=2) as answer:
                return list(json.load(answer)["members"])
        return []

    def leader(self) -> int:
        """Return the number of the node that takes writes; -1 for none."""
        found = [m for m in self.members() if m["role"] == "leader" and m["state"] == "running"]
        return int(found[0]["name"].removeprefix("node")) if found else -1

    def is_whole(self) -> bool:
        """Whether there is a leader, and a standby that its commits wait for."""
        roles = [member["role"] for member in self.members()]
        return self.leader() >= 0 and "sync_standby" in roles and len(roles) == NODES

    def kill(self, number: int) -> None:
        """End a node and its Patroni as a power cut of its machine would."""
        group = self.processes[1 + number].pid
        head = int((self.folder / f"data{number}" / "postmaster.pid").read_text().split()[0])
        listed = Path(f"/proc/{head}/task/{head}/children").read_text().split()
        for pid in (group, head, *map(int, listed)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait_for_another(self, before: int) -> None:
        """Wait until another node takes writes."""
        end = time.monotonic() + 120
        while self.leader() in (-1, before):
            if time.monotonic() > end:
                raise TimeoutError("Patroni has chosen nobody")
            time.sleep(0.2)

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database, whoever leads."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"postgresql://postgres@{hosts}/{database}?target_session_attrs=read-write"

    def execute(self, statement: str) -> None:
        """Run a statement at the leader."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(statement)  # type: ignore[arg-type]

    def stop(self) -> None:
        """End everything, the nodes' servers too."""
        for process in reversed(self.processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        for number in range(NODES):
            with suppress(OSError, ValueError, IndexError):
                head = int((self.folder / f"data{number}" / "postmaster.pid").read_text().split()[0])
                os.kill(head, signal.SIGKILL)


@contextmanager
def running() -> Iterator[Cluster]:
    """Run the cluster until the block is left."""
    folder = temporary_folder("ib-patroni-")
    cluster = Cluster(folder)
    with ExitStack() as stack:
        stack.callback(remove, folder)
        stack.callback(cluster.stop)
        cluster.start_etcd()
        time.sleep(1)
        for number in range(NODES):
            cluster.start_node(number)
        wait_until(cluster.is_whole)
        yield cluster


if __name__ == "__main__":
    sys.exit(missing())
