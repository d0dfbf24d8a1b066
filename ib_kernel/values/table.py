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

_SHORT_CELL = 32
_WIDE = "overflow-x:auto;margin:4px 0"

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
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[bool] | None = None,
    *,
    stacks: bool = False,
) -> Markup:
    """Return the same rows as an HTML table. Every cell is text, and no typesetter looks for TeX in it.

    Args:
        headers: As for `table_text`.
        rows: As for `table_text`.
        right: As for `table_text`.
        stacks: Whether a row is one thing whose cells may stand under each other, each with its header, where
            there is little room (the extension's style sheet does that); else the table scrolls sideways.
    """
    from htpy import div, table, tbody, td, th, thead, tr
    from markupsafe import Markup

    right = _right(rows, len(headers)) if right is None else right
    head = [  # a screen reader announces an empty header as a header
        th(scope="col", style=_style(name, flush, "0.6"))[name]
        if name
        else td(style=_style("", flush, "0.6"))
        for name, flush in zip(_cells(headers), right, strict=True)
    ]
    body = [
        tr[
            [
                td(style=_style(cell, flush), data_label=name if stacks else None)[cell]
                for name, cell, flush in zip(_cells(headers), _cells(row), right, strict=True)
            ]
        ]
        for row in rows
    ]
    named = thead[tr[head]] if any(headers) else None
    shown = table(style="border-collapse:collapse;margin:0")[named, tbody[body]]
    name = ".ib-stacks" if stacks else ""
    box = div(f".tex2jax_ignore.mathjax_ignore.ib.ib-wide{name}", tabindex="0", style=_WIDE)
    return Markup(box[shown])  # noqa: S704 - htpy has escaped it


def _style(cell: str, flush: bool, line: str = "0.35") -> str:
    """Return a cell's style: a short one is never broken, a long one keeps a width that can be read."""
    width = "white-space:nowrap" if len(cell) <= _SHORT_CELL else "min-width:20ch;max-width:60ch"
    figures = "text-align:right;font-variant-numeric:tabular-nums" if flush else "text-align:left"
    edge = f"border-bottom:1px solid rgba(127,127,127,{line})"
    return f"{figures};vertical-align:top;padding:4px 16px 4px 8px;{edge};{width}"


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
