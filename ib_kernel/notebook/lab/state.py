"""What the page is told about the session in use, as plain JSON: figures, the turns so far, the task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ib_kernel.notebook.output.gauge import title, warnings
from ib_kernel.notebook.output.show import to_text_html
from ib_kernel.show.figures import read_budget
from ib_kernel.show.render import to_html, without_title
from ib_kernel.show.spending import spent, tokens_per_turn
from ib_kernel.text import cut, one_line, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ib_kernel.interview.interview import Interview
    from ib_kernel.values import LedgerEvent, Session, Totals

NO_SESSION: dict[str, Any] = {"session_id": ""}
"""The state while no session is in use."""

MAX_QUESTION = 120
"""Characters of a question's first line that the list of turns shows."""


@dataclass(slots=True)
class Reader:
    """Reads the state; what only a turn changes is read again only after one."""

    _key: tuple[Any, ...] = ()
    _turns: list[dict[str, Any]] = field(default_factory=list)
    _said: dict[str, Any] = field(default_factory=dict)

    def read(self, interview: Interview) -> dict[str, Any]:
        """Return the state of the session in use, `NO_SESSION` when there is none."""
        if interview.session_id is None:
            return NO_SESSION
        view = read_budget(interview.service, interview.session_id)
        session, totals = view.session, view.totals
        self._read_texts(interview, session, totals)
        return {
            "session_id": session.session_id,
            "title": title(view),
            "status": str(session.status),
            "level": view.level,
            "budget": totals.token_budget,
            "used": totals.used,
            "held": totals.held,
            "in_doubt": totals.in_doubt,
            "left": totals.left,
            "turns": totals.turns,
            "turns_left": view.turns_left,
            "time_left_s": session.time_left_s,
            "time_limit_s": session.time_limit_s,
            "running": str(session.status) == "active",
            "cost": view.cost,
            "notes": warnings(view),
            "history": self._turns,
            **self._said,
        }

    def _read_texts(self, interview: Interview, session: Session, totals: Totals) -> None:
        """Read turns, the interviewer's last line, hints and the last check, if there are new ones."""
        store = interview.service.store
        news = getattr(interview, "news", None)  # a host tells when there is something to read
        events = store.events(session.session_id) if news is None else ()
        key = session.session_id, totals.calls, totals.used, totals.messages, len(events), news
        if key == self._key:
            return
        events = events or store.events(session.session_id)
        asked: dict[int, str] = {}
        lines: dict[str, list[str]] = {"interviewer": [], "hint": []}
        for message in store.history(session.session_id):
            if message.role == "user":
                asked.setdefault(message.turn, _first_line(message.content))
            elif message.role in lines:
                lines[message.role].append(plain(message.content).strip())
        self._turns = [
            {"turn": turn, "input": used_in, "output": used_out, "question": asked.get(turn, "")}
            for turn, used_in, used_out in tokens_per_turn(spent(interview.service, session.session_id))
            if turn > 0
        ]
        self._said = {
            "line": lines["interviewer"][-1] if lines["interviewer"] else "",
            "hints": lines["hint"] or None,
            "checks": _last_check(events),
        }
        self._key = key


def _last_check(events: Sequence[LedgerEvent]) -> dict[str, int] | None:
    """Return how many tests passed when they were run last; None when they were not."""
    for event in reversed(events):
        passed, total = event.detail.get("passed"), event.detail.get("total")
        if event.kind == "check" and isinstance(passed, int) and isinstance(total, int):
            return {"passed": passed, "of": total}
    return None


def read_task(interview: Interview) -> dict[str, Any] | None:
    """Return the candidate's part of the session's task, rendered and safe; None without one.

    *checks* says that there is code to write that tests can check, *hints* that there may be hints: a host
    does not say whether there are any.
    """
    if interview.session_id is None:
        return None
    challenge = interview.challenge(interview.session)
    if challenge is None:
        return None
    return {
        "title": one_line(challenge.title),
        "html": to_text_html(to_html(without_title(challenge.text, challenge.title))),
        "checks": bool(challenge.visible),
        "hints": _may_have_hints(interview),
    }


def _may_have_hints(interview: Interview) -> bool:
    if getattr(interview, "news", None) is not None:
        return True
    whole = interview.whole_challenge(interview.session)
    return bool(whole and whole.hints)


def _first_line(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return cut(one_line(next((line for line in lines if line), "")), MAX_QUESTION)
