"""Wrote ``notes.json``, with the code of version 1: a ledger whose sessions carry interviewers' notes.

Kept to show where the file comes from; it runs with that code only (the last commit before the ledger had
version 2). Two sessions have a challenge of the interviewer's own, one a shipped one; the first was extended,
so that the record has several versions of its row.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from pathlib import Path

import duckdb

from ib_kernel import Interview, Settings

folder = Path(tempfile.mkdtemp())
challenge = folder / "own.md"
challenge.write_text(
    '+++\nname = "mine"\ntitle = "Mine"\nrubric = ["names the zebrafish"]\n+++\nDo it.\n\n'
    '<!-- interviewer -->\nThe zebrafish is "hidden": é.\n',
    encoding="utf-8",
)
settings = Settings(data_dir=folder / "ledger", client="demo", candidate="Ada")
with Interview(settings) as buddy:
    buddy.start("Engineer", challenge=str(challenge), session_id="first", token_budget=20_000)
    buddy.say_sync("I would begin with the small case.")
    buddy.service.extend_budget("first", 1_000)
    buddy.start("Engineer", challenge="rate-limiter", session_id="shipped", token_budget=20_000)
    buddy.start("Engineer", challenge=str(challenge), session_id="second", token_budget=20_000)

with sqlite3.connect(settings.data_dir / "hot.sqlite3") as hot:
    dump = list(hot.iterdump())
tables = {}
with duckdb.connect(str(settings.data_dir / "usage.duckdb"), read_only=True) as db:
    for schema, name, sql in db.execute(
        "SELECT schema_name, table_name, sql FROM duckdb_tables()"
    ).fetchall():
        found = db.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {schema}.{name}").fetchall()
        tables[f"{schema}.{name}"] = {"sql": sql, "rows": found}
    views = db.execute("SELECT sql FROM duckdb_views() WHERE NOT internal ORDER BY view_oid").fetchall()
written = {"hot": dump, "record": tables, "views": [sql for (sql,) in views]}
Path(sys.argv[1]).write_text(json.dumps(written, indent=0))
