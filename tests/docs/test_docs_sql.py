"""docs/sql.md stays true: every example runs, every column and view it names exists, none is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from usage_ledger import EXAMPLES, PAGE, PYTHON, planted

from ib_duckdb.columns import TABLES
from ib_duckdb.store import DuckDBStore
from ib_duckdb.views import definitions, needed
from ib_kernel.values import CallEnd, CallStart, NewSession, Status


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    """A ledger with two candidates, growing prompts, a failure, a retry and a call in doubt."""
    folder = tmp_path_factory.mktemp("asked")
    yield from planted(lambda clock: DuckDBStore(folder, clock=clock, background=False))


@pytest.mark.parametrize("moved", [False, True], ids=["hot", "moved"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_runs_and_finds_something(store: DuckDBStore, example: str, moved: bool) -> None:
    """An example that is printed can be typed, before and after rows are moved."""
    if moved:
        store.flush()
    assert store.sql(example).rows


def test_every_view_and_table_has_its_place_on_the_page(store: DuckDBStore) -> None:
    """What SHOW TABLES lists is documented, and every column of the tables is named."""
    for (name,) in store.sql("SHOW TABLES").rows:
        assert name in PAGE
    for table in ("sessions", *(t.name for t in TABLES if t.schema == "main")):
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{table}` |"))
        assert re.findall(r"`(\w+)`", line)[1:] == list(store.sql(f"FROM {table}").columns)


def test_the_python_example_runs(store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines for other tools work as they are printed."""
    from ib_kernel.budget.service import get_token_service

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IB_DATA_DIR", str(Path(store.location()).parent))
    exec(PYTHON[0], {})
    assert (tmp_path / "calls.parquet").stat().st_size > 0
    assert (tmp_path / "days.csv").read_text().startswith("day,model,calls")
    get_token_service().close()


def test_steady_growth_is_foretold_without_error(store: DuckDBStore) -> None:
    """Where prompts grow evenly the forecast of the second half is right, and one without growth too low."""
    rows = store.sql("SELECT error_percent, error_percent_without_growth FROM forecast_error").rows
    assert [row[0] for row in rows] == [0.0, 0.0]
    assert all(row[1] < -10 for row in rows)


def test_the_view_and_the_service_foretell_the_same(store: DuckDBStore) -> None:
    """SQL and %budget agree on the turns that are left, to the one whose reply would be cut short."""
    from ib_kernel.budget.forecast import Means, pace_of, turns_left

    rows = dict(store.sql("SELECT session_id, turns_left FROM forecast").rows)
    for name in ("ada-1", "ben-1"):
        pace = pace_of(store.spent(name), [])
        assert pace is not None
        assert 0 <= turns_left(pace, Means(store.totals(name).left)) - rows[name] <= 1


def test_a_constant_difference_comes_with_advice(store: DuckDBStore) -> None:
    """Nothing is corrected silently: the reader is told."""
    with_advice = DuckDBStore(Path(store.location()).parent / "other", background=False)
    with_advice.open_session(NewSession("s", "Ada", 10_000, "m"))
    with_advice.set_status("s", Status.ACTIVE)
    for turn in range(1, 4):
        start = CallStart(turn, model="m", counted_tokens=10 * turn, counted_exact=True)
        with_advice.charge("s", CallEnd(10 * turn + 7, 1), call=start)
    row = with_advice.sql("SELECT constant_difference, advice FROM count_accuracy").rows[0]
    assert row[0] == -7
    assert row[1].startswith("every prompt is billed 7 tokens more than counted")
    with_advice.close()


def test_a_query_gets_the_views_it_names_and_theirs() -> None:
    """Views are created only where they are needed, those below them first; a catalog query gets all."""
    assert needed("SELECT 1") == ""
    assert list(_names(needed("FROM Forecast"))) == ["sessions", "session_usage", "forecast"]
    assert list(_names(needed("SHOW TABLES"))) == list(definitions())


def _names(sql: str) -> Iterator[str]:
    yield from re.findall(r"CREATE OR REPLACE VIEW (\w+)", sql)
