"""Candidates on one challenge, side by side: under equal conditions, and with what differs by name.

There is no sum over criteria, no rank and no order but that of the interviews.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.compared import Compared, Comparison, Group, Viewer
from ib_kernel.assessment.compared_session import Reading, as_row
from ib_kernel.assessment.conditions import differences, key, lines
from ib_kernel.budget import lock
from ib_kernel.budget.access import actor
from ib_kernel.errors import ConfigError, NotHere, did_you_mean
from ib_kernel.text import one_line
from ib_kernel.values import Score, Session

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview

__all__ = ["MOST_SESSIONS", "PERCENTILES_FROM", "Viewer", "all_scores", "compare", "compared_challenges"]

PERCENTILES_FROM = 8
"""Sessions under equal conditions from which on percentiles are given; over fewer they would say too much."""

MOST_SESSIONS = 500
"""Sessions of one comparison, the newest ones."""


def compared_challenges(store: Any) -> dict[str, int]:
    """Return the challenges of all sessions that a comparison would have, with how many of each.

    Args:
        store: The ledger.
    """
    found: dict[str, int] = {}
    for session in store.sessions():
        if session.challenge and _counts(session):
            found[session.challenge] = found.get(session.challenge, 0) + 1
    return dict(sorted(found.items()))


def compare(interview: Interview, challenge: str, viewer: Viewer | None = None) -> Comparison:
    """Return the sessions on one challenge, grouped by equal conditions.

    Practice, sessions that have not begun and a judge's own are left out.

    Args:
        interview: Whose ledger, and whose challenges.
        challenge: The challenge's name.
        viewer: Who looks; None: the system's user, as a coordinator.

    Raises:
        ConfigError: No session had that challenge; the line names those that there are.
        NotHere: The ledger is a host's, and this is a candidate's notebook.
    """
    viewer = viewer or Viewer(coordinator=True)
    store: Any = interview.service.store
    if not hasattr(store, "add_score"):
        raise NotHere("comparisons are the interviewer's, at the host")
    viewer = replace(viewer, name=viewer.name or actor())
    wanted = challenge.strip().casefold()
    every = [s for s in store.sessions() if s.challenge.casefold() == wanted]
    if not every:
        raise ConfigError(_nothing(challenge, compared_challenges(store)))
    begun = [s for s in every if _counts(s)]
    sessions = sorted(begun, key=lambda s: (s.started_at or 0.0, s.session_id))[-MOST_SESSIONS:]
    read = [Reading(interview, session, viewer) for session in sessions]
    criteria: dict[str, str] = {}
    for one in read:
        criteria |= {c.name: c.title for c in one.rubric.criteria if c.name not in criteria}
    return Comparison(
        every[0].challenge,
        next((one.title for one in reversed(read) if one.title), every[0].challenge),
        list(criteria.items()),
        _groups(read, list(criteria)),
        viewer.name,
        viewer.blind,
        left_out=len(every) - len(sessions),
    )


def all_scores(interview: Interview, challenge: str = "") -> list[Score]:
    """Return every score of the sessions that a comparison has, for figures about raters.

    Args:
        interview: Whose ledger.
        challenge: Of sessions on this challenge only; "": of all.

    Raises:
        ConfigError: No session had that challenge.
        NotHere: The ledger is a host's, and this is a candidate's notebook.
    """
    store: Any = interview.service.store
    if not hasattr(store, "add_score"):
        raise NotHere("figures about raters are the interviewer's, at the host")
    wanted = challenge.strip().casefold()
    found = [s for s in store.sessions() if _counts(s) and (not wanted or s.challenge.casefold() == wanted)]
    if wanted and not found:
        raise ConfigError(_nothing(challenge, compared_challenges(store)))
    ids = [session.session_id for session in found if not lock.is_locked(session)]
    return [score for session_id in ids for score in store.scores(session_id)]


def _groups(read: Sequence[Reading], criteria: Sequence[str]) -> list[Group]:
    sets: dict[tuple[Any, ...], list[int]] = {}
    for at, one in enumerate(read):
        sets.setdefault(key(one.conditions), []).append(at)
    largest_first = sorted(sets.values(), key=lambda places: (-len(places), places[0]))
    found: list[Group] = []
    for number, places in enumerate(largest_first):
        members = [read[at] for at in places]
        base = read[largest_first[0][0]].conditions
        longest = max(one.active_s() for one in members)
        rows = [as_row(read[at], at + 1, criteria, longest) for at in places]
        conditions = members[0].conditions
        found.append(
            Group(_letters(number), lines(conditions), differences(conditions, base), _with_percentiles(rows))
        )
    return found


def _with_percentiles(rows: Sequence[Compared]) -> list[Compared]:
    if len(rows) < PERCENTILES_FROM:
        return list(rows)
    found = []
    for row in rows:
        shares = {}
        for name in ("minutes", "charged_tokens"):
            values = [getattr(other, name) for other in rows]
            mine = getattr(row, name)
            below = sum(value < mine for value in values) + sum(value == mine for value in values) / 2
            shares[name] = round(100 * below / len(values))
        found.append(replace(row, percentiles=shares))
    return found


def _counts(session: Session) -> bool:
    """Return True if a comparison has *session*: it has begun, and is neither practice nor about another."""
    if session.started_at is None:
        return False
    return not session.meta.get("practice") and not session.meta.get("about")


def _nothing(typed: str, known: Mapping[str, int]) -> str:
    if not known:
        return "there is nothing to compare: no session had a challenge, or only practice"
    hint = did_you_mean(typed.strip(), known)
    counted = ", ".join(f"{name} ({count})" for name, count in known.items())
    return f"no session had the challenge {one_line(typed)!r}{hint}; there are: {counted}"


def _letters(number: int) -> str:
    """Return A to Z, then AA, AB and so on."""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(65 + rest) + name
    return name
