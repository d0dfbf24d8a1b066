"""Which sessions a person on the interviewers' side may open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_kernel.assessment.sight import may_read
from ib_kernel.host.answers import Refused

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import Person, Session


def readable_session(host: Host, session_id: str, person: Person | str) -> Session:
    """Return a session whose words *person* may read.

    Raises:
        UnknownSession: There is no such session.
        Refused: It is a judge's own, and this person has yet to rate what it is about.
    """
    session = host.service.get_session(session_id)
    name = person if isinstance(person, str) else person.name
    if not may_read(host.engine, session, name):
        raise Refused(
            403,
            "judge",
            "this is a judge's own session; rate every criterion of the interview that it is about first",
        )
    return session
