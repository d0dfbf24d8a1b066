"""The result of a SQL query: a small table that shows itself and converts on demand."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from ib_kernel.errors import ConfigError
from ib_kernel.secrets import scrub_keys
from ib_kernel.values.files import write_private
from ib_kernel.values.table import table_html, table_text

MAX_SHOWN = 200
"""Rows that `QueryResult` shows; all of them convert."""

_FORMULA_MARKS = frozenset("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"; read 2026-11)."""


@dataclass(frozen=True)
class QueryResult:
    """Rows of a query, in memory: no file stays open.

    `columns` are the names, `rows` tuples of Python values (None for NULL); `note` says which rows a limit
    has left out, "" for none. Shows as a table in a notebook
    and in a terminal; `df()` and `arrow()` need pandas and pyarrow, which are optional.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    note: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows as a list of tuples."""
        return list(self.rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row, or None when there is none."""
        return self.rows[0] if self.rows else None

    def dicts(self) -> list[dict[str, Any]]:
        """Return all rows as dictionaries by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def df(self) -> Any:
        """Return a pandas DataFrame. `ConfigError` names pandas when it is not installed.

        Decimals become floats, as in DuckDB's own ``df()``: pandas can neither sum nor plot them.
        """
        frame = _optional("pandas").DataFrame
        return frame.from_records(list(self.rows), columns=list(self.columns), coerce_float=True)

    def arrow(self) -> Any:
        """Return a pyarrow Table. `ConfigError` names pyarrow when it is not installed."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        return _optional("pyarrow").table([list(column) for column in columns], names=list(self.columns))

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write all rows with a header (UTF-8, NULL empty) to a file that only its owner may read.

        A text that a spreadsheet would run as a formula (``=``, ``+``, ``-``, ``@`` in front) gets an
        apostrophe before it; numbers stay as they are.

        Args:
            path: Where to.
            overwrite: Whether an existing file may be replaced.

        Returns:
            The full path.

        Raises:
            ConfigError: The file exists or cannot be written.
        """
        import csv

        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(map(_no_formula, self.columns))
        writer.writerows(map(_no_formula, row) for row in self.rows)
        return write_private(path, scrub_keys(text.getvalue()).encode(errors="replace"), overwrite=overwrite)

    def to_parquet(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write all rows to a Parquet file that only its owner may read.

        Args:
            path: Where to.
            overwrite: Whether an existing file may be replaced.

        Returns:
            The full path.

        Raises:
            ConfigError: The file exists or cannot be written, or pyarrow is not installed.
        """
        table, data = self.arrow(), io.BytesIO()
        _optional("pyarrow.parquet").write_table(table, data)
        return write_private(path, data.getvalue(), overwrite=overwrite)

    def __repr__(self) -> str:
        return "\n".join([table_text(*self._shown()), *self._more()])

    def _repr_html_(self) -> str:
        from htpy import p

        return str(table_html(*self._shown())) + "".join(str(p[line]) for line in self._more())

    def _shown(self) -> tuple[list[str], list[list[str]], list[bool]]:
        """Return the columns' names, the rows that are shown, and which columns are numbers."""
        right = [_is_number_column(self.rows, i) for i in range(len(self.columns))]
        return list(self.columns), [[_text(v) for v in row] for row in self.rows[:MAX_SHOWN]], right

    def _more(self) -> list[str]:
        if not self.rows:
            return ["(no rows)"]
        hidden = len(self.rows) - MAX_SHOWN
        more = f"… and {hidden:,} more row{'s' if hidden > 1 else ''}"
        return [line for line in (more if hidden > 0 else "", self.note) if line]


def _optional(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(
            f"{module} is not installed; type %pip install {module} in a cell, or use .fetchall() or .dicts()"
        ) from None


def _no_formula(value: Any) -> Any:
    """Return *value*, a text with an apostrophe in front where a spreadsheet would run it."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ")[:1] in _FORMULA_MARKS else value


def _is_number_column(rows: Sequence[tuple[Any, ...]], index: int) -> bool:
    values = [row[index] for row in rows[:MAX_SHOWN] if row[index] is not None]
    return bool(values) and all(hasattr(v, "__float__") and not isinstance(v, bool) for v in values)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        return f"{value:,f}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 999_999.5 <= abs(value) < 1e15 else f"{value:,.6g}"
    return scrub_keys(str(value))
