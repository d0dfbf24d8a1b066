"""What the tools of a request are: function tools in one shape, and everything that is not countable."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ib_kernel.counting import typescript
from ib_kernel.counting.accumulator import TokenAccumulator
from ib_kernel.counting.content import as_text
from ib_kernel.counting.schema_comments import comment

_KEPT_CHARS = 50_000  # JSON of tools that are written once for all turns; 32 of them at most


@dataclass
class Tools:
    """The function tools of a request, each with name, description and parameters, and its tool choice.

    `foreign` names the kinds of tools that are not functions; `forced` the function that must be called;
    `odd` why the choice cannot be counted exactly, or ""; `legacy` whether some came as ``functions``;
    `early` whether the model sees them as in 2023.
    """

    functions: list[Mapping[str, Any]] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    forced: str = ""
    choice: str = ""
    odd: str = ""
    legacy: bool = False
    early: bool = False

    @functools.cached_property
    def namespace(self) -> typescript.Namespace:
        """The functions as TypeScript."""
        try:
            written = json.dumps(self.functions)
        except (TypeError, ValueError, RecursionError):  # no JSON: it cannot be sent, but is bounded
            written = ""
        if not 0 < len(written) <= _KEPT_CHARS:
            return typescript.Namespace(self.functions, early=self.early)
        return _namespace(written, self.early)

    @property
    def text(self) -> str:
        """The namespace under its ``## functions`` heading."""
        return self.namespace.text

    @property
    def first_is_undescribed(self) -> bool:
        """Whether the first tool has no, or a blank, description."""
        return not comment(self.functions[0].get("description"))


@functools.lru_cache(maxsize=32)
def _namespace(written: str, early: bool) -> typescript.Namespace:
    """Return tools as TypeScript, once for the many turns that send the same ones. Not to be changed."""
    return typescript.Namespace(json.loads(written), early=early)


def read_tools(request: Mapping[str, Any], *, early: bool = False) -> Tools:
    """Read ``tools``, legacy ``functions`` and the tool choice, in Chat Completions or Responses shape."""
    found = Tools(early=early)
    for tool in _list(request.get("tools")):
        kind = tool.get("type", "function") if isinstance(tool, Mapping) else "?"
        if kind == "function":
            inner = tool.get("function")
            found.functions.append(inner if isinstance(inner, Mapping) else tool)
        else:
            found.foreign.append(str(kind)[:40])
    legacy = [tool for tool in _list(request.get("functions")) if isinstance(tool, Mapping)]
    found.functions += legacy
    found.legacy = bool(legacy)
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


def note_tools(tools: Tools, total: TokenAccumulator) -> None:
    """Note the constructs of *tools*, and what forbids an exact count of them."""
    for kind in tools.foreign:
        total.doubt(f"a tool of type {kind!r} (counted without it)", bounded=False)
    if not tools.functions:
        return
    total.doubt(total.profile.doubt("tools"), slack=8)
    total.doubt(tools.odd, slack=16)
    total.use("tools")
    if tools.legacy:
        total.use("legacy functions")
    if tools.first_is_undescribed:
        total.use("first of the tools without a description", slack=1)
    if tools.forced:
        total.use("forced choice of a tool", slack=8)
    elif tools.choice in ("none", "required") and not tools.early:
        total.use(f"tool_choice {tools.choice}{_of_one_tool(tools, total)}", slack=2)
    space = tools.namespace
    for construct in space.uses:
        total.use(construct, slack=4)
    for construct, text in space.unknown.items():
        total.use_unless_known(construct, text)
    if space.cut:
        total.doubt("a tool schema that is nested too deep or refers to nothing", bounded=False)


def _of_one_tool(tools: Tools, total: TokenAccumulator) -> str:
    """Return what names a required choice of the only tool by what it costs; "" for any other choice.

    Nothing on later models; 2 tokens in 7 of 7 requests of the first generation and in 1 of 4 on
    gpt-3.5-turbo; in Responses a chat model reads the tool's name, as if it were forced (2 of 2).
    """
    if tools.choice != "required" or len(tools.functions) != 1:
        return ""
    if total.profile.encoding == "cl100k_base":
        return " of one tool on an older model"
    by_name = total.api == "responses" and not total.profile.reasoning
    return " of one tool, by its name" if by_name else " of one tool"


def canonical(arguments: Any) -> str:
    """Return call arguments as the model sees them: compact JSON, or the raw text if it does not parse."""
    parsed = parse_arguments(arguments)
    return as_text(arguments) if parsed is None else compact(parsed)


def note_arguments(arguments: Any, written: str, total: TokenAccumulator, about: str = "tool call") -> None:
    """Note how the *arguments* of a call (*about*) were given, beside how they are *written*."""
    if not written.startswith("{"):
        total.use(f"{about} whose arguments are no JSON object", slack=16)
    elif written != arguments:
        total.use(f"{about} whose arguments are not compact JSON", slack=4)


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
