"""What a candidate reads before the first turn: what is recorded, for whom, and how long."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ib_kernel.settings import Settings
from ib_kernel.text import plain
from ib_kernel.values import BudgetStore, LedgerEvent

VERSION = "2"
"""The version of our own text. Raise it with every change: sessions record which one was shown."""

_TEXT = (
    "What is recorded: what you send here and the replies, the source of each cell that you run (not what it "
    "shows, unless you attach it), checks and hints, when that was, and how many tokens it took. "
    "%interview record off stops the recording of cells, and the interviewer sees that. What runs here: "
    "%interview check runs the task's visible tests, the interviewer's code, on your machine. Who sees it: "
    "the people who interview you, on their host. The text is also sent to the service whose model answers. "
    "How long: {keep} Ask the interviewer if anything here is not all right for you, before the first turn."
)


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice with its version: our own number, or "own-" and a hash of the host's own text."""

    version: str
    text: str


def notice_of(settings: Settings) -> Notice:
    """Return the notice that this host shows."""
    if settings.notice:
        text = plain(settings.notice).strip()
        return Notice("own-" + hashlib.sha256(text.encode()).hexdigest()[:12], text)
    days = settings.keep_days
    keep = f"{days} days, then it may be deleted." if days else "until somebody deletes it."
    return Notice(VERSION, _TEXT.format(keep=keep))


def was_shown(store: BudgetStore, session_id: str) -> bool:
    """Return True if a notice was shown to the session's candidate."""
    return any(event.kind == "notice" for event in store.events(session_id))


def record_shown(store: BudgetStore, session_id: str, notice: Notice, who: str) -> None:
    """Record that the candidate has seen *notice*; once is enough."""
    if not was_shown(store, session_id):
        store.add_event(LedgerEvent(session_id, "notice", 0.0, who, {"version": notice.version}))
