"""The rules of `hiding`, asked of a session: who may read its levels, and from whom its name is hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.card import is_own
from ib_kernel.assessment.hiding import NameHider, has_unfolded, scores_for
from ib_kernel.assessment.rubric import Rubric, rubric_of
from ib_kernel.budget import lock
from ib_kernel.errors import Locked
from ib_kernel.values import Session

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.interview.interview import Interview


def opened_by(service: TokenService, passphrase: str) -> set[str]:
    """Return the locked sessions (ids) that a passphrase opens.

    Args:
        service: Of their ledger.
        passphrase: What was given. Where it opens none, it counts as a wrong try of each.

    Raises:
        Locked: It opens none.
    """
    locked = [s for s in service.store.sessions(limit=200) if lock.is_locked(s)]
    opened, refused = set(), None
    for session in locked:
        try:
            service.unlock(session.session_id, passphrase, "reading its levels")
        except Locked as error:
            refused = error
        else:
            opened.add(session.session_id)
    if refused is not None and not opened:
        raise refused
    return opened


def may_read(interview: Interview, session: Session, rater: str) -> bool:
    """Return True unless *session* is about another one, whose levels *rater* may not see all.

    A judge's own session has its words and levels in it: they are read by who may see what came of them.

    Args:
        interview: Whose ledger, and whose challenges.
        session: Any session.
        rater: A person's name.
    """
    about = session.meta.get("about")
    if not isinstance(about, str) or not about:
        return True
    service = interview.service
    judged = service.get_session(about)
    if has_unfolded(service.store.events(about), rater):
        return True
    rubric = rubric_of(service, judged, interview.whole_challenge(judged))
    return not is_hidden(service.store, judged, rubric, rater)


def hider_of(session: Session, label: str = "the candidate") -> NameHider:
    """Return what replaces the names of a session's candidate.

    Args:
        session: The session.
        label: What stands instead.
    """
    return NameHider([session.candidate, session.external_id], label)


def is_hidden(store: Any, session: Session, rubric: Rubric, rater: str) -> bool:
    """Return True if *rater* has not rated every criterion, so that a blind view still hides the name.

    Args:
        store: The ledger.
        session: The session.
        rubric: What it is rated by.
        rater: Who looks.
    """
    own = {s.criterion for s in scores_for(store, session.session_id, rater) if is_own(s, rater)}
    return not rubric.criteria or any(c.name not in own for c in rubric.criteria)
