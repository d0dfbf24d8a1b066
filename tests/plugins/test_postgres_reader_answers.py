"""SQL for one person: each reader has the same answers on PostgreSQL as on DuckDB."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from postgres_servers import Databases
from reader_cases import ANN, BEN, CARA, OWNER, plant
from test_postgres_sql import told

from ib_duckdb.archive import DuckDBFormat
from ib_duckdb.store import DuckDBStore
from ib_kernel.errors import QueryError
from ib_kernel.values import LedgerEvent

pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
from ib_postgres.store import PostgresStore

READERS = {
    "a rater": ANN,
    "who has rated": BEN,
    "a coordinator who has unfolded": CARA,
    "the owner": OWNER,
    "the owner with the passphrase": dataclasses.replace(OWNER, opened=frozenset({"locked"})),
    "everybody": None,
}

MADE_OF_WHAT_IS_HIDDEN = ("scores", "events", "messages", "sessions", "latest_scores", "timeline")

RUNNING = {"active_s", "changed_at", "chain_n", "chain_head"}
"""Columns that count on by themselves."""


@pytest.fixture(scope="module")
def both(
    ledgers: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[DuckDBStore, PostgresStore]]:
    """The planted ledger on DuckDB, and moved to PostgreSQL."""
    folder = tmp_path_factory.mktemp("readers")
    embedded = DuckDBStore(folder, background=False)
    plant(embedded)
    embedded.add_event(LedgerEvent("usual", "unfolded", 0.0, "Cara"))
    store = PostgresStore(ledgers.server.url(ledgers.take(folder)), background=False)
    with DuckDBFormat().source(folder) as source:
        assert store.take(source).differences == ()
    yield embedded, store
    store.close()
    embedded.close()
    ledgers.give_back(folder)


@pytest.mark.parametrize("who", READERS)
def test_each_reader_has_the_same_answers(both: tuple[DuckDBStore, PostgresStore], who: str) -> None:
    """Every table of which something is hidden, and views of each."""
    embedded, store = both
    for name in MADE_OF_WHAT_IS_HIDDEN:
        names = store.sql(f"SELECT * FROM {name} LIMIT 0").columns
        columns = ", ".join(column for column in names if column not in RUNNING)
        query = f"SELECT {columns} FROM {name}"
        assert told(store.sql(query, reader=READERS[who])) == told(
            embedded.sql(query, reader=READERS[who])
        ), name


def test_a_plan_is_for_who_owns_the_ledger(both: tuple[DuckDBStore, PostgresStore]) -> None:
    """It says how many rows there are that one may not see, however it is written."""
    for plan in ("EXPLAIN ANALYZE SELECT * FROM scores", "/* /* */ */ explain SELECT * FROM scores"):
        with pytest.raises(QueryError, match=r"EXPLAIN|syntax"):
            both[1].sql(plan, reader=ANN)
    assert both[1].sql("EXPLAIN SELECT * FROM scores").rows
