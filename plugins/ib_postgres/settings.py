"""What a user can set of this plugin, in ``[plugins.postgres]`` or as ``IB_POSTGRES_URL`` and so on."""

from __future__ import annotations

from dataclasses import dataclass

from ib_kernel.secrets import Secret
from ib_kernel.settings.parsing import parse_duration, parse_flag, parse_text, parse_whole
from ib_kernel.settings.plugins import setting


def parse_address(value: object) -> Secret:
    """the address of a database as psql takes it, in one line"""
    text = value.reveal() if isinstance(value, Secret) else parse_text(value)
    if not text.isprintable():
        raise ValueError
    return Secret(text)


@dataclass(frozen=True)
class PostgresSettings:
    """Where the ledger is, and how long somebody waits for it.

    The address is shown to nobody, because a password may stand in it; `%interview doctor` names its hosts
    and database.
    """

    url: Secret | None = setting(
        parse_address,
        None,
        "address of the database, as psql takes it: postgresql://user@host1,host2/name, or key=value pairs; "
        "without one, PGHOST, PGSERVICE and so on",
    )
    pool_size: int = setting(parse_whole(1), 8, "connections that one process opens at most")
    store_timeout_s: float = setting(
        parse_duration, 5.0, "seconds after which a ledger that does not answer refuses, in one line"
    )
    pooler: bool = setting(
        parse_flag, False, "true behind pgbouncer in transaction mode: nothing is kept in a connection"
    )
    tick_s: float = setting(
        parse_duration,
        120.0,
        "seconds a session's clock gains at most between two looks at it: what is more, no host was there",
    )
    query_s: float = setting(parse_duration, 60.0, "seconds after which a query of somebody's is stopped")
    query_rows: int = setting(parse_whole(1), 1_000_000, "rows of a query's result at most")
    query_memory_mb: int = setting(parse_whole(1), 1_000, "megabytes of a query's result at most")
