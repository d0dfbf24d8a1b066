"""One session to be played back: its timeline, with words and code, as the page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ib_kernel.evidence.replay import about, replay_rows
from ib_kernel.evidence.timeline import timeline
from ib_kernel.host.openapi import COUNT, FLAG, NUMBER, TEXT, fields
from ib_kernel.show.classes import with_classes
from ib_kernel.show.render import to_html

if TYPE_CHECKING:
    from ib_kernel.host.host import Host

REPLAYED = fields(
    {
        "kind": TEXT,
        "mark": TEXT,
        "at": NUMBER,
        "ok": FLAG,
        "name": TEXT,
        "text": TEXT,
        "html": TEXT,
        "note": TEXT,
        "left": COUNT,
        "budget": COUNT,
    }
)


def replay(host: Host, session_id: str) -> dict[str, Any]:
    """Return what happened in a session, for its interviewers.

    Args:
        host: The host.
        session_id: The session. `UnknownSession`.
    """
    session = host.service.get_session(session_id)
    rows = replay_rows(
        timeline(host.service, session), session, lambda text: str(with_classes(to_html(text)))
    )
    return {"about": about(session, len(rows)), "moments": rows}
