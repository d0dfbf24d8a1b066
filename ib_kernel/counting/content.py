"""Reading message content: a string, or a list of parts whose texts are joined and encoded together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TEXT_PARTS = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text"})
IMAGE_PARTS = frozenset({"image_url", "input_image"})

SYSTEM = ("system", "developer")
"""The roles of messages that instruct the model."""


@dataclass(slots=True)
class Content:
    """What a message contains: texts, image parts, how many texts there were (`parts`), what is uncountable.

    `segments` are the texts that are encoded on their own: all parts joined, but for cache breakpoints.
    """

    segments: list[str] = field(default_factory=list)
    images: list[Mapping[str, Any]] = field(default_factory=list)
    parts: int = 1
    foreign: list[str] = field(default_factory=list)
    malformed: bool = False
    refusal: bool = False

    @property
    def text(self) -> str:
        """All texts joined."""
        return "".join(self.segments)

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a text nor anything else."""
        return not (self.text or self.images or self.foreign)


def as_text(value: Any) -> str:
    """Return *value* as the text that would be sent for it: itself, or its JSON."""
    if isinstance(value, str):
        return "".join((value,))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=repr)


def read(content: Any) -> Content:
    """Read the ``content`` of a message. Never raises for JSON values."""
    if content is None:
        return Content()
    if isinstance(content, str):
        return Content([as_text(content)])
    if not isinstance(content, list | tuple):
        return Content([as_text(content)], malformed=True)
    if len(content) == 1 and type(part := content[0]) is dict and len(part) == 2:
        text = part.get("text")
        if type(text) is str and part.get("type") in ("text", "input_text", "output_text"):
            return Content([text])
    found = Content()
    texts: list[str] = []
    found.parts = 0
    for part in content:
        before = len(texts)
        _read_part(part, found, texts)
        found.parts += len(texts) - before
        # a breakpoint cuts the text before it is encoded (gpt-5.6, two of two recorded requests, 2026-07)
        if isinstance(part, Mapping) and part.get("prompt_cache_breakpoint"):
            found.segments.append("".join(texts))
            texts.clear()
    found.segments.append("".join(texts))
    return found


def _read_part(part: Any, found: Content, texts: list[str]) -> None:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(part, str):
        texts.append(part)
        found.malformed = True
    elif kind in TEXT_PARTS and isinstance(part.get("text"), str):
        texts.append(as_text(part["text"]))
    elif kind == "refusal" and isinstance(part.get("refusal"), str):
        texts.append(as_text(part["refusal"]))
        found.refusal = True
    elif kind in IMAGE_PARTS:
        found.images.append(part)
    elif isinstance(kind, str) and ("audio" in kind or "file" in kind):
        found.foreign.append("audio" if "audio" in kind else "a file")
    else:
        found.foreign.append(f"a content part of type {str(kind)[:40]!r}")


def role_of(message: Any) -> Any:
    """Return a message's role; None for what is no message."""
    return message.get("role") if isinstance(message, Mapping) else None


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message's content, its parts joined."""
    return read(message.get("content")).text
