"""``$ref`` in the schema of a tool's parameters, followed as far as they lead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MAX_REFS = 5
"""``$ref`` chains of as many links, or more, are written as ``any``."""


class References:
    """Resolves references against *root*, and notes them by *use*; `cut` says that one led nowhere."""

    def __init__(self, root: Mapping[str, Any], use: Callable[[str], None]) -> None:
        self.root = root
        self.use = use
        self.cut = False

    def resolve(self, schema: Any) -> Any:
        """Return *schema* with what it refers to in its place."""
        for _ in range(MAX_REFS):
            if not isinstance(schema, Mapping) or not isinstance(schema.get("$ref"), str):
                return schema
            self.use("tool $ref")
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
