"""The same attacks on a ledger with a server: what one person may not see, no query of theirs gets at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from postgres_servers import Databases
from reader_cases import ANN, ATTACKS, BEN, CARA, OWNER, PLANTED, plant

from ib_kernel.errors import QueryError

pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
import psycopg

from ib_postgres.store import PostgresStore

SERVER = [
    "SELECT 1 / (level - 3) FROM scores",
    "SELECT 1 FROM scores WHERE reason::integer = 1",
    "SELECT * FROM ib.scores",
    "SELECT 1 FROM ib.scores WHERE reason::integer = 1",
    "SELECT (detail::json ->> 'why')::integer FROM events WHERE kind = 'judged'",
    "SELECT content::integer FROM messages",
    "SELECT most_common_vals::text FROM pg_stats",
    "SELECT stavalues1::text FROM pg_statistic",
    "SELECT query FROM pg_stat_activity",
]


@pytest.fixture(scope="module")
def kept(ledgers: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresStore]:
    """A ledger with what may not be seen by all, analysed so that its statistics have values."""
    url = ledgers.server.url(ledgers.take(tmp_path_factory.mktemp("kept")))
    store = PostgresStore(url, background=False)
    plant(store)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("ANALYZE")
    yield store
    store.close()


@pytest.mark.parametrize("attack", [*ATTACKS, *SERVER])
def test_no_query_gets_at_a_hidden_level(kept: PostgresStore, attack: str) -> None:
    """Neither as a row nor in the line of an error."""
    try:
        shown = repr(kept.sql(attack, reader=ANN).rows)
    except QueryError as error:
        shown = str(error)
        assert "\n" not in shown
    assert PLANTED not in shown


def test_each_reader_sees_what_is_theirs(kept: PostgresStore) -> None:
    """As on the embedded ledger: levels, looks, times, and an owner's locked sessions."""

    def rows(query: str, reader: Any) -> list[Any]:
        return list(kept.sql(query, reader=reader).rows)

    levels = "SELECT DISTINCT session_id FROM scores ORDER BY 1"
    assert rows(levels, ANN) == []
    assert rows(levels, BEN) == [("locked",), ("usual",)]
    assert rows(levels, OWNER) == [("usual",)]
    why = "SELECT detail ->> 'why' FROM events WHERE kind = 'judged'"
    assert (rows(why, ANN), rows(why, BEN)) == ([(None,)], [(PLANTED,)])
    limits = "SELECT time_limit_s, time_limit_at_start_s FROM sessions WHERE session_id = 'adapted'"
    assert rows(limits, ANN) == [(3_300.0, 2_700.0)]
    assert rows(limits, CARA) == [(3_630.0, 2_970.0)]
