"""Answering SQL: one reading query with an interviewer's rights, in a connection of its own."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import QueryError
from ib_kernel.values.results import QueryResult
from ib_postgres.text import stored

if TYPE_CHECKING:
    import psycopg

    from ib_kernel.values import Reader

LONGEST = 100_000
"""Characters of a query at most."""

WORK_MEM = "64MB"
"""Memory of one sort or hash table of a query; beyond it the server writes temporary files."""

TEMP_FILES = "10GB"
"""Temporary files of one query at most, where the ledger's login may set that."""

PIECE = 1_000
"""Rows fetched at once."""

_ALLOWED = "SELECT, WITH, VALUES, TABLE, SHOW or EXPLAIN"

_SETTINGS = """
SELECT set_config(name, value, true) FROM (VALUES
    ('statement_timeout', %(timeout)s), ('lock_timeout', '5s'), ('work_mem', %(work_mem)s),
    ('TimeZone', 'UTC'), ('DateStyle', 'ISO'), ('search_path', 'ib_usage, pg_catalog, pg_temp'),
    ('ib.now', %(now)s), ('ib.most', %(most)s),
    ('ib.token', ib.statement_pass(%(reader)s::jsonb, %(seconds)s))
) AS wanted (name, value)"""

_TYPES = """
SELECT format_type(oid, mod), typtype = 'p'
FROM unnest(%s::oid[], %s::integer[]) WITH ORDINALITY AS t (oid, mod, n)
JOIN pg_type USING (oid) ORDER BY n"""

_NAMES = """
SELECT relname FROM pg_class WHERE relnamespace = 'ib_usage'::regnamespace AND relkind = 'v' ORDER BY 1"""


_NOT_THE_QUERYS = frozenset({"08", "57", "53", "58", "XX"})
"""Classes of errors that no query is to blame for: lost, shut down, out of resources, broken (PostgreSQL's
appendix A, read 2026-11)."""

_MORE_BYTES = "IB100"
"""What the function ``ib_usage.ask`` says when it has left out rows because of their size."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take: seconds, bytes and rows of its result."""

    seconds: float = 60.0
    bytes: int = 1_000_000_000
    rows: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Moment:
    """When it is asked, for tests that bring a clock of their own (None: the server's)."""

    now: float | None = None
    most: float = 120.0


def ask(
    conn: psycopg.Connection[Any],
    query: str,
    *,
    limits: Limits,
    reader: Reader | None = None,
    moment: Moment | None = None,
) -> QueryResult:
    """Answer one reading query. `QueryError`, in one line; connection errors are the caller's to tell.

    Args:
        conn: A connection for this query alone, closed afterwards; an interrupt stops it in the server.
        query: One statement of PostgreSQL's SQL.
        limits: What it may take.
        reader: Which interviewer asks (None: all there is may be read).
        moment: Whose clock tells what runs now.
    """
    import psycopg

    _check_text(query)
    try:
        let_read(conn, limits, reader, moment or Moment())
        columns = _describe(conn, query)
        if reader is not None:  # EXPLAIN would tell of rows that one may not see; it is no part of a query
            query = _within(query, columns)
        return _answer(conn, query, columns, limits)
    except KeyboardInterrupt:
        raise QueryError("the query was stopped; nothing was changed") from None
    except psycopg.errors.QueryCanceled as error:
        raise QueryError(_stopped(error, limits)) from None
    except psycopg.Error as error:
        lost = error.sqlstate is None and isinstance(
            error, (psycopg.OperationalError, psycopg.InterfaceError)
        )
        if lost or (error.sqlstate or "")[:2] in _NOT_THE_QUERYS:
            raise
        raise QueryError(_explained(conn, query, error)) from None


def _check_text(query: str) -> None:
    if len(query) > LONGEST:
        raise QueryError(f"a query has at most {LONGEST:,} characters; this one has {len(query):,}")
    try:
        query.encode()
    except UnicodeEncodeError:
        raise QueryError(
            "the query has characters that are no text (lone surrogates); type it again"
        ) from None
    if "\0" in query:
        raise QueryError("the query has a NUL character, which is no text; type it again")
    if not query.strip().strip(";").strip():
        raise QueryError("no query was given; try: SELECT * FROM calls LIMIT 10")


def let_read(conn: psycopg.Connection[Any], limits: Limits, reader: Reader | None, moment: Moment) -> None:
    """Begin a transaction that only reads, with its limits, and say who asks (see `ask`)."""
    import psycopg
    from psycopg.types.string import TextLoader

    conn.autocommit = False
    conn.read_only = True
    for name in ("json", "jsonb"):  # as text, as DuckDB gives it
        conn.adapters.register_loader(name, TextLoader)

    who = reader and {
        "name": stored(reader.name),
        "coordinator": reader.coordinator,
        "all_scores": reader.all_scores,
        "hides_locked": reader.hides_locked,
        "opened": sorted(map(stored, reader.opened)),
    }
    conn.execute(
        _SETTINGS,
        {
            "timeout": f"{max(1, round(limits.seconds * 1000))}ms",
            "work_mem": WORK_MEM,
            "now": "" if moment.now is None else repr(moment.now),
            "most": repr(moment.most),
            "reader": json.dumps(who or None),
            "seconds": limits.seconds,
        },
    )
    conn.execute("SAVEPOINT files")
    try:
        conn.execute(f"SET LOCAL temp_file_limit = '{TEMP_FILES}'")
    except psycopg.errors.InsufficientPrivilege:  # then the server's own limit holds
        conn.execute("ROLLBACK TO SAVEPOINT files")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    type: str


def _describe(conn: psycopg.Connection[Any], query: str) -> list[_Column]:
    """Return the columns of the answer. The server parses the query, and refuses more than one statement."""
    from psycopg import generators, pq

    link = conn.pgconn
    link.send_prepare(b"", query.encode())
    _checked(conn, conn.wait(generators.execute(link)))
    link.send_describe_prepared(b"")
    (told,) = _checked(conn, conn.wait(generators.execute(link)))
    if told.status != pq.ExecStatus.COMMAND_OK or not told.nfields:
        raise QueryError(f"usage can only be read, and this answers no rows; allowed: {_ALLOWED}")
    names = [(told.fname(at) or b"").decode() for at in range(told.nfields)]
    asked = [[told.ftype(at) for at in range(told.nfields)], [told.fmod(at) for at in range(told.nfields)]]
    types = conn.execute(_TYPES, asked).fetchall()
    for name, (kind, pseudo) in zip(names, types, strict=True):
        if pseudo:
            raise QueryError(
                f"the column {name!r} is of type {kind}, which is no value; cast it, as in x::text"
            )
    return [_Column(name, kind) for name, (kind, _) in zip(names, types, strict=True)]


def _checked(conn: psycopg.Connection[Any], results: Sequence[Any]) -> Sequence[Any]:
    from psycopg import errors, pq

    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result, encoding="utf-8")
    return results


def _answer(conn: psycopg.Connection[Any], query: str, columns: list[_Column], limits: Limits) -> QueryResult:
    from psycopg import errors

    told: list[str | None] = []
    conn.add_notice_handler(lambda notice: told.append(notice.sqlstate))
    conn.execute("SAVEPOINT asked")
    try:
        rows = _rows(conn, query, columns, limits)
    except errors.DatatypeMismatch:  # a domain, which is described as the type below it
        conn.execute("ROLLBACK TO SAVEPOINT asked")
        rows = _rows(conn, _within(query, columns), columns, limits)
    names, note = tuple(column.name for column in columns), ""
    if len(rows) > limits.rows:
        del rows[limits.rows :]
        note = (
            f"only the first {limits.rows:,} rows are here: there are more than query_rows "
            "([plugins.postgres])"
        )
    elif _MORE_BYTES in told:
        note = (
            f"only the first {len(rows):,} rows are here: query_memory_mb ([plugins.postgres]) allows no more"
        )
    return QueryResult(names, rows, note)


def _within(query: str, columns: list[_Column]) -> str:
    """Return the query as part of one that casts its columns to what they were described as."""
    cast_to = ", ".join(f"c{at}::{column.type}" for at, column in enumerate(columns))
    named = ", ".join(f"c{at}" for at in range(len(columns)))
    return f"SELECT {cast_to} FROM (\n{query.strip().rstrip(';')}\n) AS asked ({named})"  # noqa: S608


def _rows(
    conn: psycopg.Connection[Any], query: str, columns: list[_Column], limits: Limits
) -> list[tuple[Any, ...]]:
    types = ", ".join(f"c{at} {column.type}" for at, column in enumerate(columns))
    asked = f"SELECT * FROM ib_usage.ask(%s, %s, %s) AS answer ({types})"  # noqa: S608 (the server's own names)
    with conn.cursor() as cursor:
        return list(cursor.stream(asked, [query, limits.rows, limits.bytes], size=PIECE))


def _stopped(error: Exception, limits: Limits) -> str:
    if "statement timeout" in str(error):
        return (
            f"the query took longer than {limits.seconds:g} s and was stopped; ask for less, or raise "
            "query_s in [plugins.postgres]"
        )
    return "the query was stopped; nothing was changed"


def _explained(conn: psycopg.Connection[Any], query: str, error: psycopg.Error) -> str:
    """Return what the server says about a query as one line, with what to type where that is known."""
    from psycopg import errors

    said = " ".join((error.diag.message_primary or str(error)).split()).replace("ib_usage.", "")
    hint = " ".join((error.diag.message_hint or "").split())
    if isinstance(error, (errors.ReadOnlySqlTransaction, errors.ObjectNotInPrerequisiteState)):
        return f"usage can only be read: {said}; allowed: {_ALLOWED}"
    if isinstance(error, errors.SyntaxError):
        return said + _dialect(query, said)
    if isinstance(error, errors.UndefinedTable):
        return said + _meant(conn, said)
    if isinstance(error, errors.InsufficientPrivilege):
        return f"{said}; what can be asked are the tables and views of docs/sql.md"
    return f"{said}; {hint[:1].lower()}{hint[1:].rstrip('.')}"[:600] if hint else said[:600]


def _dialect(query: str, said: str) -> str:
    """Return what to type where a query is DuckDB's SQL."""
    if "multiple commands" in said:
        return "; one query at a time, please"
    if 'near "FROM"' in said:
        return "; a query here begins with SELECT, as in SELECT * FROM calls"
    if query.lstrip().lower().startswith("select c0::") and re.search(r"\(\s*(EXPLAIN|SHOW)\b", query, re.I):
        return "; EXPLAIN and SHOW are for whoever owns the ledger; ask the query itself"
    if re.search(r"\b(GROUP|ORDER)\s+BY\s+ALL\b", query, re.I):
        return "; name the columns to group or order by, or their numbers: GROUP BY 1"
    return ""


def _meant(conn: psycopg.Connection[Any], said: str) -> str:
    conn.rollback()
    names = [str(name) for (name,) in conn.execute(_NAMES).fetchall()]
    wrong = said.partition('"')[2].partition('"')[0]
    close = difflib.get_close_matches(wrong, names, 1)
    return f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(names)}"
