"""A query's result shows itself in a notebook and a terminal, and converts on demand."""

from __future__ import annotations

import datetime
import html
import sys
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.errors import ConfigError
from ib_kernel.values.results import MAX_SHOWN, QueryResult
from ib_kernel.values.table import table_html, table_text

CALLS = QueryResult(
    ("model", "input_tokens", "cost_usd", "note"),
    [("gpt-5.4-mini", 1234, Decimal("0.000123400"), None), ("demo", 56, None, "free")],
)


class Cells(HTMLParser):
    """Reads a table back as a browser would: each cell's tag, style and text, and every other tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[tuple[str, str, str]] = []
        self.others: list[str] = []
        self._open: tuple[str, str] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("td", "th"):
            self._open = tag, dict(attrs)["style"] or ""
            self.cells.append((*self._open, ""))
        else:
            self.others.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.cells[-1] = (*self._open, self.cells[-1][2] + data)


def side(style: str) -> str:
    """Return the side that a cell's style makes its text flush with."""
    return dict(part.split(":", 1) for part in style.split(";"))["text-align"]


def test_a_terminal_shows_an_aligned_table() -> None:
    """Numbers are flush right with thousands separated, text is flush left, NULL is empty."""
    assert repr(CALLS).splitlines() == [
        "model         input_tokens     cost_usd  note",
        "────────────  ────────────  ───────────  ────",
        "gpt-5.4-mini         1,234  0.000123400",
        "demo                    56               free",
    ]


def test_a_notebook_shows_the_same_table() -> None:
    """The HTML table has the same cells, its heads marked as such, numbers flush right."""
    cells = Cells(CALLS._repr_html_()).cells
    assert [text for tag, _, text in cells if tag == "th"] == list(CALLS.columns)
    assert [text for tag, _, text in cells if tag == "td"] == [
        "gpt-5.4-mini", "1,234", "0.000123400", "", "demo", "56", "", "free",
    ]  # fmt: skip
    assert [side(style) for _, style, _ in cells[:4]] == ["left", "right", "right", "left"]
    assert CALLS._repr_html_().count('<th scope="col"') == 4


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "true"),
        (0, "0"),
        (-1234567, "-1,234,567"),
        (0.5, "0.5"),
        (0.000123456789, "0.000123457"),
        (999_999.9, "1,000,000"),
        (1234567.8, "1,234,568"),
        (1e300, "1e+300"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (Decimal("0E-9"), "0.000000000"),
        (Decimal("12345.60"), "12,345.60"),
        (datetime.date(2026, 11, 3), "2026-11-03"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        ("\x1b[2Jgone \x9b1m", "\\x1b[2Jgone \\x9b1m"),
        ("right\u202eto left", "right\\u202eto left"),
        ("half \ud800 a pair", "half \\ud800 a pair"),
        ([1, {"a": None}], "[1, {'a': None}]"),
    ],
)
def test_how_a_value_is_shown(value: Any, shown: str) -> None:
    """Values read as people write them; nothing reaches the screen that could steer a terminal."""
    result = QueryResult(("v",), [(value,)])
    assert repr(result).split("\n")[2:] == [shown]
    assert Cells(result._repr_html_()).cells[1][2] == shown


def test_wide_and_combining_characters_stay_in_line() -> None:
    """A terminal gives a Chinese character two columns and an accent none; so does the table."""
    result = QueryResult(("name", "x"), [("陳大文", "|"), ("Zoe\u0308", "|"), ("Ada Lov", "|")])
    assert repr(result).splitlines()[2:] == ["陳大文   |", "Zoe\u0308      |", "Ada Lov  |"]


def test_a_column_of_numbers_may_hold_nulls_but_no_text() -> None:
    """Only a column of nothing but numbers is flush right; flags and empty columns are text."""
    result = QueryResult(("a", "b", "c", "d"), [(1, 1, True, None), (None, "x", False, None)])
    sides = [side(style) for _, style, _ in Cells(result._repr_html_()).cells[:4]]
    assert sides == ["right", "left", "left", "left"]


@given(st.text(), st.text())
def test_no_markup_gets_through(name: str, value: str) -> None:
    """Whatever a cell or a column's name holds, the table has no tag of its own making."""
    shown = QueryResult((f"<b>{name}",), [(f"<img src=x onerror=alert(1)>{value}</td>",)])._repr_html_()
    parsed = Cells(shown)
    assert parsed.others == ["div", "table", "thead", "tr", "tbody", "tr"]
    assert len(parsed.cells) == 2
    assert html.escape("<img src=x onerror=alert(1)>") in shown


@given(st.lists(st.tuples(st.text(), st.integers() | st.none() | st.floats() | st.decimals()), max_size=5))
def test_any_row_can_be_shown(rows: list[tuple[Any, ...]]) -> None:
    """No value raises, and every row takes one line that can be printed."""
    result = QueryResult(("a", "b"), rows)
    assert len(repr(result).split("\n")) == 2 + max(1, len(rows))
    repr(result).encode()
    result._repr_html_().encode()


def test_an_empty_result_says_so() -> None:
    """Without rows the heads are shown and "(no rows)"."""
    empty = QueryResult(("model", "n"), [])
    assert repr(empty).splitlines() == ["model  n", "─────  ─", "(no rows)"]
    assert "<p>(no rows)</p>" in empty._repr_html_()
    assert (len(empty), list(empty), empty.fetchall(), empty.fetchone(), empty.dicts()) == (
        0,
        [],
        [],
        None,
        [],
    )


@pytest.mark.parametrize(
    ("extra", "line"), [(0, None), (1, "… and 1 more row"), (1234, "… and 1,234 more rows")]
)
def test_a_long_result_is_cut_where_it_is_shown(extra: int, line: str | None) -> None:
    """200 rows are shown and the others counted; all of them convert."""
    result = QueryResult(("n",), [(n,) for n in range(MAX_SHOWN + extra)])
    shown = repr(result).splitlines()
    assert len(shown) == 2 + MAX_SHOWN + (line is not None)
    assert line is None or shown[-1] == line
    assert result._repr_html_().count("<td") == MAX_SHOWN
    assert (f"<p>{line}</p>" in result._repr_html_()) == (line is not None)
    assert len(result.fetchall()) == len(result.df()) == len(result) == MAX_SHOWN + extra


def test_rows_convert_to_plain_python() -> None:
    """fetchall, fetchone, iteration and dicts give the values as they are."""
    assert CALLS.fetchall() == list(CALLS) == list(CALLS.rows)
    assert CALLS.fetchone() == CALLS.rows[0]
    assert CALLS.dicts()[1] == {"model": "demo", "input_tokens": 56, "cost_usd": None, "note": "free"}


def test_rows_convert_to_pandas() -> None:
    """df() has the columns in order; decimals become floats, so that they sum and plot."""
    frame = CALLS.df()
    assert list(frame.columns) == list(CALLS.columns)
    assert frame["input_tokens"].sum() == 1290
    assert frame["cost_usd"].dtype.kind == "f"
    assert frame["cost_usd"].sum() == pytest.approx(0.0001234)
    assert list(QueryResult(("a", "b"), []).df().columns) == ["a", "b"]


def test_rows_convert_to_arrow() -> None:
    """arrow() has the same rows, decimals exact; also of an empty result."""
    table = CALLS.arrow()
    assert table.column_names == list(CALLS.columns)
    assert [tuple(row.values()) for row in table.to_pylist()] == CALLS.fetchall()
    empty = QueryResult(("a", "b"), []).arrow()
    assert (empty.column_names, empty.num_rows) == (["a", "b"], 0)


@pytest.mark.parametrize(("package", "method"), [("pandas", "df"), ("pyarrow", "arrow")])
def test_a_missing_package_is_named(package: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the optional package the line names it, how to install it, and what works without."""
    monkeypatch.setitem(sys.modules, package, None)  # makes every import of it fail
    with pytest.raises(ConfigError) as caught:
        getattr(CALLS, method)()
    assert str(caught.value) == (
        f"{package} is not installed; type %pip install {package} in a cell, or use .fetchall() or .dicts()"
    )


def test_a_table_without_names_has_no_line_for_them() -> None:
    """Facts in two columns (the doctor's ledger) begin at once, without a blank line and a rule."""
    rows = [["where", "here"], ["audit", "it adds up"]]
    assert table_text(["", ""], rows).splitlines() == ["where  here", "audit  it adds up"]
    assert "thead" not in table_html(["", ""], rows)
    assert "thead" in table_html(["", "figures"], rows)
