"""`%budget resolve`: settle a call in doubt with known figures, or write it off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_kernel.notebook.commands.args import parse
from ib_kernel.notebook.commands.grammar import RESOLVE
from ib_kernel.notebook.commands.words import UsageError

if TYPE_CHECKING:
    from ib_kernel.notebook.engine import Engine


def resolve(engine: Engine, line: str) -> str:
    """Do what ``%budget resolve LINE`` says; return what to say. `UsageError` when it says too little."""
    from ib_kernel.budget import unresolved as resolving
    from ib_kernel.notebook.commands.passphrase import passphrase_for

    parsed = parse(RESOLVE, line)
    if parsed.help:
        return RESOLVE.usage()
    service = engine.service
    figures, off = parsed.get("settle"), parsed.get("write_off")
    doubt = resolving.find(service, parsed.positional or None, engine.interview.session.session_id)
    what = f"{doubt.tokens:,} tokens of turn {doubt.call.turn}, {doubt.reservation_id}"
    if (figures is None) == (not off):
        raise UsageError(
            f"%budget resolve needs a decision about {what}: --settle IN+OUT (such as --settle 812+240) with "
            "the service's own figures, or --write-off when it was not billed"
        )
    reason, key = parsed.get("reason", ""), passphrase_for(service, doubt.session_id)
    if figures is None:
        service.write_off(doubt.reservation_id, reason=reason, passphrase=key)
        return f"Written off: {what}. Who and when is recorded as an event."
    resolving.settle(service, doubt, *figures, reason=reason, passphrase=key)
    return f"Settled: {what}, with {figures[0]:,} in + {figures[1]:,} out. Who and when is recorded."
