"""What a host sends of a challenge is somebody's: names, sizes and kinds are looked at first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ib_kernel.interview.challenges import Challenge
from ib_kernel.interview.challenges.kept import from_kept
from ib_kernel.text import cut
from ib_kernel.values import KeptChallenge

MOST_FILES = 25
"""Files of a challenge at most."""

MOST_CHARS = 3_000_000
"""Characters of all files together."""

_NAME = re.compile(r"(?:(?:data|tests)/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def received(value: Mapping[str, Any]) -> Challenge:
    """Return the candidate's part of a challenge that a host has sent.

    Args:
        value: The host's answer: name, title, version, text, files.
    """
    name, title, text = (cut(str(value.get(key, "")), 500_000) for key in ("name", "title", "text"))
    files = value.get("files")
    kept = KeptChallenge("", cut(name, 200), cut(str(value.get("version", "1")), 50), text, _files(files))
    challenge = from_kept(kept)
    if title and challenge.title == challenge.name:
        return Challenge(challenge.name, cut(title, 500), text, origin="host")
    return challenge


def _files(files: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    if not isinstance(files, Mapping):
        return found
    left = MOST_CHARS
    for name, content in list(files.items())[:MOST_FILES]:
        if isinstance(name, str) and isinstance(content, str) and _NAME.fullmatch(name) and ".." not in name:
            left -= len(content)
            if left >= 0:
                found[name] = content
    return found
