"""What changes, told to every page: which sessions have changed, so that a page asks for those.

Changes within `GATHER_S` are told together, so that a reply that is being written is a few messages a second
however fast it comes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from ib_kernel.errors import BuddyError

if TYPE_CHECKING:
    from ib_kernel.host.host import Host

GATHER_S = 0.25
"""Seconds within which changes are told together."""

ALIVE_S = 10.0
"""Seconds after which a quiet stream says that it is there, and asks again whether it may be."""

RETRY_MS = 2_000
"""Milliseconds after which a page connects again."""


async def stream(host: Host, still_allowed: Callable[[], Awaitable[object]]) -> AsyncIterator[str]:
    """Yield server-sent events: ``hello`` first, then ``changed`` and ``writing`` with session ids.

    Args:
        host: The host.
        still_allowed: Asked again every `ALIVE_S` seconds; what it raises ends the stream.
    """
    with host.watch.listening(None) as listener:
        yield f"retry: {RETRY_MS}\nevent: hello\ndata: {{}}\n\n"
        checked = time.monotonic()
        while not listener.closed:
            changes = await listener.wait(ALIVE_S)
            if time.monotonic() - checked >= ALIVE_S:
                try:
                    await still_allowed()
                except BuddyError:
                    yield event("signed_out", {})
                    return
                checked = time.monotonic()
            if not changes:
                yield ": quiet\n\n"
                continue
            await asyncio.sleep(GATHER_S)
            changes += await listener.wait(0)
            changed = {c.session_id for c in changes if c.kind != "reply"}
            writing = {c.session_id for c in changes} - changed
            if changed:
                yield event("changed", {"sessions": sorted(changed)})
            if writing:
                yield event("writing", {"sessions": sorted(writing)})


def event(name: str, value: object) -> str:
    """Return one server-sent event."""
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"
