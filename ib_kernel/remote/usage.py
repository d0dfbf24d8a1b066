"""SQL through a host: its answers are Arrow streams, shown as a table or kept as tables of a database."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError
from ib_kernel.values.results import QueryResult

if TYPE_CHECKING:
    from ib_kernel.remote.desk import Desk

MOST_BYTES = 512 * 2**20
"""Bytes of an answer at most."""

_RELATIONS = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema IN ('main', 'ib_usage') "
    "ORDER BY table_name"
)


def query(desk: Desk, sql: str) -> QueryResult:
    """Answer one reading SQL query at a host.

    Args:
        desk: Whose place at which host.
        sql: The query.

    Returns:
        The rows, with the host's note on what a limit has left out.

    Raises:
        QueryError: The host refuses the query; its line says why.
        ConfigError: pyarrow is not installed.
    """
    table = _ask(desk, sql)
    metadata = table.schema.metadata or {}
    columns = [column.to_pylist() for column in table.columns]
    rows = list(zip(*columns, strict=True))
    return QueryResult(tuple(table.column_names), rows, metadata.get(b"note", b"").decode(errors="replace"))


def tables(desk: Desk) -> dict[str, Any]:
    """Return every table and view of the host's ledger by name, as Arrow tables."""
    _pyarrow()
    names = [str(name) for (name,) in query(desk, _RELATIONS)]
    return {name: _ask(desk, f'SELECT * FROM "{name}"') for name in names if '"' not in name}  # noqa: S608


def _ask(desk: Desk, sql: str) -> Any:
    pyarrow = _pyarrow()
    body = desk.connection.post_whole("/v1/desk/sql", {"query": sql}, MOST_BYTES)
    try:
        with pyarrow.ipc.open_stream(body) as stream:
            return stream.read_all()
    except (pyarrow.ArrowException, OSError):
        raise ConfigError("the host answered something else than a table; is it the right address?") from None


def _pyarrow() -> Any:
    try:
        return importlib.import_module("pyarrow")
    except ImportError:
        raise ConfigError(
            "SQL through a host needs pyarrow, which is not installed; type %pip install pyarrow in a cell"
        ) from None
