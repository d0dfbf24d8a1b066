"""What is written beside a type: comments in front of it, default and limits behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

FLOAT_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
OTHER_LIMITS = ("minLength", "maxLength", "minItems", "maxItems", "pattern", "format")


def comment(text: Any) -> str:
    """Return *text* as comment lines: stripped, each line stripped, inner blank lines kept; "" for none."""
    if not isinstance(text, str) or not text.strip():
        return ""
    lines = (line.strip() for line in text.strip().split("\n"))
    return "".join(f"// {line}\n" if line else "//\n" for line in lines)


def as_json(value: Any) -> str:
    """Return *value* as JSON with spaces, non-ASCII kept."""
    return json.dumps(value, ensure_ascii=False, default=repr)


def heading_of(schema: Any, *, titles: bool = True) -> str:
    """Return title and description of *schema* as comment lines, the title only with *titles*."""
    if not isinstance(schema, Mapping):
        return ""
    if not titles:
        return comment(schema.get("description"))
    title, description = comment(schema.get("title")), comment(schema.get("description"))
    return title + ("//\n" if title and description else "") + description


def limits_of(schema: Any) -> list[str]:
    """Return default and limits as they are written behind a type, in their order."""
    if not isinstance(schema, Mapping):
        return []
    items = []
    if "default" in schema:
        value = schema["default"]
        bare = isinstance(value, str) and "enum" in schema
        items.append(f"default: {value if bare else as_json(value)}")
    for key in FLOAT_LIMITS:
        value = schema.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            items.append(f"{key}: {float(value)}")
    items += [f"{key}: {schema[key]}" for key in OTHER_LIMITS if schema.get(key) is not None]
    return items
