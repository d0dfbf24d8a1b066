"""What a user can set of this plugin, in ``[plugins.duckdb]`` or as ``IB_DUCKDB_QUERY_S`` and so on."""

from __future__ import annotations

from dataclasses import dataclass

from ib_kernel.settings.parsing import parse_duration, parse_whole
from ib_kernel.settings.plugins import setting


@dataclass(frozen=True)
class DuckDBSettings:
    """Limits of one query, and of one tick of a session's clock."""

    query_s: float = setting(parse_duration, 60.0, "seconds after which a query is stopped")
    query_memory_mb: int = setting(
        parse_whole(0),
        0,
        "megabytes a query may take; 0: 1,000 or a quarter of the machine's, if less",
    )
    tick_s: float = setting(
        parse_duration,
        120.0,
        "seconds a session's clock gains at most between two looks at it: what is more was sleep",
    )
    query_rows: int = setting(parse_whole(1), 1_000_000, "rows of a result at most")
