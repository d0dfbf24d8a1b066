"""Whether a session may take a turn: the notice was shown, and its clock runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_kernel.budget.access import acting_as
from ib_kernel.errors import SessionInactive
from ib_kernel.host.answers import Refused
from ib_kernel.host.notice import notice_of, was_shown
from ib_kernel.values import Status

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import Session

MOST_KNOWN = 10_000
"""Sessions of which is remembered that their candidate has seen the notice."""


def require_ready(host: Host, session: Session) -> None:
    """Begin a session that has not begun.

    Raises:
        Refused: Its candidate has not seen the notice.
    """
    if not _has_seen_notice(host, session.session_id):
        raise Refused(428, "notice", f"first read what is recorded: {notice_of(host.settings, session).text}")
    if session.status is Status.CREATED:
        try:
            with acting_as(session.candidate):
                host.service.start(session.session_id)
        except SessionInactive:  # another request has begun it
            return


def _has_seen_notice(host: Host, session_id: str) -> bool:
    """Return True if the session's candidate has; what was seen once stays so, and is looked up once."""
    known = host.noticed
    if session_id in known:
        return True
    if not was_shown(host.store, session_id):
        return False
    if len(known) >= MOST_KNOWN:
        known.clear()
    known.add(session_id)
    return True
