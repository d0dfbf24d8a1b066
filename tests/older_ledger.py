"""Ledgers that older code wrote, from ``plugins/older/*.json``: both files, as they were left."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import duckdb


def read_older(name: str) -> dict[str, Any]:
    """Return what ``plugins/older/NAME.json`` holds."""
    file = Path(__file__).parent / "plugins" / "older" / f"{name}.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def write_older(older: dict[str, Any], folder: Path) -> Path:
    """Write both files of the ledger *older* into *folder* and return that."""
    folder.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(folder / "hot.sqlite3") as hot:
        hot.executescript("\n".join(older["hot"]))
    hot.close()
    with duckdb.connect(str(folder / "usage.duckdb")) as record:
        record.execute("CREATE SCHEMA internal")
        for name, table in older["record"].items():
            record.execute(
                table["sql"].replace("CREATE TABLE ", f"CREATE TABLE {name.split('.')[0]}.", 1)
                if "." not in table["sql"].split("(")[0]
                else table["sql"]
            )
            if table["rows"]:
                marks = ", ".join("?" * len(table["rows"][0]))
                record.executemany(f"INSERT INTO {name} VALUES ({marks})", table["rows"])
        waiting = list(older.get("views", ()))
        while waiting:  # one may be made of another
            sql = waiting.pop(0)
            try:
                record.execute(sql)
            except duckdb.CatalogException:
                waiting.append(sql)
    return folder
