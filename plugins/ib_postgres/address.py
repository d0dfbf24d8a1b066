"""The database's address: what psql takes, read once, and shown to nobody with a password in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ib_kernel.errors import ConfigError
from ib_kernel.secrets import learn

_SHOWN = ("host", "hostaddr", "port", "dbname", "user", "service")


class Address:
    """Where the ledger is. ``str`` and ``repr`` name hosts, database and user, never a password.

    Args:
        url: A ``postgresql://`` address, or ``key=value`` pairs, as psql takes them; "" for what PGHOST,
            PGSERVICE, PGPASSFILE and their like say.

    Raises:
        ConfigError: It cannot be read.
    """

    def __init__(self, url: str) -> None:
        import psycopg
        from psycopg import pq

        try:
            given = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error:  # its message repeats what was given
            raise ConfigError(
                "plugins.postgres.url cannot be read; it is postgresql://user@host:5432/name (several hosts "
                "between commas), or key=value pairs as psql takes them"
            ) from None
        known = {
            found.keyword.decode(): found.val.decode()
            for found in pq.Conninfo.get_defaults()
            if found.val is not None
        }
        learn(*(str(values["password"]) for values in (given, known) if values.get("password")))
        given.setdefault("options", known.get("options", ""))
        self.parameters: Callable[[], dict[str, Any]] = lambda: dict(given)  # in a closure, like a Secret's
        self._shown = {name: str(value) for name in _SHOWN if (value := given.get(name) or known.get(name))}
        self.hosts = self._shown.get("host", self._shown.get("hostaddr", "")).split(",")

    def connection(self, timeout_s: float, pooler: bool) -> dict[str, Any]:
        """Return what `psycopg.connect` takes.

        Args:
            timeout_s: Seconds that one host may take, and after which a statement is given up.
            pooler: Nothing may be kept in a connection.
        """
        mine: dict[str, Any] = {
            "application_name": "interview-buddy",
            "connect_timeout": max(2, int(timeout_s / len(self.hosts))),
            "tcp_user_timeout": int(timeout_s * 1000),
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "client_encoding": "UTF8",
        }
        if len(self.hosts) > 1:
            mine["target_session_attrs"] = "read-write"
        given = self.parameters()
        if not pooler:
            limits = f"-c statement_timeout={int(timeout_s * 1000)}"
            given["options"] = f"{limits} {given.get('options') or ''}".strip()
        return {name: value for name, value in {**mine, **given}.items() if value != ""}

    def __str__(self) -> str:
        if "service" in self._shown and "host" not in self._shown:
            return f"service {self._shown['service']}"
        ports = self._shown.get("port", "5432").split(",")
        ports = ports * len(self.hosts) if len(ports) == 1 else ports
        hosts = ",".join(
            f"{host or 'local'}:{port or 5432}" for host, port in zip(self.hosts, ports, strict=False)
        )
        user = self._shown.get("user", "")
        name = self._shown.get("dbname", user)
        return f"postgresql://{user + '@' if user else ''}{hosts}/{name}"

    def __repr__(self) -> str:
        return f"Address({self})"
