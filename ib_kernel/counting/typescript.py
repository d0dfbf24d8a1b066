"""How function tools reach the model: as a TypeScript namespace, rebuilt character by character.

Rules measured on recorded tool requests, 2024-02 to 2026-08 (about 300 chat requests, 293 of 305 without
``anyOf`` exact). Everything is written without indentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

MAX_DEPTH = 8
"""Objects nested deeper than this are written as ``any``."""
MAX_REFS = 5
"""``$ref`` chains longer than this are written as ``any``."""

_FLOAT_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_OTHER_LIMITS = ("minLength", "maxLength", "minItems", "maxItems", "pattern", "format")
_WORDS = {"string": "string", "boolean": "boolean", "null": "null", "number": "number", "integer": "number"}
HEAD = "# Tools\n\n"


MAX_TYPES = 5_000
"""Types written per tool: a schema that refers to itself several times would grow without end."""


class Namespace:
    """The `text` of *tools*, each a mapping with ``name``, ``description`` and ``parameters``.

    `cut` says whether a schema went on beyond `MAX_DEPTH`, `MAX_REFS` or `MAX_TYPES`, or a reference led
    nowhere.
    """

    def __init__(self, tools: Sequence[Mapping[str, Any]]) -> None:
        rendered = [_Tool(tool) for tool in tools]
        body = "".join(tool.render() for tool in rendered)
        self.text = "## functions\n\nnamespace functions {\n\n" + body + "} // namespace functions"
        self.cut = any(tool.cut for tool in rendered)


def comment(text: Any) -> str:
    """Return *text* as comment lines: stripped, each line stripped, inner blank lines kept; "" for none."""
    if not isinstance(text, str) or not text.strip():
        return ""
    lines = (line.strip() for line in text.strip().split("\n"))
    return "".join(f"// {line}\n" if line else "//\n" for line in lines)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=repr)


def _heading(schema: Mapping[str, Any]) -> str:
    title, description = comment(schema.get("title")), comment(schema.get("description"))
    return title + ("//\n" if title and description else "") + description


def _trailer(schema: Mapping[str, Any]) -> str:
    items = []
    if "default" in schema:
        value = schema["default"]
        bare = isinstance(value, str) and "enum" in schema
        items.append(f"default: {value if bare else _json(value)}")
    for key in _FLOAT_LIMITS:
        value = schema.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            items.append(f"{key}: {float(value)}")
    items += [f"{key}: {schema[key]}" for key in _OTHER_LIMITS if schema.get(key) is not None]
    return " // " + ", ".join(items) if items else ""


class _Tool:
    """Renders one tool; `root` is its parameters schema, against which ``$ref`` is resolved."""

    def __init__(self, tool: Mapping[str, Any]) -> None:
        self.name = str(tool.get("name", ""))
        self.description = tool.get("description")
        parameters = tool.get("parameters")
        self.root: Mapping[str, Any] = parameters if isinstance(parameters, Mapping) else {}
        self.types = 0
        self.cut = False

    def render(self) -> str:
        """Return the tool's declaration, its comment in front."""
        heading = _heading(self.root)
        head = f"{comment(self.description)}type {self.name} = "
        if not self._rows_of(self.root) and not heading:
            return head + "() => any;\n\n"
        return f"{head}(_: {heading}{self._object(self.root, 0)[0]}) => any;\n\n"

    def _rows_of(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        rows = schema.get("properties")
        return rows if isinstance(rows, Mapping) else {}

    def _object(self, schema: Mapping[str, Any], depth: int) -> tuple[str, bool]:
        """Return the object type and whether it is in block form."""
        required = schema.get("required")
        required = required if isinstance(required, list | tuple) else ()
        rows = []
        for key, given in self._rows_of(schema).items():
            value = self._resolve(given)
            mark = "" if key in required else "?"
            rows.append(self._row(f"{key}{mark}", value, depth))
        if not rows:
            return "{}", False
        if any(before or after for before, _, after in rows):
            return "{\n" + "".join(f"{a}{b},{c}\n" for a, b, c in rows) + "}", True
        return "{ " + ", ".join(row for _, row, _ in rows) + " }", False

    def _row(self, key: str, schema: Any, depth: int) -> tuple[str, str, str]:
        """Return a property's comments, its ``key: type``, and what follows the comma."""
        if not isinstance(schema, Mapping):
            return "", f"{key}: any", ""
        before, after = _heading(schema), _trailer(schema)
        examples = schema.get("examples")
        if isinstance(examples, list | tuple) and examples:
            before += "// Examples:\n" + "".join(f"// - {_json(value)}\n" for value in examples)
        kinds = schema.get("type")
        if depth >= 1 and isinstance(kinds, list | tuple) and comment(schema.get("description")):
            again = comment(schema.get("description"))
            parts = "".join(f"{again} | {self._kind(schema, kind, depth)}\n" for kind in kinds)
            return before, f"{key}:\n{parts}", after
        return before, f"{key}: {self._type(schema, depth)}", after

    def _resolve(self, schema: Any) -> Any:
        for _ in range(MAX_REFS):
            if not isinstance(schema, Mapping) or not isinstance(schema.get("$ref"), str):
                return schema
            target = self._target(schema["$ref"])
            if not isinstance(target, Mapping):
                return target
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        self.cut = True
        return {}

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            self.cut = True
            return {}
        found: Any = self.root
        for step in reference[2:].split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or step not in found:
                self.cut = True
                return {}
            found = found[step]
        return found

    def _type(self, given: Any, depth: int) -> str:
        schema = self._resolve(given)
        if not isinstance(schema, Mapping):
            return "any"
        self.types += 1
        if depth > MAX_DEPTH or self.types > MAX_TYPES:
            self.cut = True
            return "any"
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list | tuple) and schema[key]:
                return " | ".join(self._type(option, depth + 1) for option in schema[key])
        kind = schema.get("type")
        if isinstance(kind, list | tuple):
            return " | ".join(self._kind(schema, one, depth) for one in kind)
        if isinstance(schema.get("enum"), list | tuple) and kind != "array":
            return " | ".join(_json(value) for value in schema["enum"])
        if "const" in schema:
            return _json(schema["const"])
        return self._kind(schema, kind, depth)

    def _kind(self, schema: Mapping[str, Any], kind: Any, depth: int) -> str:
        """Return the type for one ``type`` word of *schema*."""
        if kind == "object":
            return self._object(schema, depth + 1)[0] if self._rows_of(schema) else "object"
        if kind == "array":
            return self._array(schema.get("items"), depth)
        return _WORDS.get(kind, "any") if isinstance(kind, str) else "any"

    def _array(self, given: Any, depth: int) -> str:
        items = self._resolve(given)
        if isinstance(items, Mapping) and items.get("type") == "object" and self._rows_of(items):
            self.types += 1
            if depth >= MAX_DEPTH or self.types > MAX_TYPES:
                self.cut = True
                return "any[]"
            text, block = self._object(items, depth + 1)
            return f"Array<\n{_heading(items)}{text}\n>" if block else f"{text}[]"
        return f"{self._type(items, depth + 1)}[]"
