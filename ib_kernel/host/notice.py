"""What a candidate reads before the first turn: what is recorded, for whom, and how long."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from ib_kernel.settings import Settings
from ib_kernel.text import plain
from ib_kernel.values import BudgetStore, LedgerEvent, NewSession

VERSION = "3"
"""The version of our own text. Raise it with every change: sessions record which one was shown."""

_TEXT = (
    "What is recorded: what you send here and the replies, the source of each cell that you run (not what it "
    "shows, unless you attach it), checks and hints, when that was, and how many tokens it took. "
    "%interview record off stops the recording of cells, and the interviewer sees that. What runs here: "
    "%interview check runs the task's visible tests, the interviewer's code, on your machine. Who sees it: "
    "the people who interview you, on their host. The text is also sent to the service whose model answers. "
    "How long: {keep} You may ask the interviewer for a copy of all of it, or to erase it, at any time. Ask "
    "them, too, if anything here is not all right for you, before the first turn."
)


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice with its version: our own number, or "own-" and a hash of the host's own text."""

    version: str
    text: str


def notice_of(settings: Settings, session: NewSession) -> Notice:
    """Return the notice that this host shows for a session: ``{keep}`` in a text says how long it is kept."""
    keep = "until somebody erases it."
    if session.keep_until is not None:
        day = datetime.fromtimestamp(session.keep_until, UTC)
        keep = f"until {day:%Y-%m-%d} (UTC), then it is due to be erased."
    if settings.notice:
        text = plain(settings.notice).strip()
        version = "own-" + hashlib.sha256(text.encode()).hexdigest()[:12]
        return Notice(version, text.replace("{keep}", keep))
    return Notice(VERSION, _TEXT.replace("{keep}", keep))


def was_shown(store: BudgetStore, session_id: str) -> bool:
    """Return True if a notice was shown to the session's candidate."""
    return any(event.kind == "notice" for event in store.events(session_id))


def record_shown(store: BudgetStore, session_id: str, notice: Notice, who: str) -> None:
    """Record that the candidate has seen *notice*; once is enough."""
    if not was_shown(store, session_id):
        store.add_event(LedgerEvent(session_id, "notice", 0.0, who, {"version": notice.version}))
