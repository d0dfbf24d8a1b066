"""What goes along with a question: the last error, cells, outputs, variables of the candidate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ib_kernel.errors import ConfigError

AttachedKind = Literal["error", "cell", "output", "variable"]
"""What can be attached."""

MOST_CHARS = 4_000
"""Characters of one attachment that are sent; what is longer loses its middle."""

MOST = 8
"""Attachments of one question at most."""

_TICKS = re.compile(r"`{3,}")
_LANGUAGE = {"error": "text", "cell": "python", "output": "text", "variable": "text"}


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment: what it is, what it is called on screen, its text, and how long it was before.

    `chars` is the length in characters before it was trimmed; 0 when nothing was.
    """

    kind: AttachedKind
    label: str
    text: str
    chars: int = 0


@dataclass(frozen=True, slots=True)
class Attached:
    """What was attached to a turn, as its footer and its event tell: label, tokens, characters."""

    kind: AttachedKind
    label: str
    tokens: int
    chars: int


def trimmed(text: str, limit: int = MOST_CHARS) -> tuple[str, int]:
    """Return *text* with its middle cut out where it is too long, and its length before (0: it was whole).

    Args:
        text: Any text.
        limit: Characters that are kept, about two thirds of them from its beginning.
    """
    if len(text) <= limit:
        return text, 0
    head = limit * 2 // 3
    gone = len(text) - limit
    return f"{text[:head]}\n… {gone:,} characters left out …\n{text[-(limit - head) :]}", len(text)


def with_attachments(text: str, attachments: Sequence[Attachment]) -> str:
    """Return the question as it is sent: the text, then each attachment fenced and labelled as material.

    Args:
        text: What the person wrote.
        attachments: What goes along.
    """
    if not attachments:
        return text
    parts = [text.rstrip("\n")] if text.strip() else []
    return "\n\n".join([*parts, *(fenced(attachment) for attachment in attachments)])


def fenced(attachment: Attachment) -> str:
    """Return one attachment as it is sent, in a fence that nothing in its text can end.

    Args:
        attachment: The attachment.
    """
    longest = max((len(ticks) for ticks in _TICKS.findall(attachment.text)), default=2)
    fence = "`" * max(3, longest + 1)
    label = " ".join(attachment.label.replace("`", "'").split())[:200]
    head = f"[The candidate's material, attached: {label}]"
    return f"{head}\n{fence}{_LANGUAGE[attachment.kind]}\n{attachment.text}\n{fence}"


def read_attachments(value: Any) -> tuple[Attachment, ...]:
    """Return attachments that somebody has sent as JSON, trimmed once more.

    Args:
        value: A list of objects with `kind`, `label`, `text` and `chars`; None: none.

    Raises:
        ConfigError: It is something else, or too many.
    """
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST:
        raise ConfigError(f"attachments: give a list of at most {MOST} objects")
    return tuple(_read(item) for item in value)


def _read(item: Any) -> Attachment:
    if not isinstance(item, Mapping):
        raise ConfigError("attachments: each is an object with kind, label and text")
    kinds: Mapping[str, AttachedKind] = {kind: kind for kind in get_args(AttachedKind)}
    kind = kinds.get(str(item.get("kind")))
    label, text, chars = item.get("label"), item.get("text"), item.get("chars", 0)
    if kind is None or not isinstance(label, str) or not isinstance(text, str):
        raise ConfigError(f"attachments: kind is one of {', '.join(kinds)}, label and text are texts")
    if isinstance(chars, bool) or not isinstance(chars, int) or not 0 <= chars < 2**53:
        raise ConfigError("attachments: chars is a whole number")
    short, before = trimmed(text)
    return Attachment(kind, label[:200], short, max(chars, before))
