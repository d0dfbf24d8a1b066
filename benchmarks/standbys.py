"""PostgreSQL servers that keep what they acknowledge, and their standbys, for benchmarks."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from postgres_servers import (  # noqa: E402
    PostgresServer,
    _hand_over,
    binaries,
    free_port,
    nobody,
    run,
    wait_until,
)

__all__ = [
    "Durable",
    "Standby",
    "binaries",
    "free_port",
    "nobody",
    "remove",
    "temporary_folder",
    "wait_until",
]

DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "max_wal_senders": "5",
    "max_replication_slots": "5",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_receiver_status_interval": "1s",
}


class Durable(PostgresServer):
    """A server as a team runs one: an acknowledged write has reached the disk."""

    def __init__(self, bin_folder: Path, **settings: str) -> None:
        super().__init__(bin_folder, **{**DURABLE, **settings})

    def wait_for(self, standbys: str) -> None:
        """Let commits wait for the standbys that match ("*": any; "": none)."""
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{standbys}'", "SELECT pg_reload_conf()")


class Standby(Durable):
    """A copy that follows *primary* and can take its place."""

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__(primary.bin)
        self.primary = primary

    def make(self) -> Standby:
        """Copy the primary and follow it."""
        slot = f"s{self.port}"
        where = f"host=127.0.0.1 port={self.primary.port} user=postgres application_name={slot}"
        how = ["-X", "stream", "-c", "fast", "-R", "-C", "-S", slot, "--no-sync", "-d", where]
        run(str(self.bin / "pg_basebackup"), "-D", str(self.data), *how)
        self.start()
        wait_until(lambda: self.follows)
        return self

    @property
    def follows(self) -> bool:
        """Whether the primary sends to it."""
        import psycopg

        with psycopg.connect(self.primary.url(), autocommit=True) as db:
            found = (
                "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name = %s"
            )
            return bool(db.execute(found, (f"s{self.port}",)).fetchone()[0])  # type: ignore[index]

    def cut_off(self) -> None:
        """Let nothing of the primary arrive any more, as a broken line would."""
        self.execute("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
        wait_until(lambda: not self.follows)

    def promote(self) -> None:
        """Make it the primary."""
        run(str(self.bin / "pg_ctl"), "-D", str(self.data), "-w", "-t", "60", "promote")


def temporary_folder(prefix: str) -> Path:
    """Return a new folder of whoever runs the servers."""
    made = Path(tempfile.mkdtemp(prefix=prefix))
    _hand_over(made)
    return made


def remove(*folders: Path) -> None:
    """Delete what servers have written."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
