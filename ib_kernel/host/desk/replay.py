"""One session to be played back: its timeline, with words and code, as the page shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ib_kernel.evidence.replay import about, as_markdown, replay_rows
from ib_kernel.evidence.timeline import timeline
from ib_kernel.host.desk.detail import name_hider
from ib_kernel.host.desk.reading import readable_session
from ib_kernel.host.desk.times import factor_for
from ib_kernel.host.openapi import COUNT, FLAG, NUMBER, TEXT, fields
from ib_kernel.show.classes import with_classes
from ib_kernel.show.render import to_html

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import Person

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


TELL_TIME = ("time_limit:", "warned:")
"""How moments begin that say the session's own minutes."""


def replay(
    host: Host, session_id: str, person: Person, blind: bool = False, *, markdown: bool = False
) -> dict[str, Any]:
    """Return what happened in a session, as *person* reads it.

    Args:
        host: The host.
        session_id: The session. `UnknownSession`.
        person: Who asks: times are theirs to read.
        blind: Whether names are replaced until this person has rated every criterion.
        markdown: Whether words are sent as they were written, for a notebook that makes HTML of its own.
    """
    session = readable_session(host, session_id, person)
    factor, hider = factor_for(person, session), name_hider(host, session, person) if blind else None
    moments = timeline(host.service, session)
    if person.role != "coordinator":
        moments = [
            replace(m, text=m.text.partition(":")[0]) if m.text.startswith(TELL_TIME) else m for m in moments
        ]
    if hider is not None:
        moments = [replace(m, text=hider.hide(m.text)) for m in moments]
        session = replace(session, candidate=hider.label.capitalize())
    html = as_markdown if markdown else lambda text: str(with_classes(to_html(text)))
    rows = replay_rows(moments, session, html)
    for row in rows:
        row["at"] = round(row["at"] / factor, 1)
    return {"about": about(session, len(rows)), "moments": rows}
