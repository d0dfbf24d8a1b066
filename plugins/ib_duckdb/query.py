"""Answering SQL: the record, read-only, and the hot rows beside it, in a DuckDB that can do nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ib_duckdb import kept, readers, spare, statements, views
from ib_duckdb.columns import TABLES, Table
from ib_duckdb.faults import Damaged, is_damage
from ib_duckdb.limits import Limits, Running, fetched
from ib_duckdb.record import WAIT_S, Record
from ib_duckdb.sources import CATALOG, attach, fill, sources
from ib_duckdb.statements import one_line
from ib_kernel.errors import QueryError, StoreBusy
from ib_kernel.values.results import QueryResult

if TYPE_CHECKING:
    import duckdb

    from ib_duckdb.hot import Hot
    from ib_kernel.values import Reader

T = TypeVar("T")


def config(limits: Limits) -> dict[str, str | bool | int | float | list[str]]:
    """Return the configuration of a DuckDB that takes no more than *limits*."""
    return {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",  # or SELECT … FROM name would read our Python variables
        "temp_directory": "",
        "memory_limit": f"{limits.bytes}B",
    }


def run(
    record: Record,
    hot: Hot,
    query: str,
    now: float,
    parameters: Sequence[Any] = (),
    limits: Limits | None = None,
    reader: Reader | None = None,
) -> QueryResult:
    """Answer one read-only query. `QueryError`, `StoreBusy` or `StoreError`, each in one line.

    An interrupt, or the end of its time, stops the query within a second. With a *reader*, it is answered
    from what that person may see.
    """
    selects = statements.check(query)
    if reader is not None:
        statements.refuse_explain(query)

    def work(running: Running[QueryResult]) -> QueryResult:
        def ask(db: duckdb.DuckDBPyConnection) -> QueryResult:
            running.begin(db)
            return _answer(db, query, parameters, running, helps=reader is None)

        def ask_kept(db: duckdb.DuckDBPyConnection) -> QueryResult:
            running.begin(db)
            return _answer(db, query, parameters, running, helps=False, again=True)

        if selects and reader is None and not views.asks_what_there_is(query):
            with suppress(kept.Elsewhere):
                return reading(record, hot, now, ask_kept, query, running.limits, keeps=True)
        return reading(record, hot, now, ask, query, running.limits, reader)

    return Running[QueryResult](limits or Limits(), record.abandon_turn).result(work)


def _answer(
    db: duckdb.DuckDBPyConnection,
    query: str,
    parameters: Sequence[Any],
    running: Running[QueryResult],
    *,
    helps: bool,
    again: bool = False,
) -> QueryResult:
    """Return the answer. *helps*: a wrong name is explained; *again*: it is asked once more elsewhere."""
    import duckdb

    try:
        db.execute(query, list(parameters))
        return fetched(db, running)
    except duckdb.InterruptException:
        raise QueryError("the query was stopped") from None
    except duckdb.OutOfMemoryException:
        limit = f"{running.limits.bytes / 1e6:,.0f} MB"
        raise QueryError(
            f"the query needs more than {limit} of memory; ask for less, or raise query_memory_mb in "
            "[plugins.duckdb]"
        ) from None
    except duckdb.Error as error:
        if is_damage(error):
            raise
        unknown = (duckdb.CatalogException, duckdb.BinderException, duckdb.PermissionException)
        if again and isinstance(error, unknown):
            raise kept.Elsewhere from None
        if helps and isinstance(error, duckdb.CatalogException):
            error = _said_with_all_views(db, query, error)
        raise QueryError(one_line(error)) from None


def _said_with_all_views(
    db: duckdb.DuckDBPyConnection, query: str, error: duckdb.CatalogException
) -> duckdb.Error:
    """Return what DuckDB says when every view is there: its did-you-mean knows their names then."""
    import duckdb

    try:
        db.execute("ROLLBACK")
        for table in TABLES:
            db.execute(table.create(spare.HOT))
            name = f"{table.schema}.{table.name}"
            db.execute(f"CREATE VIEW IF NOT EXISTS {name} AS FROM {spare.HOT}.{table.name}")
        db.execute(views.text())
        db.execute("BEGIN TRANSACTION READ ONLY")
        db.execute(query)
    except duckdb.Error as said:
        return said
    return error


def reading(
    record: Record,
    hot: Hot,
    now: float,
    work: Callable[[duckdb.DuckDBPyConnection], T],
    wanted: str = "",
    limits: Limits | None = None,
    reader: Reader | None = None,
    *,
    keeps: bool = False,
) -> T:
    """Return what *work* makes of a connection that covers record and hot rows; of a new one when damaged.

    *keeps*: the connection is one of the DuckDB that is kept; `kept.Elsewhere` when that cannot answer.
    """
    import duckdb

    given = limits or Limits()
    for again in (False, True):
        try:
            with (
                on_kept(record, hot, now, wanted, given)
                if keeps
                else connected(record, hot, now, wanted, given, reader)
            ) as db:
                return work(db)
        except Damaged as damage:
            why = str(damage)
        except duckdb.Error as error:
            if not is_damage(error):
                raise
            why = one_line(error)
        if again:
            break
        record.rebuild(why)
    raise StoreBusy(f"{record.path.name} is damaged again and again ({why}); is its disk in order?")


@contextmanager
def connected(
    record: Record, hot: Hot, now: float, wanted: str, limits: Limits, reader: Reader | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a locked-down connection on which the record's names cover the hot rows too.

    *wanted* is the query: creating every table and view takes longer than answering it. For a *reader* the
    names cover what they may see, and nothing that holds more has a name that could be typed.
    """
    import duckdb

    with record.turn():  # one thread at a time: two handles of one file in a process share no lock
        schema, name = (readers.chance("hot"), readers.chance("record")) if reader else (spare.HOT, CATALOG)
        db = spare.take(config(limits))
        catalog: str | None = name  # perhaps attached, whatever happens next
        try:
            with record.exclusive(WAIT_S):  # another kernel's mover finishes before we attach
                catalog = attach(record, db, name)
            tables, sieve = views.tables(wanted), None
            with hot.snapshot() as rows:  # read after attaching: from here on nobody can move rows
                if reader is not None and readers.is_needed(rows, reader):
                    tables = readers.with_what_decides(tables)
                    sieve = readers.Sieve(reader, schema, readers.factors(rows, reader))
                filled = fill(db, rows, hot.ledger_id, catalog, now, tables, schema)
            _name(db, sources(tables, filled, catalog, schema), views.needed(wanted), sieve)
            db.execute(_CLOSED)
            try:
                yield db
            finally:
                with suppress(duckdb.Error):  # a damaged file can end the connection
                    db.execute("ROLLBACK")
        finally:
            with record.last_turn():
                record.keep_lock()
                _leave(db, catalog)


@contextmanager
def on_kept(
    record: Record, hot: Hot, now: float, wanted: str, limits: Limits
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield such a connection of the DuckDB that is kept: only files are opened, and what is new is made.

    Raises `kept.Elsewhere` when *wanted* must have a DuckDB of its own.
    """
    with record.turn():
        home = kept.take(record.path, config(limits))
        if not home.answers(wanted):
            kept.keep(home)
            raise kept.Elsewhere
        db, well = home.connection(), False
        catalog: str | None = CATALOG  # perhaps attached, whatever happens next
        try:
            with record.exclusive(WAIT_S):
                catalog = attach(record, db)
            tables = views.tables(wanted)
            with hot.snapshot() as rows:  # read after attaching, as above
                filled = fill(db, rows, hot.ledger_id, catalog, now, tables)
            home.name(db, sources(tables, filled, catalog, spare.HOT), wanted)
            db.execute("BEGIN TRANSACTION READ ONLY")
            yield db
            db.execute("; ".join(("ROLLBACK", *(f"DROP TABLE {spare.HOT}.{name}" for name in filled))))
            well = True
        finally:
            with record.last_turn():
                record.keep_lock()
                _put_back(home, db, catalog, well)


def _put_back(home: kept.Kept, db: duckdb.DuckDBPyConnection, catalog: str | None, well: bool) -> None:
    """Close the record, and keep the DuckDB if all went *well* on it."""
    import duckdb

    try:
        if not well:
            with suppress(duckdb.Error):
                db.execute("ROLLBACK")
        if catalog is not None:
            db.execute(f"DETACH {catalog}")
        db.close()
    except duckdb.Error:  # as in `_leave`
        db.close()
        home.end_now()
        return
    if well:
        kept.keep(home)
    else:
        home.end()


_CLOSED = """
SET enable_external_access = false;
SET disabled_filesystems = 'LocalFileSystem';  -- or read_blob reads what is attached
SET lock_configuration = true;
BEGIN TRANSACTION READ ONLY"""
"""Leaves a connection nothing but reading what it has."""


def _leave(db: duckdb.DuckDBPyConnection, catalog: str | None) -> None:
    """Close the record at once, and the rest beside whoever goes on: it takes as long as many answers."""
    import duckdb

    try:
        if catalog is not None:
            db.execute(f"DETACH {catalog}")
    except duckdb.Error:  # a damaged file has ended the connection, or it was never attached
        db.close()
        return
    spare.leave(db)


def _name(
    db: duckdb.DuckDBPyConnection,
    sources: dict[Table, str],
    statements: str,
    sieve: readers.Sieve | None,
) -> None:
    """Give tables the names that people know, and run the *statements* that create views on them."""
    if sieve is not None:
        sieve.prepare(db, {table.name: rows for table, rows in sources.items()})
    names = []
    for table, rows in sources.items():
        name = f"{table.schema}.{table.name}"
        names.append(sieve.statement(table, rows) if sieve else f"CREATE OR REPLACE VIEW {name} AS {rows}")
    db.execute("; ".join((*names, statements)))
