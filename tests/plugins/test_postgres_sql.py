"""SQL on PostgreSQL answers as on DuckDB: every documented example, table and view, over the same rows."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from postgres_servers import Databases, wait_until
from usage_ledger import EXAMPLES, Hands, planted

from ib_duckdb.archive import DuckDBFormat
from ib_duckdb.store import DuckDBStore
from ib_duckdb.views import definitions
from ib_kernel.errors import QueryError, StoreError
from ib_kernel.testing import UsageViewsContract
from ib_kernel.values import (
    BudgetStore,
    CallEnd,
    CallStart,
    LedgerEvent,
    Message,
    NewSession,
    QueryResult,
    Status,
)

pytest.importorskip("psycopg", reason="pip install 'interview-buddy-kernel[postgres]'")
from ib_postgres.asking import Limits
from ib_postgres.asking_part import TABLES
from ib_postgres.store import PostgresStore

OWN = {"session_key", "since"}
"""Columns that no two ledgers share: a number of the ledger's own, and what is counted up to this moment."""


@pytest.fixture(scope="module")
def url(ledgers: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty ledger."""
    folder = tmp_path_factory.mktemp("postgres")
    yield ledgers.server.url(ledgers.take(folder))
    ledgers.give_back(folder)


@pytest.fixture(scope="module")
def both(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The planted sessions on DuckDB, and the same ones moved to PostgreSQL."""
    folder, clock = tmp_path_factory.mktemp("embedded"), Hands()

    def made(hands: Hands) -> DuckDBStore:
        nonlocal clock
        clock = hands
        return DuckDBStore(folder, clock=hands, background=False)

    for embedded in planted(made):
        _much(embedded, clock)
        store = PostgresStore(url, clock=clock, background=False)
        with DuckDBFormat().source(folder) as source:
            assert store.take(source).differences == ()
        with embedded.connect() as db:
            yield Asked(db), store
        store.close()


class Asked:
    """What the embedded ledger answers, by one connection: that is faster than asking it each time."""

    def __init__(self, db: Any) -> None:
        self._db = db

    def sql(self, query: str) -> QueryResult:
        """Answer a query."""
        found = self._db.execute(query)
        return QueryResult(tuple(column[0] for column in found.description), found.fetchall())


def _much(store: DuckDBStore, clock: Hands) -> None:
    """Add what no example has: odd words and figures, ends of every kind, drawn with a fixed seed."""
    draw = random.Random(14)
    texts = (
        "Größe prüfen? ½ नमस्ते x_1", "```py\ncode\n``` then `````\nmore\n````` and ``` open", "", "a\0b ␀ c",
        "How should the limiter remember buckets?", "how SHOULD the Limiter remember its buckets now?",
        "[The candidate's material, attached: the last error]\n````\n```\nx\n```\n````\nwhy though",
        "  def f(x):\n    return x", "for you and me", "naïve café naïve café naïve cafés",
    )  # fmt: skip
    for number in range(6):
        name = f"s{number}"
        kind = "new" if number % 2 else "billed"
        store.open_session(
            NewSession(
                name,
                draw.choice(("Ada", "Bo")),
                50_000,
                f"m{number % 3}",
                challenge="queue",
                charge=kind,
                time_limit_s=3600.0 if number % 2 else None,
                meta={
                    "n": [number, None],
                    "temperature": 0.7,
                    "conditions": {"hints": 2, "time_limit_s": 3000},
                },
            )
        )
        store.set_status(name, Status.ACTIVE)
        for turn in range(1, draw.randint(2, 9)):
            clock.now += draw.random() * 100
            start = CallStart(turn, 1, "openai", f"m{number % 3}", draw.randint(90, 110), draw.random() < 0.7)
            held = store.reserve(name, 4_000, lease_s=90, call=start)
            assert held
            clock.now += draw.random() * 30
            if draw.random() < 0.2:
                store.mark_unresolved(held, "TimedOut")
                if draw.random() < 0.5:
                    store.write_off(held.reservation_id, who="Ada")
                continue
            end = CallEnd(
                draw.randint(90, 3_000), draw.randint(1, 900), cached_tokens=draw.randint(0, 80),
                cost_nano_usd=draw.choice((None, draw.randint(1, 10**12))),
                latency_ms=draw.random() * 5_000, first_piece_ms=draw.random() * 500,
                error=draw.choice((None, None, None, "Cut")),
                charged_tokens=90 if kind == "new" else None,
            )  # fmt: skip
            said = [
                Message(turn, "user", draw.choice(texts), asked_at=clock.now - draw.random() * 50),
                Message(turn, "assistant", "Yes.", partial=draw.random() < 0.2),
            ]
            store.settle(held, end, messages=said)
            made_of = draw.sample(["user message", "tools", "system message"], draw.randint(0, 3))
            detail = {"turn": turn, "model": f"m{number % 3}", "constructs": made_of}
            store.add_event(LedgerEvent(name, "counted", 0.0, detail=detail))
            items = [{"label": "the last error"}, {"kind": "cell"}, {"label": "cell 3"}][: draw.randint(0, 3)]
            store.add_event(LedgerEvent(name, "attached", 0.0, detail={"turn": turn, "items": items}))
        store.set_status(name, draw.choice((Status.COMPLETED, Status.CANCELLED, Status.PAUSED)))
    clock.now += 1_000


def told(found: QueryResult) -> list[tuple[Any, ...]]:
    """Return rows to compare: JSON by what it says, figures exactly, in an order of their own."""
    kept = [at for at, name in enumerate(found.columns) if name not in OWN]
    return sorted((tuple(_plain(row[at]) for at in kept) for row in found.rows), key=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, (Decimal, float)):  # the last digit depends on the order in which figures are added
        return int(value) if value == int(value) else float(f"{value:.15g}")
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.dumps(json.loads(value, parse_int=float), sort_keys=True)
        except ValueError:
            return value
    return bool(value) if isinstance(value, bool) else value


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_answers_the_same(both: tuple[Asked, PostgresStore], example: str) -> None:
    """An example that is printed can be typed on either ledger."""
    embedded, store = both
    ours = store.sql(example)
    assert ours.rows
    assert told(ours) == told(embedded.sql(example))


@pytest.mark.parametrize("name", sorted({*definitions(), *TABLES}))
def test_every_table_and_view_answers_the_same(both: tuple[Asked, PostgresStore], name: str) -> None:
    """Names, columns and their order, types and values; text as PostgreSQL keeps it."""
    embedded, store = both
    ours, theirs = store.sql(f"SELECT * FROM {name}"), embedded.sql(f"SELECT * FROM {name}")
    assert ours.columns == theirs.columns
    assert len(ours) == len(theirs)
    apart = {"chain_n", "chain_head", "changed_at"} if name == "sessions" else set()
    if apart:  # the embedded view shows these as of the session's last change of state
        names = ", ".join(column for column in ours.columns if column not in apart)
        ours, theirs = store.sql(f"SELECT {names} FROM {name}"), embedded.sql(f"SELECT {names} FROM {name}")
    shown = [tuple(_shown(value) for value in row) for row in told(theirs)]
    assert sorted(shown, key=repr) == told(ours)
    assert _types(ours) == _types(theirs)


def _shown(value: Any) -> Any:
    """Return a text as PostgreSQL shows it: it has no NUL."""
    return value.replace("␀", "␀1").replace("\0", "␀0") if isinstance(value, str) else value


def _types(found: QueryResult) -> list[set[str]]:
    columns = zip(*found.rows, strict=True) if found.rows else []
    return [{type(value).__name__ for value in column if value is not None} for column in columns]


def test_there_is_no_view_more_or_less(both: tuple[Asked, PostgresStore]) -> None:
    """What the catalog lists is what is documented."""
    names = "SELECT table_name FROM information_schema.tables WHERE table_schema IN ('main', 'ib_usage')"
    embedded, store = both
    assert {*told(store.sql(names))} == {*told(embedded.sql(names))}


class TestViewsOnPostgres(UsageViewsContract):
    """The planted interview, written by this store itself."""

    url: ClassVar[str]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _database(cls, ledgers: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        folder = tmp_path_factory.mktemp("views")
        cls.url = ledgers.server.url(ledgers.take(folder))
        yield
        ledgers.give_back(folder)

    def make_store(self, folder: Path, clock: Any, *, store_transcript: bool = True) -> BudgetStore:
        """Open the class's ledger."""
        return PostgresStore(self.url, clock=clock, background=False)


@pytest.fixture
def store(both: tuple[Asked, PostgresStore]) -> PostgresStore:
    """The ledger on PostgreSQL."""
    return both[1]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DELETE FROM calls", "usage can only be read"),
        ("INSERT INTO events VALUES (1) RETURNING 1", "permission denied|can only be read"),
        (
            "WITH gone AS (DELETE FROM calls RETURNING 1) SELECT * FROM gone",
            "permission denied|can only be read",
        ),
        ("SELECT 1; SELECT 2", "one query at a time"),
        ("SELECT * FROM cals", "did you mean calls"),
        ("SELECT cost FROM calls", 'column "cost" does not exist'),
        ("FROM calls", "SELECT \\* FROM"),
        ("SELECT model FROM calls GROUP BY ALL", "GROUP BY 1"),
        ("SELECT ROW(1, 2)", "cast it"),
        ("SELECT 'a\0b'", "NUL"),
        ("SELECT 1/0", "division by zero"),
        ("SELECT '\ud800'", "no text"),
        ("-- nothing", "answers no rows|no query"),
        ("COPY calls TO '/tmp/x'", "can only be read"),
        ("SET ROLE ib_host", "can only be read"),
        ("SELECT 'infinity'::date", "."),
        ("x" * 100_001, "at most 100,000 characters"),
    ],
)
def test_a_mistake_is_one_line(store: PostgresStore, query: str, said: str) -> None:
    """It says what was wrong and what to type instead, and nothing of the server."""
    with pytest.raises(QueryError, match=said) as caught:
        store.sql(query)
    assert "\n" not in str(caught.value)
    assert "ib_usage" not in str(caught.value)


def test_a_result_ends_at_its_limits(url: str, store: PostgresStore) -> None:
    """Rows and bytes: what is left out is said, and a query that takes long is stopped in the server."""
    few = PostgresStore(url, background=False, limits=Limits(bytes=20_000, rows=50))
    found = few.sql("SELECT generate_series(1, 100000) AS n")
    assert len(found) == 50
    assert "only the first 50 rows" in found.note
    found = few.sql("SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 40) AS n")
    assert 10 <= len(found) < 20
    assert "query_memory_mb" in found.note
    found = few.sql("SELECT repeat('x', 100000000)")
    assert (len(found), "query_memory_mb" in found.note) == (0, True)
    few.close()
    short = PostgresStore(url, background=False, limits=Limits(seconds=0.5))
    with pytest.raises(QueryError, match=r"longer than 0\.5 s"):
        short.sql("SELECT count(*) FROM generate_series(1, 100000000000)")
    short.close()
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series(1, 1000000000%'"
    assert store.sql(running).rows[0][0] <= 1  # this one


def test_an_interrupt_stops_the_query_in_the_server(url: str, store: PostgresStore) -> None:
    """The person gets one line at once, and nothing goes on at their expense."""
    import _thread

    import psycopg

    busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%ib_usage.ask(%'"

    def interrupt() -> None:
        with psycopg.connect(url, autocommit=True) as db:
            wait_until(lambda: db.execute(f"{busy} AND pid <> pg_backend_pid()").fetchone() == (1,))
        _thread.interrupt_main()

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    with pytest.raises(QueryError, match="was stopped; nothing was changed"):
        store.sql("SELECT count(*) FROM generate_series(1, 100000000000)")
    watcher.join()
    with psycopg.connect(url, autocommit=True) as db:
        wait_until(lambda: db.execute(f"{busy} AND pid <> pg_backend_pid()").fetchone() == (0,))


def test_a_long_query_keeps_no_call_waiting(url: str, store: PostgresStore) -> None:
    """People's queries take no connection of those that calls are made on."""
    narrow = PostgresStore(url, background=False, pool_size=1, limits=Limits(seconds=20))
    asked = threading.Thread(target=lambda: narrow.sql("SELECT pg_sleep(3)::text"))
    asked.start()
    for _ in range(20):
        narrow.totals("ada-1")
    assert asked.is_alive()
    asked.join()
    narrow.close()


def test_what_was_adapted_is_told_to_nobody(store: PostgresStore) -> None:
    """A column of a table that no view has cannot be reached."""
    assert "accommodation" not in store.sql("SELECT * FROM sessions").columns
    with pytest.raises(QueryError):
        store.sql("SELECT accommodation FROM ib.sessions")


def test_a_ledger_without_its_views_says_what_to_type(ledgers: Databases, tmp_path: Path) -> None:
    """Somebody has dropped them, or a newer version made them: migrating makes them anew."""
    import psycopg

    url = ledgers.server.url(ledgers.take(tmp_path))
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("COMMENT ON SCHEMA ib_usage IS 'of another version'")
        with pytest.raises(StoreError, match="ib store migrate"):
            PostgresStore(url, background=False)
        from ib_postgres.migrate import migrate

        db.execute("CREATE SCHEMA mine; CREATE VIEW mine.spent AS SELECT * FROM ib_usage.calls")
        with pytest.raises(StoreError, match=r"mine\.spent is made of views in ib_usage"):
            migrate(db)
        db.execute("DROP SCHEMA mine CASCADE")
        assert migrate(db) == ["the views of ib_usage"]
    PostgresStore(url, background=False).close()
    ledgers.give_back(tmp_path)
