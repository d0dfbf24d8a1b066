"""How function tools reach the model: as a TypeScript namespace, rebuilt character by character.

Rules measured on recorded tool requests of 2023-06 to 2026-08. Everything is written without indentation.
Each construct that a tool uses is noted by name, so that a claim of exactness can ask for its evidence
(`ib_kernel.counting.evidence`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ib_kernel.counting.references import References
from ib_kernel.counting.schema_comments import (
    FLOAT_LIMITS,
    OTHER_LIMITS,
    as_json,
    comment,
    heading_of,
    limits_of,
)

MAX_DEPTH = 8
"""Objects nested deeper than this are written as ``any``."""
MAX_TYPES = 5_000
"""Types written per tool: a schema that refers to itself several times would grow without end."""
MAX_SAFE = 2**53 - 1
"""Limits from here on are not written as they stand (seen twice on gpt-5-nano, 23 tokens less, 2026)."""

HEAD = "# Tools\n\n"
_WORDS = {"string": "string", "boolean": "boolean", "null": "null", "number": "number", "integer": "number"}
_KNOWN = frozenset(
    {
        *("type", "properties", "required", "items", "description", "title", "default", "enum", "const"),
        *("anyOf", "oneOf", "allOf", "nullable", "examples", "$ref", "$defs", "definitions", "$schema"),
        *("additionalProperties", "strict", *FLOAT_LIMITS, *OTHER_LIMITS),
    }
)
_LEFT_OUT = ("additionalProperties", "strict", "$schema")


class Namespace:
    """Function tools as the TypeScript that the model sees.

    Args:
        tools: The tools, each a mapping with ``name``, ``description`` and ``parameters``.
        early: Whether the model is of 2023-06 or before: each property has a line, titles and what the
            parameters say of themselves are left out (gpt-4-0613, 11 of 11 recorded requests).

    Attributes:
        text: The namespace under its ``## functions`` heading.
        uses: The names of the constructs that the tools use.
        unknown: By construct, the JSON of keywords that no rule knows and that the text leaves out.
        cut: Whether a schema went on beyond `MAX_DEPTH`, `MAX_REFS` or `MAX_TYPES`, or a reference led
            nowhere.
    """

    def __init__(self, tools: Sequence[Mapping[str, Any]], *, early: bool = False) -> None:
        self.early = early
        self.uses: set[str] = set()
        self.unknown: dict[str, str] = {}
        rendered = [_Tool(tool, self) for tool in tools]
        body = "".join(tool.render() for tool in rendered)
        self.text = "## functions\n\nnamespace functions {\n\n" + body + "} // namespace functions"
        self.cut = any(tool.cut or tool.references.cut for tool in rendered)
        if early:
            self.uses = {"tools as they were written in 2023"}


class _Tool:
    """Renders one tool; `root` is its parameters schema, against which ``$ref`` is resolved."""

    def __init__(self, tool: Mapping[str, Any], space: Namespace) -> None:
        self.name = str(tool.get("name", ""))
        self.description = tool.get("description")
        parameters = tool.get("parameters")
        self.root: Mapping[str, Any] = parameters if isinstance(parameters, Mapping) else {}
        self.use = space.uses.add
        self.unknown = space.unknown
        self.types = 0
        self.early = space.early
        self.cut = False
        self.references = References(self.root, self.use)

    def render(self) -> str:
        """Return the tool's declaration, its comment in front."""
        about, heading = comment(self.description), "" if self.early else heading_of(self.root)
        self.use("tool with a description" if about else "tool without a description")
        if about.count("\n") > 1:
            self.use("tool description of several lines")
        self._note(self.root)
        head = f"{about}type {self.name} = "
        if not self._rows_of(self.root) and not heading:
            self.use("tool without parameters")
            return head + "() => any;\n\n"
        if heading:
            self.use("title or description of a tool's parameters")
        return f"{head}(_: {heading}{self._object(self.root, 0)}) => any;\n\n"

    def _note(self, schema: Mapping[str, Any]) -> None:
        """Note the keywords of *schema* that leave no trace of their own in the text."""
        for key in schema.keys() - _KNOWN:
            construct = f"tool keyword {str(key)[:40]!r}"
            self.use(construct)
            self.unknown[construct] = self.unknown.get(construct, "") + as_json({str(key): schema[key]})
        if any(schema.get(key) is not None for key in _LEFT_OUT):
            self.use("tool keyword that is left out")
        if schema.get("allOf") is not None:
            self.use("tool allOf")
        for key in FLOAT_LIMITS:
            value = schema.get(key)
            if isinstance(value, int | float) and abs(value) >= MAX_SAFE:
                self.use("tool limit of 2**53 - 1 or more")

    def _rows_of(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        rows = schema.get("properties")
        return rows if isinstance(rows, Mapping) else {}

    def _object(self, schema: Mapping[str, Any], depth: int) -> str:
        """Return the object type: in block form as soon as one row needs more than its own line."""
        required = schema.get("required")
        required = required if isinstance(required, list | tuple) else ()
        rows = []
        for key, given in self._rows_of(schema).items():
            value = self.references.resolve(given)
            if key not in required:
                self.use("tool optional property")
            rows.append(self._row(f"{key}{'' if key in required else '?'}", value, depth))
        if not rows:
            return "{}"
        if depth:
            self.use("tool nested object")
        if self.early or any(before or after or "\n" in row for before, row, after in rows):
            self.use("tool object of several lines")
            return "{\n" + "".join(f"{a}{b},{c}\n" for a, b, c in rows) + "}"
        self.use("tool object on one line")
        return "{ " + ", ".join(row for _, row, _ in rows) + " }"

    def _row(self, key: str, schema: Any, depth: int) -> tuple[str, str, str]:
        """Return a property's comments, its ``key: type``, and what follows the comma."""
        if not isinstance(schema, Mapping):
            self.use("tool property without a type")
            return "", f"{key}: any", ""
        before, limits = self._comments(schema), limits_of(schema)
        for item in limits:
            self.use(f"tool {item.partition(':')[0]}")
        if lines := self._lines(schema, depth):
            row = f"{key}:\n{lines}"
        else:
            row = f"{key}: {self._type(schema, depth)}"
        if not limits:
            return before, row, ""
        on_one_line = "\n" not in row
        if on_one_line and row.endswith("} | null"):
            self.use("tool default or limit of an object that may be null")
            return before, row, f" // {', '.join(limits)}"
        if not on_one_line or (schema.get("type") == "object" and self._rows_of(schema)):
            # behind an object or several lines there is no room: they go in front (9 of 9 recorded, 2026)
            self.use("tool default or limit of an object or a type of several lines")
            return f"{before}// {', '.join(limits)}\n", row, ""
        return before, row, f" // {', '.join(limits)}"

    def _comments(self, schema: Mapping[str, Any]) -> str:
        before = heading_of(schema, titles=not self.early)
        if comment(schema.get("title")):
            self.use("tool property title")
        if about := comment(schema.get("description")):
            self.use("tool property description")
            if about.count("\n") > 1:
                self.use("tool property description of several lines")
        examples = schema.get("examples")
        if isinstance(examples, list | tuple) and examples:
            self.use("tool examples")
            before += "// Examples:\n" + "".join(f"// - {as_json(value)}\n" for value in examples)
        return before

    def _lines(self, schema: Mapping[str, Any], depth: int) -> str:
        """Return the alternatives of a property with a line each, or "" where they stay on one line.

        ``anyOf`` takes lines when an alternative has a comment or a limit of its own; a list of types when
        the property is nested and has a description, which is then repeated.
        """
        given = schema.get("anyOf")
        options = (
            [self.references.resolve(option) for option in given] if isinstance(given, list | tuple) else []
        )
        if any(heading_of(option) or limits_of(option) for option in options):
            self.use("tool anyOf with a line for each alternative")
            lines = ""
            for option in options:
                limits = ", ".join(limits_of(option))
                after = f", // {limits}" if limits else ""
                lines += f"{heading_of(option)} | {self._type(option, depth + 1)}{after}\n"
            return lines
        kinds, again = schema.get("type"), comment(schema.get("description"))
        if depth >= 1 and isinstance(kinds, list | tuple) and again:
            self.use("tool list of types with a line for each")
            return "".join(f"{again} | {self._kind(schema, kind, depth)}\n" for kind in kinds)
        return ""

    def _type(self, given: Any, depth: int) -> str:
        schema = self.references.resolve(given)
        if not isinstance(schema, Mapping):
            self.use("tool property without a type")
            return "any"
        self.types += 1
        if depth > MAX_DEPTH or self.types > MAX_TYPES:
            self.cut = True
            return "any"
        self._note(schema)
        if schema.get("nullable") is True:
            self.use("tool nullable")
            return f"{self._bare_type(schema, depth)} | null"
        return self._bare_type(schema, depth)

    def _bare_type(self, schema: Mapping[str, Any], depth: int) -> str:
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list | tuple) and schema[key]:
                arrays = any(self._is_array(option) for option in schema[key])
                self.use(f"tool {key} with an array among its alternatives" if arrays else f"tool {key}")
                return " | ".join(self._type(option, depth + 1) for option in schema[key])
        kind = schema.get("type")
        if isinstance(kind, list | tuple):
            self.use("tool list of types")
            return " | ".join(self._kind(schema, one, depth) for one in kind)
        if isinstance(schema.get("enum"), list | tuple) and kind != "array":
            strings = all(isinstance(value, str) for value in schema["enum"])
            self.use("tool enum" if strings else "tool enum of other values than strings")
            return " | ".join(as_json(value) for value in schema["enum"])
        if "const" in schema:
            self.use("tool const")
            return as_json(schema["const"])
        return self._kind(schema, kind, depth)

    def _is_array(self, option: Any) -> bool:
        option = self.references.resolve(option)
        return isinstance(option, Mapping) and option.get("type") == "array"

    def _kind(self, schema: Mapping[str, Any], kind: Any, depth: int) -> str:
        """Return the type for one ``type`` word of *schema*."""
        if kind == "object":
            if self._rows_of(schema):
                return self._object(schema, depth + 1)
            self.use("tool object without properties")
            return "object"
        if kind == "array":
            return self._array(schema.get("items"), depth)
        word = _WORDS.get(kind) if isinstance(kind, str) else None
        self.use(f"tool type {kind}" if word else "tool property without a type")
        return word or "any"

    def _array(self, given: Any, depth: int) -> str:
        """Return an array type: ``TYPE[]``, or ``Array<…>`` where the items have comments or alternatives."""
        items, heading = self.references.resolve(given), ""
        if isinstance(items, Mapping):
            heading = heading_of(items, titles=not self.early)
            if limits_of(items):
                self.use("tool default or limit of an array's items")
        else:
            self.use("tool array without items")
        if isinstance(items, Mapping) and items.get("type") == "object" and self._rows_of(items):
            self.types += 1
            if depth >= MAX_DEPTH or self.types > MAX_TYPES:
                self.cut = True
                return "any[]"
            self._note(items)
            text = self._object(items, depth + 1)
            self.use("tool array of objects")
            lines = bool(heading) or text.startswith("{\n")
        else:
            text = self._type(items, depth + 1)
            self.use("tool array")
            lines = bool(heading)
        if lines:
            self.use("tool array of several lines")
            return f"Array<\n{heading}{text}\n>"
        if isinstance(items, Mapping) and isinstance(items.get("anyOf"), list | tuple):
            self.use("tool array of anyOf")
            return f"Array<{text}>"
        return f"{text}[]"
