"""The last resort: a bound from bytes, for what no rule or encoder can handle."""

from __future__ import annotations

from typing import Any

from ib_kernel.counting.accumulator import utf8_length
from ib_kernel.values import Count

_PER_NODE = 16  # more than any framing rule adds per message, part or tool


def rough_count(value: Any, reason: str = "cannot be encoded") -> Count:
    """Return a count of *value* (a text or a request) from its bytes alone; `upper` is None if circular.

    A byte-level encoding never has more tokens than bytes; every dict, list and scalar adds room for framing.
    """
    total = 0
    nodes = 0
    open_ids: set[int] = set()
    stack: list[tuple[Any, bool]] = [(value, True)]
    while stack:
        item, entering = stack.pop()
        if not entering:
            open_ids.discard(id(item))
            continue
        nodes += 1
        if isinstance(item, str):
            total += utf8_length(item)
        elif isinstance(item, dict | list | tuple):
            if id(item) in open_ids:
                return Count(total // 4, exact=False, upper=None, reason="the request contains itself")
            open_ids.add(id(item))
            stack.append((item, False))
            children = [*item, *item.values()] if isinstance(item, dict) else item
            stack.extend((child, True) for child in children)
        else:
            total += len(repr(item)) if isinstance(item, int | float | bytes) or item is None else 64
    upper = total if isinstance(value, str) else total + _PER_NODE * nodes
    return Count(max(1, total // 4) if total else 0, exact=False, upper=upper, reason=reason)
