"""What a notebook knows of its session at a host: told as it changes, asked for when that is old."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ib_kernel.errors import BuddyError
from ib_kernel.remote.connection import Connection, HostRefused, parse_object
from ib_kernel.text import cut
from ib_kernel.values import CallStart, Reservation, Session, Status, Totals
from ib_kernel.values.wire import read

log = logging.getLogger(__name__)

FRESH_S = 2.0
"""Seconds for which an answer is taken for the present where no stream tells of changes."""

WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One answer about the session, and when it came (monotonic)."""

    session: Session
    totals: Totals
    turns_left: int | None
    doubts: tuple[Reservation, ...]
    at: float


class State:
    """The session as the host told it last. Safe from several threads.

    *on_change* is called on the listener's thread whenever something new was told, *on_hosts* when other
    hosts were told that serve the same ledger.
    """

    def __init__(
        self,
        connection: Connection,
        on_change: Callable[[], None] = lambda: None,
        on_hosts: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection, self._on_change, self._on_hosts = connection, on_change, on_hosts
        self._lock = threading.RLock()
        self._known: Answer | None = None
        self._alive_at = 0.0
        self._stale = False
        self._lines: list[str] = []
        self._lines_seen = 0
        self.news = 0
        """How many times the host has told something new."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # --- reading

    @property
    def session(self) -> Session:
        """The session as it is now; its time runs on between two answers."""
        known = self.status()
        session, passed = known.session, time.monotonic() - known.at
        if session.status is not Status.ACTIVE:
            return session
        left = session.time_left_s
        return dataclasses.replace(
            session,
            active_s=session.active_s + passed,
            time_left_s=None if left is None else max(0.0, left - passed),
        )

    def status(self) -> Answer:
        """Return the last answer, or ask when it may be old."""
        with self._lock:
            known, alive = self._known, time.monotonic() - self._alive_at < FRESH_S
            listening = self._thread is not None and self._alive_at > 0
            stale = self._stale
        if known is not None and not stale and (alive or listening or time.monotonic() - known.at < FRESH_S):
            return known
        return self.refresh()

    def refresh(self) -> Answer:
        """Ask the host."""
        return self.take(self._connection.get("/v1/status"))

    def take(self, value: Mapping[str, Any]) -> Answer:
        """Take what the host has told of the session."""
        if self._connection.places.learn(value.get("hosts")):
            self._on_hosts()
        turns_left = value.get("turns_left")
        session = read(Session, value.get("session"))
        found = Answer(
            session,
            read(Totals, value.get("totals")),
            turns_left if isinstance(turns_left, int) else None,
            tuple(_doubts(value.get("doubts"), session.session_id)),
            time.monotonic(),
        )
        with self._lock:
            self._known, self._stale = found, False
        return found

    def take_totals(self, totals: Totals) -> None:
        """Take the sums that came with a reply's end."""
        with self._lock:
            if self._known is not None:
                self._known = dataclasses.replace(self._known, totals=totals)
            self._stale = True  # what the next turn takes has changed, too

    def expire(self) -> None:
        """Let the next look ask the host, whatever was told last."""
        with self._lock:
            self._stale = True

    def take_lines(self) -> list[str]:
        """Return what the interviewer has said since this was asked last."""
        with self._lock:
            lines, self._lines = self._lines, []
        return lines

    # --- listening

    def listen(self, lines_seen: int = 0) -> None:
        """Follow the host's events in a thread, from now until `close`."""
        self._lines_seen = max(self._lines_seen, lines_seen)
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="ib-remote", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop following, and close the line. Idempotent."""
        self._stop.set()
        self._connection.close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)

    def _follow(self) -> None:
        tries = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._follow_once()
            except HostRefused as error:
                if error.status in (401, 403):
                    self._gone()
                    return
            except BuddyError:
                pass
            except Exception:
                if not self._stop.is_set():  # closing the line under a read raises anything
                    log.debug("the host's events could not be followed", exc_info=True)
            with self._lock:
                self._alive_at = 0.0
            tries = 0 if time.monotonic() - began > 30 else tries + 1
            self._stop.wait(WAITS_S[min(tries, len(WAITS_S) - 1)])

    def _follow_once(self) -> None:
        with self._connection.events("/v1/events", self._lines_seen) as events:
            for event in events:
                if self._stop.is_set():
                    return
                with self._lock:
                    self._alive_at = time.monotonic()
                self.news += 1
                if event.kind == "status":
                    self.take(parse_object(event.data))
                elif event.kind == "line":
                    self._take_line(parse_object(event.data))
                else:
                    continue
                with contextlib.suppress(Exception):
                    self._on_change()

    def _take_line(self, value: Mapping[str, Any]) -> None:
        number, text = value.get("n"), value.get("text")
        if isinstance(number, int) and isinstance(text, str) and number > self._lines_seen:
            with self._lock:
                self._lines_seen = number
                self._lines.append(cut(text, 10_000))

    def _gone(self) -> None:
        with self._lock:
            self._alive_at, self._thread = 0.0, None
        with contextlib.suppress(Exception):
            self._on_change()


def _doubts(value: Any, session_id: str) -> list[Reservation]:
    found = []
    for item in value[:1000] if isinstance(value, list) else []:
        told = item if isinstance(item, Mapping) else {}
        tokens, turn = told.get("tokens"), told.get("turn")
        if isinstance(tokens, int) and isinstance(turn, int):
            doubt = Reservation("", session_id, tokens, 0.0, in_doubt=True, call=CallStart(turn=turn))
            reason = cut(str(told.get("reason", "")), 200)
            found.append(dataclasses.replace(doubt, doubt_reason=reason))
    return found
