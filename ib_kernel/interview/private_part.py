"""A file challenge's private part: kept beside the ledger, never in it.

Notes and criteria must outlive the challenge's file, because a session goes on with what it was given. They
are kept in a file of their own that only its owner can read: no row, session value or SQL of a session holds
them. (On one's own machine that hides nothing from its owner; a real interview is held by a host.)
"""

from __future__ import annotations

import json
import logging
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FOLDER = "challenges"
"""The folder in the data directory."""

_ID = re.compile(r"[0-9a-f]{32}")


def keep(data_dir: Path, notes: str, rubric: Sequence[str]) -> str:
    """Write a private part to a new file and return its id; "" when there is nothing to keep.

    Args:
        data_dir: The folder of the ledger.
        notes: The interviewer's notes, Markdown.
        rubric: What is assessed, one criterion an item.

    Raises:
        OSError: The file cannot be written.
    """
    if not notes and not rubric:
        return ""
    folder, private_id = data_dir / FOLDER, uuid.uuid4().hex
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = json.dumps({"notes": notes, "rubric": list(rubric)}, ensure_ascii=False)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(folder / f"{private_id}.json", flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return private_id


def read(data_dir: Path, private_id: Any) -> tuple[str, tuple[str, ...]]:
    """Return the notes and criteria kept under *private_id*; empty ones where there is no such file."""
    if not (isinstance(private_id, str) and _ID.fullmatch(private_id)):
        return "", ()
    try:
        kept = json.loads((data_dir / FOLDER / f"{private_id}.json").read_text(encoding="utf-8"))
        return _parts(kept)
    except (OSError, ValueError, TypeError, LookupError) as error:
        log.warning("the notes of a challenge are not there any more: %s", type(error).__name__)
        return "", ()


def _parts(kept: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    return str(kept["notes"]), tuple(str(line) for line in kept["rubric"])
