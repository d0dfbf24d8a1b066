"""Rows as aligned text and as an HTML table: one renderer of each, for SQL results, sessions and reports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ib_kernel.text import cut, one_line

if TYPE_CHECKING:
    from markupsafe import Markup

MAX_CELL = 2_000
"""Characters of a cell that are shown; a message in a SQL result can have a hundred times that."""

_FIGURE = re.compile(r"[-−]?\$?\d[\d,._]*(?: ?%| ms| s| min)?(?: of \$?\d[\d,.]*)?")


def table_text(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool] | None = None
) -> str:
    """Return the rows as text whose columns stand under each other in a terminal.

    Wide characters (Chinese, Japanese, Korean, emoji) count two columns and combining ones none.

    Args:
        headers: The columns' names; if all are empty, there is no line for them.
        rows: The cells, as text, one for each header.
        right: Which columns are flush right; None: those of nothing but figures.
    """
    right = _right(rows, len(headers)) if right is None else right
    cells = [_cells(headers), *map(_cells, rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        parts = []
        for cell, width, flush in zip(row, widths, right, strict=True):
            pad = " " * (width - _width(cell))
            parts.append(pad + cell if flush else cell + pad)
        return "  ".join(parts).rstrip()

    head, *body = map(line, cells)
    if not any(headers):
        return "\n".join(body)
    return "\n".join([head, "  ".join("─" * width for width in widths), *body])


def table_html(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool] | None = None
) -> Markup:
    """Return the same rows as an HTML table. Every cell is text, and no typesetter looks for TeX in it."""
    from htpy import table, tbody, td, th, thead, tr
    from markupsafe import Markup

    right = _right(rows, len(headers)) if right is None else right
    styles = [f"text-align:{'right' if flush else 'left'}" for flush in right]
    head = [  # a screen reader announces an empty header as a header
        th(scope="col", style=style)[name] if name else td
        for name, style in zip(_cells(headers), styles, strict=True)
    ]
    body = [
        tr[[td(style=style)[cell] for cell, style in zip(_cells(row), styles, strict=True)]] for row in rows
    ]
    named = thead[tr[head]] if any(headers) else None
    return Markup(table(".tex2jax_ignore.mathjax_ignore")[named, tbody[body]])  # noqa: S704


def _cells(row: Sequence[str]) -> list[str]:
    return [one_line(cut(cell, MAX_CELL)) for cell in row]


def _right(rows: Sequence[Sequence[str]], columns: int) -> list[bool]:
    """Return which columns are figures and nothing else."""
    found = []
    for i in range(columns):
        cells = [row[i] for row in rows if row[i]]
        found.append(bool(cells) and all(_FIGURE.fullmatch(cell) for cell in cells))
    return found


def _width(cell: str) -> int:
    """Return how many columns of a terminal *cell* takes."""
    if cell.isascii():
        return len(cell)
    from wcwidth import wcswidth

    columns = wcswidth(cell)
    return columns if columns >= 0 else len(cell)
