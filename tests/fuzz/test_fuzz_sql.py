"""The check of SQL: one statement that reads passes, everything else is one line; nothing is written."""

from __future__ import annotations

import contextlib

import duckdb
import pytest
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from ib_duckdb import statements
from ib_kernel.errors import QueryError

WORDS = st.sampled_from(
    [
        "SELECT", "1", "*", "FROM", "t", "WITH", "x", "AS", "(", ")", "INSERT INTO", "VALUES", "(1)",
        "DELETE",
        "UPDATE", "SET", "a=2", "DROP TABLE", "CREATE TABLE", "y", "EXPLAIN", "ANALYZE", "(ANALYZE)",
        "(FORMAT JSON)", "PIVOT", "UNPIVOT", "ON a", "USING", "sum(a)", "SHOW", "TABLES", "DESCRIBE",
        "SUMMARIZE",
        "PRAGMA", "ATTACH", "DETACH", "'t.db'", "COPY", "TO", "EXPORT DATABASE", "CALL", "EXECUTE", "PREPARE",
        "BEGIN", "COMMIT", "USE", "VACUUM", "CHECKPOINT", "LOAD", "RESET", ";", ",", "--", "\n", "/*",
        "*/", "$$",
        "'", '"', "\\", "RETURNING", "MERGE INTO", "TRUNCATE", "ALTER TABLE", "RENAME", "\u2028", "\0",
        "\ud800",
        "é", "EXPLAIN ANALYZE", "SET VARIABLE v = 1", "FORCE", "INSTALL",
    ]
)  # fmt: skip
QUERIES = st.one_of(
    st.lists(WORDS, max_size=14).map(" ".join),
    st.lists(WORDS | st.text(max_size=4), max_size=8).map("".join),
    st.integers(1, 5_000).map(lambda n: "SELECT " + "(" * n + "1" + ")" * n),
    st.text(max_size=60),
)


@fuzzed
@given(QUERIES)
def test_sql_check(query: str) -> None:
    """What passes changes no table and no setting when it runs; what does not is refused in one line."""
    try:
        statements.check(query)
    except QueryError as error:
        line = str(error)
        assert 0 < len(line) < 1_000
        assert "\n" not in line
        return
    with duckdb.connect(config={"enable_external_access": False}) as db:
        db.execute("CREATE TABLE t AS SELECT 1 AS a")
        before = state(db)
        with contextlib.suppress(duckdb.Error):
            db.execute(query).fetchall()
        assert state(db) == before


def state(db: duckdb.DuckDBPyConnection) -> list[object]:
    """Return everything that a statement could have changed."""
    return [
        db.execute("SELECT * FROM t").fetchall(),
        db.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall(),
        db.execute("SELECT database_name FROM duckdb_databases() ORDER BY 1").fetchall(),
        db.execute("SELECT name, value FROM duckdb_settings() ORDER BY 1").fetchall(),
        db.execute("SELECT * FROM duckdb_variables()").fetchall(),
    ]


@pytest.mark.parametrize(
    "query", ["SELECT 1", "FROM t", "EXPLAIN SELECT 1", "DESCRIBE t", "WITH x AS (SELECT 1) FROM x"]
)
def test_reading_passes(query: str) -> None:
    """The check is not one that refuses everything."""
    statements.check(query)
