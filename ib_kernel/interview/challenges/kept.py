"""A challenge as a ledger keeps it: the candidate's part by its hash, the interviewer's part beside it.

What a session was given must not change with the file, the plugin or the package that it came from.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, get_args

from ib_kernel.interview.challenges.model import Challenge, Criterion, Reveal
from ib_kernel.values import KeptChallenge

_FACTS = "facts.json"
_DATA = "data/"
_BASE64 = "data:;base64,"
_PRIVATE_TEXTS = ("notes", "hidden", "solution")


def to_kept(challenge: Challenge) -> KeptChallenge:
    """Return the candidate's part of *challenge* as a ledger keeps it.

    Args:
        challenge: With or without its private part, of which nothing goes along.
    """
    facts = {
        "title": challenge.title,
        "roles": list(challenge.roles),
        "level": challenge.level,
        "minutes": challenge.minutes,
        "tokens": challenge.tokens,
        "tags": list(challenge.tags),
        "entry": list(challenge.entry),
        "reveal": challenge.reveal,
    }
    files = {_FACTS: json.dumps(facts)}
    files |= {name: text for name, text in _codes(challenge).items() if text}
    files |= {f"{_DATA}{name}": _as_text(content) for name, content in challenge.data.items()}
    return KeptChallenge(
        challenge.candidate_sha, challenge.name, challenge.version, challenge.text, files=files
    )


def from_kept(kept: KeptChallenge) -> Challenge:
    """Return the candidate's part that was kept. What cannot be read is left out.

    Args:
        kept: From a ledger, or from a host: names and sizes were looked at by who received it.
    """
    facts = _parsed(kept.files.get(_FACTS, ""))
    reveal: Reveal = next((word for word in get_args(Reveal) if word == facts.get("reveal")), "nothing")
    data = {
        name.removeprefix(_DATA): _as_bytes(text)
        for name, text in kept.files.items()
        if name.startswith(_DATA)
    }
    return Challenge(
        kept.name,
        str(facts.get("title") or kept.name),
        kept.text,
        roles=_texts(facts, "roles"),
        level=str(facts.get("level") or ""),
        origin="recorded",
        version=kept.version,
        minutes=_number(facts, "minutes"),
        tokens=_number(facts, "tokens"),
        tags=_texts(facts, "tags"),
        entry=tuple(name for name in _texts(facts, "entry") if name.isidentifier()),
        reveal=reveal,
        starter=kept.files.get("starter.py", ""),
        visible=kept.files.get("tests/visible.py", ""),
        data=data,
    )


def to_private(challenge: Challenge) -> dict[str, Any]:
    """Return the interviewer's part as JSON-able values."""
    criteria = [{"name": c.name, "title": c.title, "anchors": list(c.anchors)} for c in challenge.criteria]
    found: dict[str, Any] = {
        "rubric": list(challenge.rubric),
        "criteria": criteria,
        "hints": list(challenge.hints),
    }
    return found | {name: getattr(challenge, name) for name in _PRIVATE_TEXTS}


def private_fields(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Challenge` that `to_private` has written; what is missing is empty.

    Args:
        kept: What was written; older files hold notes and rubric only.
    """
    rows = kept.get("criteria")
    criteria = [_criterion(row) for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    return {
        "rubric": _texts(kept, "rubric"),
        "hints": _texts(kept, "hints"),
        "criteria": tuple(c for c in criteria if c is not None),
        **{name: str(kept.get(name) or "") for name in _PRIVATE_TEXTS},
    }


def _codes(challenge: Challenge) -> dict[str, str]:
    return {"starter.py": challenge.starter, "tests/visible.py": challenge.visible}


def _criterion(row: Mapping[str, Any]) -> Criterion | None:
    anchors = _texts(row, "anchors")
    if len(anchors) != 4:
        return None
    return Criterion(
        str(row.get("name")), str(row.get("title")), (anchors[0], anchors[1], anchors[2], anchors[3])
    )


def _texts(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _number(table: Mapping[str, Any], key: str) -> int | None:
    value = table.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _as_text(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if not text or "\0" in text or text.startswith(_BASE64):
        return _BASE64 + base64.b64encode(content).decode()
    return text


def _as_bytes(text: str) -> bytes:
    if not text.startswith(_BASE64):
        return text.encode("utf-8")
    try:
        return base64.b64decode(text.removeprefix(_BASE64))
    except (ValueError, binascii.Error):
        return b""
