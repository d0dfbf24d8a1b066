"""The board of a host: what `SessionsWidget(host=…)` shows is asked over HTTP, under the person's own token.

What a host sends is somebody else's: texts pass `plain`, figures must be numbers, and the front end cleans a
message's HTML once more, as it does with our own.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ib_kernel.errors import BuddyError
from ib_kernel.notebook.widgets.controls import ActionResult
from ib_kernel.notebook.widgets.watching import find_desk
from ib_kernel.text import one_line, plain

if TYPE_CHECKING:
    from ib_kernel.remote.desk import Desk

HOST_POLL_S = 15.0
"""Seconds between two looks at a host that has told of no change."""

RETRY_S = 2.0
"""Seconds before a lost stream is opened again."""

_STATES = ("active", "paused", "created", "expired", "completed", "cancelled")

_SORTS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "newest": lambda row: -_number(row, "created_at"),
    "candidate": lambda row: (_text(row, "candidate").casefold(), -_number(row, "created_at")),
    "status": lambda row: (_rank(row), -_number(row, "created_at")),
    "used": lambda row: (-_number(row, "used"), -_number(row, "created_at")),
    "left": lambda row: (_number(row, "left"), -_number(row, "created_at")),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the board shows: words, state, order, page from 0, the selected session, how many messages."""

    query: str
    state: str
    sort: str
    page: int
    selected: str
    messages: int


def host_board(address: str) -> HostBoard:
    """Return the board of a host ("": that of ``IB_HOST``). `ConfigError` without a host or a token."""
    return HostBoard(find_desk(address))


class HostBoard:
    """Reads and steers the sessions of one host."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def read(self, wish: Wish, size: int) -> dict[str, Any]:
        """Return the traits of one page of *size* rows and of the selected session."""
        asked = f"/v1/desk/sessions?q={quote(wish.query[:500])}&status={quote(wish.state)}"
        answer = self._desk.connection.get(asked)
        rows = sorted(answer["sessions"], key=_SORTS.get(wish.sort, _SORTS["newest"]))
        pages = max(1, math.ceil(len(rows) / size))
        page = min(max(wish.page, 0), pages - 1)
        one = self._one(wish)
        return {
            "rows": [_row(row) for row in rows[page * size : (page + 1) * size]],
            "pages": pages,
            "page": page,
            "found": int(_number(answer, "found")),
            "total": int(_number(answer, "total")),
            **({} if one["detail"] else {"selected": ""}),
            **one,
        }

    def _one(self, wish: Wish) -> dict[str, Any]:
        none: dict[str, Any] = {"detail": {}, "talk": [], "earlier": 0, "burn": []}
        if not wish.selected:
            return none
        try:
            one = self._desk.connection.get(f"/v1/desk/sessions/{quote(wish.selected, safe='')}")
        except BuddyError as error:
            if getattr(error, "retryable", False):
                raise
            return none
        said = one["messages"][-wish.messages :]
        return {
            "detail": _detail(one),
            "talk": [[_text(m, "who"), m.get("role") == "user", str(m.get("html", ""))] for m in said],
            "earlier": max(0, len(one["messages"]) - len(said)),
            "burn": [[float(n) for n in point] for point in one["course"]["left"]],
        }

    def act(self, session_id: str, message: Mapping[str, Any]) -> ActionResult:
        """Do what a click asks for. Never raises: what refuses it becomes the line."""
        actions: Mapping[str, tuple[str, dict[str, Any], str]] = {
            "add_tokens": ("extend", {"tokens": message.get("tokens")}, "tokens added"),
            "add_minutes": ("extend", {"minutes": message.get("minutes")}, "minutes added"),
            "pause": ("pause", {}, "paused: the clock stands still and turns are refused"),
            "resume": ("resume", {}, "resumed"),
            "end": ("end", {}, "ended for good"),
            "write_off": (
                "resolve",
                {"reservation_id": message.get("reservation_id"), "decision": "free"},
                "written off",
            ),
        }
        found = actions.get(str(message.get("do")))
        if found is None:
            return ActionResult(False, f"unknown control; known: {', '.join(actions)}")
        name, body, done = found
        key = message.get("passphrase")
        if isinstance(key, str) and key and name in ("extend", "resume", "resolve"):
            body["passphrase"] = key
        try:
            self._desk.connection.post(f"/v1/desk/sessions/{quote(session_id, safe='')}/{name}", body)
        except BuddyError as error:
            return ActionResult(False, one_line(str(error)))
        return ActionResult(True, done)

    def follow(self, wake: Callable[[], None], stop: threading.Event) -> None:
        """Call *wake* whenever the host tells of a change, in a thread, until *stop* is set."""

        def listen() -> None:
            while not stop.is_set():
                try:
                    with self._desk.connection.events("/v1/desk/events") as events:
                        for event in events:
                            if stop.is_set():
                                return
                            if event.kind in ("hello", "changed"):
                                wake()
                except Exception:  # noqa: BLE001 - the next look says what is wrong
                    wake()
                stop.wait(RETRY_S)

        threading.Thread(target=listen, name="ib-host-board", daemon=True).start()

    def close(self) -> None:
        """Close connections. Idempotent."""
        self._desk.close()


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    used, left, budget = (int(_number(row, name)) for name in ("used", "left", "budget"))
    ended = row.get("ended_at") is not None
    return {
        "session": _text(row, "id"),
        "candidate": _text(row, "candidate"),
        "role": " ".join(part for part in (_text(row, "level"), _text(row, "role")) if part),
        "state": _text(row, "status") + (", locked" if row.get("locked") else ""),
        "used": f"{used:,}",
        "left": f"{left:,} of {budget:,}",
        "share": used / budget if budget else 1.0,
        "time": "ended" if ended else _time(row),
        "turns": int(_number(row, "turns")),
    }


def _detail(one: Mapping[str, Any]) -> dict[str, Any]:
    row = one["session"]
    figures = {
        name: int(_number(row, name)) for name in ("budget", "used", "held", "in_doubt", "left", "turns")
    }
    parts = (_text(row, "candidate"), _text(row, "role"), _text(row, "model"))
    about = (*(_text(row, n) for n in ("role", "level", "challenge", "model")), _text(one, "client"))
    turns_left, time_left = row.get("turns_left"), row.get("time_left_s")
    doubts = row.get("doubts") or []
    return {
        "session_id": _text(row, "id"),
        "title": f"Budget · {' · '.join(p for p in parts if p)} · {_text(row, 'status')}",
        "status": _text(row, "status"),
        "level": "exhausted" if figures["left"] <= 0 else "normal",
        **figures,
        "input_tokens": int(_number(one, "input_tokens")),
        "output_tokens": int(_number(one, "output_tokens")),
        "turns_left": None if turns_left is None else int(turns_left),
        "cost": _text(one, "cost"),
        "money": "",
        "time_left_s": None if time_left is None else float(time_left),
        "notes": [f"in doubt: {int(_number(d, 'tokens')):,} tokens of turn {d.get('turn')}" for d in doubts],
        "doubts": [
            [_text(d, "reservation_id"), f"{int(_number(d, 'tokens')):,} tokens of turn {d.get('turn')}"]
            for d in doubts
        ],
        "locked": bool(row.get("locked")),
        "history": [[int(n) for n in turn] for turn in one.get("per_turn", [])],
        "about": " · ".join([*(part for part in about if part), _text(row, "id")]),
    }


def _time(row: Mapping[str, Any]) -> str:
    left = row.get("time_left_s")
    if left is None:
        return "no time limit"
    return f"{math.ceil(float(left) / 60)} min left" if float(left) > 0 else "time is up"


def _rank(row: Mapping[str, Any]) -> int:
    status = _text(row, "status")
    return _STATES.index(status) if status in _STATES else len(_STATES)


def _text(value: Mapping[str, Any], name: str) -> str:
    return plain(str(value.get(name) or ""))


def _number(value: Mapping[str, Any], name: str) -> float:
    found = value.get(name)
    return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else 0.0
