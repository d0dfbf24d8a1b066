"""How a property of a tool is written, and which constructs it is noted as."""

from __future__ import annotations

from typing import Any

import pytest

from ib_kernel.counting import typescript
from ib_kernel.counting.references import MAX_REFS
from ib_kernel.counting.typescript import MAX_DEPTH, Namespace

TEXT = {"type": "string"}
NONE = {"type": "null"}
ONE = {"type": "object", "properties": {"x": TEXT}, "required": ["x"]}
OR_NONE = {"anyOf": [TEXT, NONE]}
LIST = {"type": "array", "items": TEXT}
DEFS = {
    "told": {**TEXT, "description": "D."},
    "a/b": TEXT,
    "c~d": {"type": "integer"},
    "list": LIST,
    "deep": {"inner": TEXT},
}


def written(schema: Any) -> Namespace:
    """Return a tool with one property, which is required."""
    parameters = {"type": "object", "properties": {"a": schema}, "required": ["a"], "$defs": DEFS}
    return Namespace([{"name": "f", "description": "F.", "parameters": parameters}])


@pytest.mark.parametrize(
    ("schema", "text", "uses"),
    [
        (TEXT, "a: string", {"type string"}),
        ({"type": "integer"}, "a: number", {"type integer"}),
        ({"type": "number"}, "a: number", {"type number"}),
        ({"type": "boolean"}, "a: boolean", {"type boolean"}),
        (NONE, "a: null", {"type null"}),
        ({}, "a: any", {"property without a type"}),
        (3, "a: any", {"property without a type"}),
        ({"type": "mood"}, "a: any", {"property without a type"}),
        ({"allOf": [TEXT]}, "a: any", {"property without a type", "allOf"}),
        ({**TEXT, "title": " A "}, "// A\na: string", {"type string", "property title"}),
        ({**TEXT, "title": " ", "description": 3}, "a: string", {"type string"}),
        ({**TEXT, "description": "A."}, "// A.\na: string", {"type string", "property description"}),
        (
            {**TEXT, "description": " A.\n\n B.\n"},
            "// A.\n//\n// B.\na: string",
            {"type string", "property description", "property description of several lines"},
        ),
        (
            {**TEXT, "description": "A.\nB."},
            "// A.\n// B.\na: string",
            {"type string", "property description", "property description of several lines"},
        ),
        (
            {**TEXT, "title": "T", "description": "A."},
            "// T\n//\n// A.\na: string",
            {"type string", "property title", "property description"},
        ),
        ({**TEXT, "enum": ["x", "é"]}, 'a: "x" | "é"', {"enum"}),
        ({"type": "integer", "enum": [1, 2]}, "a: 1 | 2", {"enum of other values than strings"}),
        ({"enum": ["x", None]}, 'a: "x" | null', {"enum of other values than strings"}),
        ({"const": "é"}, 'a: "é"', {"const"}),
        ({**TEXT, "nullable": True}, "a: string | null", {"type string", "nullable"}),
        ({**TEXT, "nullable": False}, "a: string", {"type string"}),
        (OR_NONE, "a: string | null", {"anyOf", "type string", "type null"}),
        ({"oneOf": [TEXT, NONE]}, "a: string | null", {"oneOf", "type string", "type null"}),
        ({"anyOf": [], **TEXT}, "a: string", {"type string"}),
        (
            {"anyOf": [TEXT, LIST]},
            "a: string | string[]",
            {"anyOf with an array among its alternatives", "array", "type string"},
        ),
        (
            {"oneOf": [{"$ref": "#/$defs/list"}, TEXT]},
            "a: string[] | string",
            {"oneOf with an array among its alternatives", "array", "type string", "$ref"},
        ),
        (
            {"anyOf": [{**TEXT, "title": "T", "description": "D."}, NONE, 3]},
            "a:\n// T\n//\n// D.\n | string\n | null\n | any\n",
            {"anyOf with a line for each alternative", "type string", "type null", "property without a type"},
        ),
        (
            {"anyOf": [{**TEXT, "minLength": 1, "default": "x"}, NONE]},
            'a:\n | string, // default: "x", minLength: 1\n | null\n',
            {"anyOf with a line for each alternative", "type string", "type null"},
        ),
        ({"type": ["string", "null"]}, "a: string | null", {"list of types", "type string", "type null"}),
        (
            {"type": "object", "properties": {"x": {"type": ["string", "null"], "description": "D."}}},
            "a: {\n// D.\nx?:\n// D.\n | string\n// D.\n | null\n,\n}",
            {"list of types with a line for each", "nested object", "property description"}
            | {"type string", "type null", "optional property"},
        ),
        ({"type": "object"}, "a: object", {"object without properties"}),
        (ONE, "a: { x: string }", {"nested object", "type string"}),
        ({"type": "object", "properties": {"x": TEXT, "y": TEXT}, "required": ["y"]},
         "a: { x?: string, y: string }", {"nested object", "type string", "optional property"}),
        (LIST, "a: string[]", {"array", "type string"}),
        ({"type": "array"}, "a: any[]", {"array", "array without items", "property without a type"}),
        (
            {"type": "array", "items": ONE},
            "a: { x: string }[]",
            {"array of objects", "nested object", "type string"},
        ),
        (
            {"type": "array", "items": {**ONE, "title": "T"}},
            "a: Array<\n// T\n{ x: string }\n>",
            {"array of objects", "array of several lines", "nested object", "type string"},
        ),
        (
            {"type": "array", "items": {**ONE, "properties": {"x": {**TEXT, "title": "T"}}}},
            "a: Array<\n{\n// T\nx: string,\n}\n>",
            {"array of objects", "array of several lines", "nested object", "type string"}
            | {"property title"},
        ),
        (
            {"type": "array", "items": {**TEXT, "description": "D."}},
            "a: Array<\n// D.\nstring\n>",
            {"array", "array of several lines", "type string"},
        ),
        (
            {"type": "array", "items": {**TEXT, "minLength": 2}},
            "a: string[]",
            {"array", "default or limit of an array's items", "type string"},
        ),
        (
            {"type": "array", "items": OR_NONE},
            "a: Array<string | null>",
            {"array", "array of anyOf", "anyOf", "type string", "type null"},
        ),
        ({"type": "array", "items": LIST}, "a: string[][]", {"array", "type string"}),
        ({"$ref": "#/$defs/told"}, "// D.\na: string", {"$ref", "type string", "property description"}),
        (
            {"$ref": "#/$defs/told", "description": "Own."},
            "// Own.\na: string",
            {"$ref", "type string", "property description"},
        ),
        ({"$ref": "#/$defs/a~1b"}, "a: string", {"$ref", "type string"}),
        ({"$ref": "#/$defs/c~0d"}, "a: number", {"$ref", "type integer"}),
        ({"$ref": "#/$defs/deep/inner"}, "a: string", {"$ref", "type string"}),
        (
            {**TEXT, "examples": ["é", 1]},
            '// Examples:\n// - "é"\n// - 1\na: string',
            {"type string", "examples"},
        ),
        ({**TEXT, "examples": []}, "a: string", {"type string"}),
        ({**TEXT, "additionalProperties": False}, "a: string", {"type string", "keyword that is left out"}),
        ({**TEXT, "strict": True}, "a: string", {"type string", "keyword that is left out"}),
        ({**TEXT, "$schema": "x"}, "a: string", {"type string", "keyword that is left out"}),
        ({**TEXT, "strict": None}, "a: string", {"type string"}),
        ({**TEXT, "x-a": "é"}, "a: string", {"type string", "keyword 'x-a'"}),
    ],
)  # fmt: skip
def test_a_property_is_written_and_noted_as_what_it_is(schema: Any, text: str, uses: set[str]) -> None:
    """On one line where it has no lines of its own; each construct by its name."""
    found = written(schema)
    several = "\n" in text
    row = f"{{\n{text},\n}}" if several else f"{{ {text} }}"
    assert f"type f = (_: {row}) => any;\n" in found.text
    lines = {"object of several lines"} if several else {"object on one line"}
    if several and "{ x: string }" in text:
        lines.add("object on one line")
    named = {f"tool {use}" for use in uses | lines} | {"tool with a description"}
    assert (found.uses, found.cut) == (named, False)


@pytest.mark.parametrize(
    ("schema", "text", "uses"),
    [
        ({**TEXT, "default": "é"}, 'a: string, // default: "é"', {"default"}),
        ({**TEXT, "default": None}, "a: string, // default: null", {"default"}),
        ({**TEXT, "default": {1}}, 'a: string, // default: "{1}"', {"default"}),
        ({**TEXT, "enum": ["x"], "default": "x"}, 'a: "x", // default: x', {"default"}),
        ({"enum": [1], "default": 1}, "a: 1, // default: 1", {"default"}),
        (
            {"type": "integer", "minimum": 1, "exclusiveMaximum": 5.5},
            "a: number, // minimum: 1.0, exclusiveMaximum: 5.5",
            {"minimum", "exclusiveMaximum"},
        ),
        (
            {**TEXT, "maxLength": 9, "pattern": "a", "format": "date"},
            "a: string, // maxLength: 9, pattern: a, format: date",
            {"maxLength", "pattern", "format"},
        ),
        (
            {"type": "integer", "maximum": 2**53 - 1},
            f"a: number, // maximum: {float(2**53 - 1)}",
            {"maximum", "limit of 2**53 - 1 or more"},
        ),
        (
            {"type": "integer", "minimum": -(2**53)},
            f"a: number, // minimum: {-float(2**53)}",
            {"minimum", "limit of 2**53 - 1 or more"},
        ),
        ({"type": "integer", "maximum": 2**53 - 2}, f"a: number, // maximum: {float(2**53 - 2)}",
         {"maximum"}),
        (
            {"anyOf": [ONE, NONE], "default": None},
            "a: { x: string } | null, // default: null",
            {"default", "default or limit of an object that may be null"},
        ),
        (
            {**ONE, "default": {}},
            "// default: {}\na: { x: string },",
            {"default", "default or limit of an object or a type of several lines"},
        ),
        (
            {"type": "array", "items": {**TEXT, "title": "T"}, "minItems": 1},
            "// minItems: 1\na: Array<\n// T\nstring\n>,",
            {"minItems", "default or limit of an object or a type of several lines"},
        ),
        ({"type": "object", "default": {}}, "a: object, // default: {}", {"default"}),
    ],
)  # fmt: skip
def test_defaults_and_limits_stand_behind_a_type_and_before_a_long_one(
    schema: dict[str, Any], text: str, uses: set[str]
) -> None:
    """In their order, each noted, numbers with a decimal point; they take the property a line of its own."""
    found = written(schema)
    assert f"(_: {{\n{text}\n}}) => any;" in found.text
    assert {f"tool {use}" for use in uses} <= found.uses
    about = {use for use in found.uses if "default" in use or "limit" in use or "min" in use or "max" in use}
    assert about <= {f"tool {use}" for use in uses}


def test_a_truth_value_is_no_limit() -> None:
    """Nor is None."""
    assert "{ a: number }" in written({"type": "integer", "minimum": True, "maxLength": None}).text


@pytest.mark.parametrize("reference", ["#/$defs/none", "elsewhere.json", "#/$defs/told/type/x", "$defs/told"])
def test_a_reference_to_nothing_is_any(reference: str) -> None:
    """And forbids a claim."""
    found = written({"$ref": reference})
    assert found.cut
    assert "{ a: any }" in found.text


def nested(levels: int, inner: dict[str, Any]) -> dict[str, Any]:
    """Return *inner* inside objects."""
    for _ in range(levels):
        inner = {"type": "object", "properties": {"x": inner}, "required": ["x"]}
    return inner


@pytest.mark.parametrize("inner", [TEXT, {"type": "array", "items": ONE}])
def test_what_is_nested_deeper_than_the_limit_is_any(inner: dict[str, Any]) -> None:
    """The last level within it is written."""
    whole, cut = written(nested(MAX_DEPTH - 1, inner)), written(nested(MAX_DEPTH + 1, inner))
    assert (whole.cut, cut.cut) == (False, True)
    assert "any" not in whole.text.replace("=> any", "")
    assert "any" in cut.text.replace("=> any", "")


@pytest.mark.parametrize("kind", [TEXT, {"type": "array", "items": ONE}])
def test_a_tool_of_more_types_than_the_limit_is_cut(
    kind: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of as many is written whole."""
    types = 4 if kind is TEXT else 4 * 3  # a list, its objects and their property
    for most, cut in ((types, False), (types - 1, True)):
        monkeypatch.setattr(typescript, "MAX_TYPES", most)
        parameters = {"type": "object", "properties": dict.fromkeys("abcd", kind)}
        found = Namespace([{"name": "f", "parameters": parameters}])
        assert found.cut is cut
        assert ("any" in found.text.replace("=> any", "")) is cut


def test_a_chain_of_references_ends() -> None:
    """After as many as are followed."""
    for links, cut in ((MAX_REFS - 1, False), (MAX_REFS, True)):
        defs = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(links - 1)} | {f"d{links - 1}": TEXT}
        parameters = {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": defs}
        found = Namespace([{"name": "f", "parameters": parameters}])
        assert found.cut is cut
        assert ("a?: any" if cut else "a?: string") in found.text


def test_unknown_keywords_of_all_levels_are_kept_with_their_json() -> None:
    """What no rule knows may cost as much as it says."""
    found = written({**ONE, "x-a": "é", "properties": {"x": {**TEXT, "x-a": 1}}})
    assert found.unknown == {"tool keyword 'x-a'": '{"x-a": "é"}{"x-a": 1}'}
