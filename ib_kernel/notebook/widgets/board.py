"""`SessionsWidget`: the interviewer's board of all sessions in the ledger, and one of them in full.

Filtering, sorting and paging happen here, so that the front end has one page however long the ledger is. The
conversation is sent as HTML that `ib_kernel.show.render` made and sanitised; everything else
as text.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import traitlets as t
from htpy import div

from ib_kernel.budget.lock import is_locked
from ib_kernel.errors import NotConnected, UnknownSession
from ib_kernel.notebook.output.show import speaker
from ib_kernel.notebook.widgets.budget import view_traits
from ib_kernel.notebook.widgets.controls import ActionResult
from ib_kernel.notebook.widgets.host_board import HOST_POLL_S, HostBoard, Wish, host_board
from ib_kernel.notebook.widgets.modules import one_module, read
from ib_kernel.notebook.widgets.watching import Watching, find_service
from ib_kernel.show.figures import read_budget, time_line
from ib_kernel.show.render import to_html_each
from ib_kernel.show.spending import burn_down, spent, tokens_per_turn
from ib_kernel.text import plain
from ib_kernel.values import Status
from ib_kernel.values.judging import is_judges
from ib_kernel.values.table import table_html, table_text

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.interview.interview import Interview
    from ib_kernel.values import Session, Totals

PAGE = 15
"""Sessions on one page."""

MESSAGES = 30
"""Messages that are shown at first, the newest; `messages_shown` asks for more."""

SORTS = ("newest", "candidate", "status", "used", "left")
"""By what the board is sorted: newest first, by name, by state, most used first, least left first."""

_STATES = ("active", "paused", "created", "expired", "completed", "cancelled")

_SHOWN = ("query", "state", "sort", "page", "selected", "messages_shown")


class SessionsWidget(Watching):
    """All sessions of the ledger: filter, sort, select; the selected one live, with the controls.

    Args:
        controls: Whether the selected session has the interviewer's buttons.
        service: Whose ledger is shown; by default the notebook's own.
        interview: The interview whose ledger is shown, instead of the notebook's.
        host: A host's address, such as ``https://host.example`` ("": that of ``IB_HOST``), whose sessions are
            shown instead. For interviewers: ``IB_HOST_TOKEN`` says who asks.
        live: Whether it follows the ledger; otherwise it reads it on `refresh` only.

    Attributes:
        query: Words that candidate, role, level, challenge, model, client or id must contain.
        state: A `Status`, or "" for all.
        sort: One of `SORTS`.
        page: The page that is shown, from 0.
        selected: The id of the session that is shown in full, or "".
        messages_shown: How many of its messages are shown, the newest.
        rows: The sessions of the page.
        found: How many sessions match.
        total: How many there are.
    """

    _esm = one_module("board")
    _css = read("ib.css") + read("widget.css") + read("board.css")

    query = t.Unicode("").tag(sync=True)
    state = t.Unicode("").tag(sync=True)
    sort = t.Unicode("newest").tag(sync=True)
    page = t.Int(0).tag(sync=True)
    selected = t.Unicode("").tag(sync=True)
    messages_shown = t.Int(MESSAGES).tag(sync=True)
    controls = t.Bool(True).tag(sync=True)
    rows: t.List[Any] = t.List().tag(sync=True)
    pages = t.Int(1).tag(sync=True)
    found = t.Int(0).tag(sync=True)
    total = t.Int(0).tag(sync=True)
    detail = t.Dict().tag(sync=True)
    talk: t.List[Any] = t.List().tag(sync=True)
    earlier = t.Int(0).tag(sync=True)
    burn: t.List[Any] = t.List().tag(sync=True)
    note = t.Unicode("").tag(sync=True)

    def __init__(
        self,
        *,
        controls: bool = True,
        service: TokenService | None = None,
        interview: Interview | None = None,
        host: str | None = None,
        live: bool = True,
        **kwargs: Any,
    ) -> None:
        self._host = None if host is None else host_board(host)
        self._has_ledger = self._host is None
        if self._has_ledger:
            self._service, _ = find_service(service, interview)
        self._first_page = self._newest_only = False
        self._told: tuple[str, int, int] = "", -1, -1  # whose messages, how many, how many shown
        self._parts: list[list[Any]] = []
        self._spent_of: tuple[str, int, int, int] = "", -1, -1, -1
        self._lines: tuple[list[list[int]], list[list[float]]] = [], []
        super().__init__(controls=controls, **kwargs)
        for name, value in self._read().items():
            setattr(self, name, value)
        self.observe(self._chosen, names=list(_SHOWN))
        if live:
            self._follow()
            if self._host is not None:
                self._poll_s = HOST_POLL_S
                self._host.follow(self._awake.set, self._stop)

    @t.validate("sort")
    def _known_sort(self, proposal: Any) -> str:
        return proposal["value"] if proposal["value"] in SORTS else "newest"

    @t.validate("state")
    def _known_state(self, proposal: Any) -> str:
        return proposal["value"] if proposal["value"] in set(Status) else ""

    def _chosen(self, change: Any) -> None:
        """Show what the user, or the notebook's code, has asked for."""
        if self._showing == threading.get_ident():  # it is us who set it
            return
        with self._reading:
            if change["name"] in ("query", "state", "sort"):
                self._first_page = True
            if change["name"] == "selected":
                self._newest_only = True
            self.refresh()

    def _read(self) -> dict[str, Any]:
        if self._host is not None:
            return self._read_host(self._host)
        sessions = [s for s in self._service.store.sessions() if not is_judges(s)]
        totals: dict[str, Totals] = {}

        def sums(session: Session) -> Totals:
            if session.session_id not in totals:
                totals[session.session_id] = self._service.totals(session.session_id)
            return totals[session.session_id]

        matching = [s for s in sessions if _matches(s, self.query, self.state)]
        matching.sort(key=_key(self.sort, sums))
        pages = max(1, math.ceil(len(matching) / PAGE))
        page = 0 if self._first_page else min(max(self.page, 0), pages - 1)
        self._first_page = False
        shown = matching[page * PAGE : (page + 1) * PAGE]
        selected = self.selected
        if selected and all(selected != s.session_id for s in sessions):
            selected = ""
        return {
            "rows": [_row(s, sums(s)) for s in shown],
            "pages": pages,
            "page": page,
            "found": len(matching),
            "total": len(sessions),
            **({} if selected else {"selected": ""}),
            **self._one(selected),
        }

    def _read_host(self, host: HostBoard) -> dict[str, Any]:
        """Return the traits as the host has them; while it is away they stay, and the note says so."""
        first, newest = self._first_page, self._newest_only
        self._first_page = self._newest_only = False
        wish = Wish(
            self.query, self.state, self.sort, 0 if first else self.page, self.selected,
            MESSAGES if newest else max(1, self.messages_shown),
        )  # fmt: skip
        try:
            reset = {"messages_shown": MESSAGES} if newest else {}
            return {**host.read(wish, PAGE), **reset, "note": ""}
        except NotConnected as error:
            return {"note": f"{error}; trying again"}

    def _act(self, target: str, message: Mapping[str, Any]) -> ActionResult:
        if self._host is not None:
            return self._host.act(target, message)
        return super()._act(target, message)

    def close(self) -> None:
        """Stop watching and remove the widget from the front end. Idempotent."""
        super().close()
        host = self.__dict__.get("_host")
        if host is not None:
            host.close()

    def _one(self, session_id: str) -> dict[str, Any]:
        """Return what is shown of the selected session."""
        if not session_id:
            return {"detail": {}, "talk": [], "earlier": 0, "burn": []}
        try:
            view = read_budget(self._service, session_id)
        except UnknownSession:
            return {"detail": {}, "talk": [], "earlier": 0, "burn": []}
        self._read_spending(view.session, view.totals)
        history, burn = self._lines
        talk, earlier = self._conversation(view.session, view.totals)
        reset = {"messages_shown": MESSAGES} if self._newest_only else {}
        self._newest_only = False
        detail = {
            "session_id": session_id,
            **view_traits(view),
            "history": history,
            "about": _about(view.session),
        }
        return {"detail": detail, "talk": talk, "earlier": earlier, "burn": burn, **reset}

    def _read_spending(self, session: Session, totals: Totals) -> None:
        state = session.session_id, totals.calls, totals.used, totals.token_budget
        if state != self._spent_of:
            calls = spent(self._service, session.session_id)
            events = self._service.store.events(session.session_id)
            self._lines, self._spent_of = (tokens_per_turn(calls), burn_down(session, calls, events)), state

    def _conversation(self, session: Session, totals: Totals) -> tuple[list[list[Any]], int]:
        """Return ``[who, is the candidate, HTML]`` of the newest messages, and how many come before them."""
        count = MESSAGES if self._newest_only else max(1, self.messages_shown)
        state = session.session_id, totals.messages, count
        if state != self._told:
            messages = self._service.store.history(session.session_id)
            shown = messages[-count:]
            texts = to_html_each([m.content for m in shown])
            self._parts = [
                [plain(speaker(session, m)), m.role == "user", html]
                for m, html in zip(shown, texts, strict=True)
            ]
            self._told = state
        return self._parts, max(0, totals.messages - len(self._parts))

    def _is_relevant(self, session_id: str) -> bool:
        return True

    def _target(self, message: Mapping[str, Any]) -> str | None:
        """A click counts for the session it was made on, also when another is selected by now."""
        session_id = message.get("session_id")
        return session_id if self.controls and isinstance(session_id, str) and session_id else None

    def _worth_sending(self, changed: Mapping[str, Any]) -> bool:
        if set(changed) == {"detail"} and self.detail:
            before, now = self.detail, changed["detail"]
            return any(before.get(name) != value for name, value in now.items() if name != "time_left_s")
        return bool(changed)

    def _lost(self, error: Exception) -> None:
        self.note = f"no longer updated: {error}"
        self.revision += 1

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle: Any = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        headers = ["candidate", "role", "state", "used", "left", "time", "session"]
        cells = [[str(row[name]) for name in headers] for row in self.rows]
        head = f"{self.found:,} of {self.total:,} sessions, page {self.page + 1} of {self.pages}"
        table = div[div[head], table_html(headers, cells, stacks=True)]
        return self._saved(bundle, table, f"{head}\n{table_text(headers, cells)}")


def _matches(session: Session, query: str, state: str) -> bool:
    if state and session.status != state:
        return False
    s = session
    text = " ".join((s.candidate, s.role, s.level, s.challenge, s.model, s.client, s.session_id)).casefold()
    return all(word in text for word in query.casefold().split())


def _key(sort: str, sums: Callable[[Session], Totals]) -> Callable[[Session], Any]:
    keys: dict[str, Callable[[Session], Any]] = {
        "newest": lambda s: -s.created_at,
        "candidate": lambda s: (s.candidate.casefold(), -s.created_at),
        "status": lambda s: (_STATES.index(s.status), -s.created_at),
        "used": lambda s: (-sums(s).used, -s.created_at),
        "left": lambda s: (sums(s).left, -s.created_at),
    }
    return keys[sort]


def _row(session: Session, totals: Totals) -> dict[str, Any]:
    return {
        "session": session.session_id,
        "candidate": plain(session.candidate),
        "role": plain(" ".join(part for part in (session.level, session.role) if part)),
        "state": str(session.status) + (", locked" if is_locked(session) else ""),
        "used": f"{totals.used:,}",
        "left": f"{totals.left:,} of {totals.token_budget:,}",
        "share": totals.used / totals.token_budget if totals.token_budget else 1.0,
        "time": time_line(session) if session.ended_at is None else "ended",
        "turns": totals.turns,
    }


def _about(session: Session) -> str:
    parts = (
        session.role,
        session.level,
        session.challenge,
        session.model,
        session.client,
        session.session_id,
    )
    return plain(" · ".join(part for part in parts if part))
