"""All rows about a person, as they asked for them: one JSON file, and one page for reading."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from htpy import Node, body, dd, dl, dt, h1, h2, h3, head, html, meta, p, pre, style, table, td, th, title, tr

from ib_kernel.assessment.privacy import Person, privacy_store
from ib_kernel.errors import ConfigError
from ib_kernel.text import plain
from ib_kernel.values import LedgerEvent
from ib_kernel.values.files import write_private

FORMAT = "interview-buddy person 1"
"""What the JSON file says it is; the number changes when a reader has to."""

JSON, PAGE = "rows.json", "read.html"

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d1d1f}"
    "h2{margin-top:2.5rem;border-top:1px solid #ccc;padding-top:1rem}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f5f5f7;padding:.6rem .8rem}"
    "pre{margin:.2rem 0 1rem}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{color:#555}dd{margin:0}"
    "table{border-collapse:collapse;font-size:13px}td,th{border:1px solid #ddd;padding:.2rem .5rem;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}p.small{color:#555;font-size:13px}"
)

_WHO = {"user": "You", "assistant": "The AI", "interviewer": "The interviewer", "hint": "Hint"}

_LONG = frozenset({"content", "source", "output", "text", "reason"})


def collect(store: Any, person: Person, now: float) -> dict[str, Any]:
    """Return all rows about a person as JSON-able values, with the tasks that they were given.

    Args:
        store: The ledger.
        person: Whose rows.
        now: When they are asked for, in seconds since the epoch.

    Raises:
        ConfigError: The ledger cannot say.
    """
    tables = {
        name: [{column: value for column, value in row.items() if column not in _UNTOLD} for row in rows]
        for name, rows in privacy_store(store).rows_about(person.session_ids)
    }
    shas = dict.fromkeys(_sha_of(row) for row in tables.get("sessions", ()))
    kept = (store.challenge(sha) for sha in shas if sha) if hasattr(store, "challenge") else ()
    tasks = [
        {"challenge_sha": task.challenge_sha, "name": task.name, "version": task.version, "text": task.text}
        for task in kept
        if task is not None
    ]
    return {
        "format": FORMAT,
        "made_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "names": person.names,
        "sessions": person.session_ids,
        "tables": tables,
        "tasks": tasks,
    }


_UNTOLD = frozenset(
    [*("session_key", "seq", "salt", "commitment", "link", "link_n", "chain_n", "chain_head", "owner_hash")]
)
"""Columns that say nothing about the person: keys, hashes and links."""


def _sha_of(row: Mapping[str, Any]) -> str:
    told = row.get("meta")
    challenge = told.get("challenge") if isinstance(told, Mapping) else None
    return str(challenge.get("sha") or "") if isinstance(challenge, Mapping) else ""


def write(
    store: Any, person: Person, folder: str | os.PathLike[str], now: float, who: str = ""
) -> list[Path]:
    """Write all rows about a person into a new folder, and record in each session that this was done.

    Args:
        store: The ledger.
        person: Whose rows.
        folder: A new or empty folder; only its owner may read it.
        now: Seconds since the epoch.
        who: Who exports, for the record.

    Returns:
        The files: one for programs, one for people.

    Raises:
        ConfigError: The folder has files in it, or cannot be written.
    """
    place = _new_folder(folder)
    found = collect(store, person, now)
    text = json.dumps(found, indent=1, ensure_ascii=False, default=str)
    files = [
        write_private(place / JSON, text.encode("utf-8", "replace")),
        write_private(place / PAGE, page(found).encode("utf-8", "replace")),
    ]
    rows = sum(map(len, found["tables"].values()))
    for session in person.sessions:
        store.add_event(
            LedgerEvent(session.session_id, "exported", now, who, {"what": "person", "rows": rows})
        )
    return files


def _new_folder(folder: str | os.PathLike[str]) -> Path:
    try:
        place = Path(folder).expanduser().absolute()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        used = any(place.iterdir())
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot write into {str(folder)!r}: {reason}") from None
    if used:
        raise ConfigError(f"{place} has files in it; give --out a new or empty folder")
    return place


def page(found: Mapping[str, Any]) -> str:
    """Return the page for reading: one file without scripts, with every row that `collect` has found."""
    tables = found["tables"]
    called = plain(", ".join(found["names"]) or "a person")
    content = html(lang="en")[
        head[meta(charset="utf-8"), title[f"What is recorded about {called}"], style[_STYLE]],
        body[
            h1[f"What is recorded about {called}"],
            p(".small")[
                f"Made {found['made_at']}. The same rows for programs are in {JSON}. Times are UTC; a text's "
                "length is measured in tokens."
            ],
            [_session(session_id, tables) for session_id in found["sessions"]],
            [[h2[f"Task: {plain(task['name'])}"], pre[plain(task["text"])]] for task in found["tasks"]],
        ],
    ]
    return f"<!doctype html>\n{content}"


def _session(session_id: str, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> Node:
    own = {
        name: [row for row in rows if row.get("session_id") == session_id] for name, rows in tables.items()
    }
    return [
        h2[f"Session {plain(session_id)}"],
        [_facts(row) for row in own.pop("sessions", [])],
        _conversation(own.pop("messages", [])),
        [_rows(name, rows) for name, rows in own.items() if rows],
    ]


def _facts(row: Mapping[str, Any]) -> Node:
    facts = [(name, value) for name, value in row.items() if value not in (None, "")]
    return dl[[(dt[name.replace("_", " ")], dd[_shown(value)]) for name, value in facts]]


def _conversation(messages: Sequence[Mapping[str, Any]]) -> Node:
    if not messages:
        return None
    return [
        h3["Conversation"],
        [
            [
                p(".small")[f"{_WHO.get(row['role'], row['role'])} · {row['created_at']}"],
                pre[_shown(row["content"])],
            ]
            for row in messages
        ],
    ]


def _rows(name: str, rows: Sequence[Mapping[str, Any]]) -> Node:
    """Return the rows of a table: long texts below each other, the rest as a table."""
    columns = [c for c in rows[0] if c != "session_id" and any(row[c] not in (None, "", []) for row in rows)]
    if _LONG.isdisjoint(columns):
        lines = [tr[[td[_shown(row[column])] for column in columns]] for row in rows]
        return [h3[name.capitalize()], table[tr[[th[column] for column in columns]], lines]]
    return [
        h3[name.capitalize()],
        [
            [
                p(".small")[
                    ", ".join(
                        f"{c} {_shown(row[c])}" for c in columns if c not in _LONG and row[c] is not None
                    )
                ],
                [pre[_shown(row[c])] for c in columns if c in _LONG and row[c]],
            ]
            for row in rows
        ],
    ]


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return plain(text)
