"""docs/sql.md stays true: every example runs, every column and view it names exists, none is left out."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ib_duckdb.columns import TABLES
from ib_duckdb.store import DuckDBStore
from ib_duckdb.views import definitions, needed
from ib_kernel.values import CallEnd, CallStart, Cell, Check, LedgerEvent, Message, NewSession, Score, Status

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```sql\n(.*?)^```", PAGE, re.M | re.S)
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    """A ledger with two candidates, growing prompts, a failure, a retry and a call in doubt."""
    store = DuckDBStore(tmp_path_factory.mktemp("asked"), background=False)
    for name, growth in (("ada-1", 50), ("ben-1", 400)):
        store.open_session(
            NewSession(
                name, name[:3], 100_000, "gpt-5.4-mini", challenge="rate-limiter", budget_nano_usd=10**9
            )
        )
        store.set_status(name, Status.ACTIVE)
        for turn in range(1, 9):
            held = store.reserve(name, 9_000, lease_s=60, call=_start(turn, 1))
            assert held
            if turn == 3:
                store.release(held, CallEnd(0, 0, error="ServerFailed"))
                held = store.reserve(name, 9_000, lease_s=60, call=_start(turn, 2))
                assert held
            prompt = 300 + growth * turn
            end = CallEnd(prompt, 100, cost_nano_usd=prompt * 250, latency_ms=900.0, first_piece_ms=200.0)
            store.settle(
                held,
                end,
                messages=[Message(turn, "user", "hello"), Message(turn, "assistant", "hi", asked_at=1.0)],
            )
    doubt = store.reserve("ada-1", 500, lease_s=60, call=_start(9, 1))
    assert doubt
    store.mark_unresolved(doubt, "TimedOut")
    store.set_budget("ada-1", tokens=90_000, who="tester")
    made_of = {"turn": 1, "model": "gpt-5.4-mini", "constructs": ["user message"]}
    store.add_event(LedgerEvent("ada-1", "counted", 0.0, detail=made_of))
    rejected = {"turn": 2, "attempt": 1, "problems": ["zero input"], "raw_usage": '{"prompt_tokens": 0}'}
    store.add_event(LedgerEvent("ada-1", "usage_rejected", 0.0, detail=rejected))
    _work(store)
    yield store
    store.close()


def _work(store: DuckDBStore) -> None:
    """Add what a candidate does beside asking."""
    store.open_session(NewSession("cy-1", "Cy", 9_000, "gpt-5.4-mini"))
    store.set_status("cy-1", Status.ACTIVE)
    now = time.time()
    question = "Why does the bucket let two requests through?"
    for turn, text in ((11, question), (12, f"But {question}")):
        held = store.reserve("cy-1", 900, lease_s=60, call=_start(turn, 1))
        assert held
        said = [Message(turn, "user", text, asked_at=now + turn), Message(turn, "assistant", "A race.")]
        store.settle(held, CallEnd(300, 100), messages=said)
    store.add_cell(Cell("cy-1", "1 / 0", ok=False, error="ZeroDivisionError", started_at=now, ended_at=now))
    store.add_check(Check("cy-1", "visible", 1, 3, started_at=now, ended_at=now))
    store.add_event(LedgerEvent("cy-1", "hint", 0.0, detail={"rung": 1, "of": 2}))
    for rater, level in (("Ann", 2), ("Bob", 3)):
        store.add_score(Score("cy-1", "races", rater, "person", level=level, reason="Names the race"))
    store.add_score(Score("cy-1", "races", "judge", "model", level=3))
    store.add_score(Score("cy-1", "races", "Ann", "person", level=3, saw_model=True))
    refused = {"reason": "budget", "needed": 900, "left": 100}
    store.add_event(LedgerEvent("cy-1", "refused", 0.0, detail=refused))


def _start(turn: int, attempt: int) -> CallStart:
    return CallStart(turn, attempt, "openai", "gpt-5.4-mini", counted_tokens=300, counted_exact=True)


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
