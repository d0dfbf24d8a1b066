"""A challenge from the text of one file: front matter, the task, the notes.

Markdown with optional TOML front matter between two ``+++`` lines. What stands before the line
``<!-- interviewer -->`` is shown to the candidate; what follows it are the interviewer's notes, which are
given to the model only. `rubric` (front matter) lists what is assessed and is not shown either. A marker or
front matter that is almost right is taken as meant or refused with a line, never shown as the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from ib_kernel.errors import ConfigError, did_you_mean
from ib_kernel.interview.challenges import markers
from ib_kernel.interview.challenges.model import Challenge, Reveal

_KEYS = (
    "name",
    "version",
    "title",
    "roles",
    "level",
    "minutes",
    "tokens",
    "tags",
    "entry",
    "reveal",
    "rubric",
)


def parse_challenge(source: str, name: str, origin: str = "shipped") -> Challenge:
    """Build a challenge from a file's text.

    Args:
        source: The file's text, with any line ends and byte-order marks.
        name: Its name when the front matter gives none.
        origin: Where it is from, for messages: "shipped" or a path.

    Raises:
        ConfigError: One line that names *origin*, what is wrong and what to type instead.
    """
    source = source.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    meta, body = markers.split_front_matter(source, f"the challenge {origin}")
    _refuse_unknown(meta, origin)
    text, notes = markers.split(body, origin)
    if not text.strip():
        raise ConfigError(f"the challenge {origin} has no text for the candidate")
    title = _field(meta, "title", str, origin) or _first_heading(text) or name
    return Challenge(
        name=_field(meta, "name", str, origin) or name,
        title=title,
        text=text.strip(),
        roles=tuple(_strings(meta, "roles", origin)),
        level=_field(meta, "level", str, origin) or "",
        notes=notes.strip(),
        rubric=tuple(_strings(meta, "rubric", origin)),
        origin=origin,
        version=_field(meta, "version", str, origin) or "1",
        minutes=_number(meta, "minutes", origin),
        tokens=_number(meta, "tokens", origin),
        tags=tuple(_strings(meta, "tags", origin)),
        entry=_entry(meta, origin),
        reveal=_reveal(meta, origin),
    )


def _first_heading(text: str) -> str:
    first = next((line for line in text.split("\n") if line.strip()), "")
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def _field(meta: Mapping[str, Any], key: str, kind: type[str], origin: str) -> str | None:
    value = meta.get(key)
    if value is not None and not isinstance(value, kind):
        raise ConfigError(f"the challenge {origin} has a {key} that is not text")
    return value


def _strings(meta: Mapping[str, Any], key: str, origin: str) -> list[str]:
    value = meta.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"the challenge {origin} has {key} that are not a list of texts")
    return value


def _refuse_unknown(meta: Mapping[str, Any], origin: str) -> None:
    for key in meta:
        if key not in _KEYS:
            raise ConfigError(
                f"the challenge {origin} has front matter that nobody reads: {key!r}; known: "
                f"{', '.join(_KEYS)}{did_you_mean(key, _KEYS)}"
            )


def _number(meta: Mapping[str, Any], key: str, origin: str) -> int | None:
    value = meta.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 10_000_000:
        raise ConfigError(f"the challenge {origin} has {key} that are no whole number above 0")
    return value


def _entry(meta: Mapping[str, Any], origin: str) -> tuple[str, ...]:
    names = _strings(meta, "entry", origin)
    for name in names:
        if not name.isidentifier():
            raise ConfigError(f"the challenge {origin} has an entry {name!r} that is no Python name")
    return tuple(names)


def _reveal(meta: Mapping[str, Any], origin: str) -> Reveal:
    value = meta.get("reveal", "counts")
    for word in get_args(Reveal):
        if value == word:
            return word  # type: ignore[no-any-return]
    raise ConfigError(
        f"the challenge {origin} has reveal = {value!r}; it is one of {', '.join(get_args(Reveal))}"
    )
