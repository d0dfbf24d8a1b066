"""What the tools of a request are: function tools in one shape, and everything that is not countable."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ib_kernel.counting import typescript
from ib_kernel.counting.accumulator import TokenAccumulator
from ib_kernel.counting.content import as_text

_UNIONS = ("anyOf", "oneOf", "allOf")


@dataclass
class Tools:
    """The function tools of a request, each with name, description and parameters, and its tool choice.

    `foreign` names the kinds of tools that are not functions; `forced` the function that must be called;
    `odd` why the choice cannot be counted exactly, or "".
    """

    functions: list[Mapping[str, Any]] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    forced: str = ""
    choice: str = ""
    odd: str = ""

    @functools.cached_property
    def namespace(self) -> typescript.Namespace:
        """The functions as TypeScript."""
        return typescript.Namespace(self.functions)

    @property
    def text(self) -> str:
        """The namespace under its ``## functions`` heading."""
        return self.namespace.text

    @property
    def first_is_undescribed(self) -> bool:
        """Whether the first tool has no, or a blank, description."""
        return not typescript.comment(self.functions[0].get("description"))


def read_tools(request: Mapping[str, Any]) -> Tools:
    """Read ``tools``, legacy ``functions`` and the tool choice, in Chat Completions or Responses shape."""
    found = Tools()
    for tool in _list(request.get("tools")):
        kind = tool.get("type", "function") if isinstance(tool, Mapping) else "?"
        if kind == "function":
            inner = tool.get("function")
            found.functions.append(inner if isinstance(inner, Mapping) else tool)
        else:
            found.foreign.append(str(kind)[:40])
    found.functions += [tool for tool in _list(request.get("functions")) if isinstance(tool, Mapping)]
    for key in ("tool_choice", "function_call"):
        _read_choice(request.get(key), found)
    return found


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _read_choice(choice: Any, found: Tools) -> None:
    if isinstance(choice, str):
        found.choice = choice
    elif isinstance(choice, Mapping):
        inner = choice.get("function")
        name = (inner if isinstance(inner, Mapping) else choice).get("name")
        if isinstance(name, str) and choice.get("type", "function") == "function":
            found.forced = name
        else:
            found.odd = f"a tool choice of type {str(choice.get('type'))[:40]!r}"


def doubt_tools(tools: Tools, total: TokenAccumulator) -> None:
    """Note what forbids an exact count of *tools*."""
    for kind in tools.foreign:
        total.doubt(f"a tool of type {kind!r} (counted without it)", bounded=False)
    if not tools.functions:
        return
    total.doubt(total.profile.doubt("tools"), slack=8)
    total.doubt(tools.odd, slack=16)
    schemas = list(_mappings([tool.get("parameters") for tool in tools.functions]))
    if any(key in schema for schema in schemas for key in _UNIONS):
        total.doubt("anyOf, oneOf or allOf in a tool", slack=4 * len(tools.functions))
    # measured once, one token off
    if any("default" in schema and isinstance(schema.get("properties"), Mapping) for schema in schemas):
        total.doubt("a default on an object in a tool", slack=4)
    if tools.namespace.cut:
        total.doubt("a tool schema that is nested too deep or refers to nothing", bounded=False)


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping inside *value*, each once, circular or not."""
    seen: set[int] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if id(item) in seen or not isinstance(item, Mapping | list | tuple):
            continue
        seen.add(id(item))
        if isinstance(item, Mapping):
            yield item
            stack.extend(item.values())
        else:
            stack.extend(item)


def canonical(arguments: Any) -> str:
    """Return call arguments as the model sees them: compact JSON, or the raw text if it does not parse."""
    parsed = parse_arguments(arguments)
    return as_text(arguments) if parsed is None else compact(parsed)


def parse_arguments(arguments: Any) -> Any:
    """Return the parsed arguments; None if they are not JSON."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return None


def compact(value: Any) -> str:
    """Return *value* as JSON without spaces, non-ASCII kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=repr)
