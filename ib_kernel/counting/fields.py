"""What both APIs share: the content of a message, and the fields of a body that no rule knows."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ib_kernel.counting.accumulator import TokenAccumulator
from ib_kernel.counting.content import Content
from ib_kernel.counting.images import add_image
from ib_kernel.counting.profile import rules


@functools.cache
def _known() -> frozenset[str]:
    table = rules()["request"]
    return frozenset([*table["free"], *table["counted"]])


def note_fields(request: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Note the fields of *request* that no rule knows: they may cost as much as their JSON."""
    known = _known()
    if known.issuperset(request):
        return
    for key in request.keys() - known:
        if request[key] is not None:
            total.use_unless_known(f"field {str(key)[:40]!r}", request[key])


def add_content(content: Content, total: TokenAccumulator) -> None:
    """Add the texts and images of a message's *content*, and note what it is made of."""
    total.tokens += sum(map(total.text, content.segments))
    for part in content.images:
        add_image(part, total)
    for what in content.foreign:
        total.doubt(f"{what} (counted without it)", bounded=False)
    if content.malformed:
        total.doubt("content that is neither a text nor a list of parts", slack=8)
    if content.refusal:
        total.use("refusal", slack=4)
    if content.parts > 1:
        total.use("several text parts in one message", slack=content.parts)
        total.doubt(total.profile.doubt("parts"))
