"""A file challenge's private part: kept beside the ledger, never in it.

Notes and criteria must outlive the challenge's file, because a session goes on with what it was given. They
are kept in a file of their own that only its owner can read: no row, session value or SQL of a session has
them. (On one's own machine that hides nothing from its owner; a real interview is held by a host.) A store
whose older sessions carry them in `meta` moves them here; the file is JSON, ``{"notes": …, "rubric": […]}``
and whatever else is the interviewer's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FOLDER = "challenges"
"""The folder in the data directory."""

_ID = re.compile(r"[0-9a-f]{32}")
_NAMES = ("notes", "rubric")


def keep(
    data_dir: Path, notes: str, rubric: Sequence[str], *, of: str = "", more: Mapping[str, Any] | None = None
) -> str:
    """Write a private part, durably, to a file of its own and return its id; "" for nothing to keep.

    Args:
        data_dir: The folder of the ledger.
        notes: The interviewer's notes, Markdown.
        rubric: What is assessed, one criterion an item.
        of: What the id is made from, together with the content, so that keeping the same again changes
            nothing. "": a new id.
        more: What else belongs to it, JSON-able.

    Raises:
        OSError: The file cannot be written.
    """
    if not notes and not rubric and not any((more or {}).values()):
        return ""
    text = json.dumps({**(more or {}), "notes": notes, "rubric": list(rubric)})
    made = hashlib.sha256(f"private part\0{of}\0{text}".encode("utf-8", "surrogatepass"))
    private_id = made.hexdigest()[:32] if of else uuid.uuid4().hex
    folder = data_dir / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / f"{private_id}.json"
    if target.is_file():
        return private_id
    handle, name = tempfile.mkstemp(prefix=".", dir=folder)  # 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    return private_id


def read(data_dir: Path, private_id: Any) -> dict[str, Any]:
    """Return what was kept under *private_id*; empty where there is no such file."""
    if not (isinstance(private_id, str) and _ID.fullmatch(private_id)):
        return {}
    try:
        kept = json.loads((data_dir / FOLDER / f"{private_id}.json").read_text(encoding="utf-8"))
        if not isinstance(kept, dict):
            raise TypeError("not a table")
        return kept
    except (OSError, ValueError, TypeError) as error:
        log.warning("the notes of a challenge are not there any more: %s", type(error).__name__)
        return {}


def without(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return a session's *meta* without the notes and criteria that older versions kept there."""
    challenge = meta.get("challenge")
    if not isinstance(challenge, Mapping) or not any(name in challenge for name in _NAMES):
        return dict(meta)
    return {**meta, "challenge": {key: value for key, value in challenge.items() if key not in _NAMES}}


def moved_out(data_dir: Path, session_id: str, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return *meta* without a private part after keeping that in its file, named by ``private_id``.

    Args:
        data_dir: The folder of the ledger.
        session_id: Whose it is; the same session's same notes are always kept under the same id.
        meta: What the session was opened with, as any version wrote it.

    Raises:
        OSError: The file cannot be written; *meta* must then stay as it is.
    """
    clean = without(meta)
    challenge = meta.get("challenge")
    if isinstance(challenge, Mapping) and clean != meta:
        notes, rubric = challenge.get("notes"), challenge.get("rubric")
        lines = [str(line) for line in rubric] if isinstance(rubric, list) else []
        private_id = keep(data_dir, notes if isinstance(notes, str) else "", lines, of=session_id)
        if private_id:
            clean["challenge"] = {**clean["challenge"], "private_id": private_id}
    return clean
