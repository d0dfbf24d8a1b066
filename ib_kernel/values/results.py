"""The result of a SQL query: a small table that shows itself and converts on demand."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from ib_kernel.errors import ConfigError
from ib_kernel.values.table import table_html, table_text

MAX_SHOWN = 200
"""Rows that `QueryResult` shows; all of them convert."""


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

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write all rows to *path* with a header (UTF-8, NULL empty); return the path written."""
        import csv

        target = Path(path).expanduser()
        with _writing(target), target.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.columns)
            writer.writerows(self.rows)
        return target

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write all rows to *path*; return the path written. `ConfigError` when pyarrow is not installed."""
        target, table = Path(path).expanduser(), self.arrow()
        with _writing(target):
            _optional("pyarrow.parquet").write_table(table, str(target))
        return target

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


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from None


def _optional(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(
            f"{module} is not installed; install it with: pip install {module}, or use .fetchall()"
        ) from None


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
    return str(value)
