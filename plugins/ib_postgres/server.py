"""What somebody who relies on a server wants to know of it: its version, and what survives its end."""

from __future__ import annotations

from typing import Any

from ib_postgres.migrate import known


def about(db: Any) -> list[tuple[str, bool]]:
    """Return lines about the server of a connection, each with whether it is well so."""
    (version,) = db.execute("SHOW server_version").fetchone()
    (waits_for,) = db.execute("SHOW synchronous_standby_names").fetchone()
    (commit,) = db.execute("SHOW synchronous_commit").fetchone()
    (standbys,) = db.execute("SELECT count(*) FROM pg_stat_replication").fetchone()
    return [(f"PostgreSQL {version}, {known()[-1].name}", True), _survival(commit, waits_for, standbys)]


def _survival(commit: str, waits_for: str, standbys: int) -> tuple[str, bool]:
    if commit in ("off", "local"):
        line = f"synchronous_commit is {commit}: a crash of the server loses calls that were acknowledged"
        return line, False
    if waits_for:
        return f"commits wait for {waits_for}", True
    if standbys:
        line = "its standbys are asynchronous: a failover loses calls that were acknowledged; set "
        return f"{line}synchronous_standby_names", False
    return "no standby: what this server has is lost with it", True
