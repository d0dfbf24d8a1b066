"""`RemoteInterview`: an interview that a host holds, with the surface of `Interview` that a notebook uses.

What a candidate may not do raises `NotHere`, one line that says who can.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, NoReturn, cast

from ib_kernel.assessment.report.release import from_value
from ib_kernel.assessment.report.values import Report
from ib_kernel.errors import ConfigError, NotHere
from ib_kernel.interview.challenges import Challenge
from ib_kernel.plugin.events import SessionChanged
from ib_kernel.plugin.manager import Plugins
from ib_kernel.remote import kept as keeping
from ib_kernel.remote.connection import Connection
from ib_kernel.remote.kept import Kept
from ib_kernel.remote.received import received
from ib_kernel.remote.service import RemoteService
from ib_kernel.remote.state import State
from ib_kernel.remote.turn import RemoteResult, RemoteTurn
from ib_kernel.settings import Settings
from ib_kernel.text import well_formed
from ib_kernel.turn.event_loop import BackgroundLoop
from ib_kernel.turn.receiving import Notice
from ib_kernel.turn.reply import Reply
from ib_kernel.values import Cell, LedgerEvent, Message, NewSession, NextTurn, Piece, RateLimits, Session
from ib_kernel.values.attachment import Attachment
from ib_kernel.values.wire import read, read_list, to_value
from ib_kernel.values.work import CheckReport, Hint, TestResult


class RemoteInterview:
    """One candidate's place in an interview at a host.

    Args:
        settings: What the screen goes by; what a session is like is the host's.
        plugins: The notebook's plugins.
        connection: The line to the host, with the candidate's token.
        kept: What was kept of joining.
    """

    def __init__(self, settings: Settings, plugins: Plugins, connection: Connection, kept: Kept) -> None:
        self.settings, self.plugins, self.connection, self.kept = settings, plugins, connection, kept
        self.state = State(connection, self._changed, self._keep_hosts)
        self.service = RemoteService(self)
        self._loop = BackgroundLoop("ib-remote-turns")
        self._challenge: Challenge | None = None
        self._challenge_known = False
        self.notice_version = ""

    def show_as(self, settings: Settings) -> None:
        """Take the settings of now, for a command that looks at the session next: as it is then."""
        self.settings = self.service.settings = settings
        self.state.expire()

    # --- the session

    @property
    def address(self) -> str:
        """Where the host is."""
        return self.connection.address

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return self.kept.session_id

    @property
    def session(self) -> Session:
        """The session as it is now."""
        return self.state.session

    @property
    def news(self) -> int:
        """How many times the host has told something new: who shows more than figures reads again then."""
        return self.state.news

    def me(self) -> dict[str, Any]:
        """Return all that the host tells its candidate, and take note of it."""
        found = self.connection.get("/v1/me")
        self.take(found)
        return found

    def take(self, me: Mapping[str, Any]) -> None:
        """Take note of what the host has told (see `me`)."""
        self.state.take(me)
        self._take_challenge(me.get("challenge"))

    def lines_in(self, me: Mapping[str, Any]) -> int:
        """Return how many lines of the interviewer are in the transcript."""
        return sum(m.role == "interviewer" for m in read_list(Message, me.get("history")))

    def history(self) -> list[Message]:
        """Return the transcript, lines of the interviewer included."""
        return read_list(Message, self.me().get("history"))

    def events(self) -> list[LedgerEvent]:
        """Return what happened, as far as a candidate may know."""
        told = self.me().get("events")
        found = [{**e, "session_id": self.session_id} for e in told or [] if isinstance(e, Mapping)]
        return read_list(LedgerEvent, found)

    def report(self) -> Report:
        """Return the report that was released to this candidate.

        Raises:
            HostRefused: None was yet; the line says whom to ask.
        """
        return from_value(self.connection.get("/v1/report"))

    def object_to(self, text: str) -> int:
        """Keep an objection at the host; return how many there are now.

        Args:
            text: What is wrong.
        """
        if not text.strip():
            raise ConfigError('say what you object to: %interview object "turn 4 was cut off by an outage"')
        return int(self.connection.post("/v1/objections", {"text": text}).get("objections", 1))

    def challenge(self, session: NewSession) -> Challenge | None:
        """Return the task, None when there is none.

        Args:
            session: The session; there is one only.
        """
        if not self._challenge_known:
            self.me()
        return self._challenge

    def send_check(self, suite: str, code: str, tests: Sequence[TestResult] = ()) -> CheckReport:
        """Have the hidden checks run, or what the visible tests showed recorded.

        Args:
            suite: "hidden" or "visible".
            code: What is checked.
            tests: What the visible tests showed.
        """
        what: dict[str, Any] = {"suite": suite, "code": code}
        if suite == "visible":
            what["tests"] = [to_value(test) for test in tests]
        return read(CheckReport, self.connection.post("/v1/checks", what))

    def next_hint(self) -> Hint:
        """Ask for the next hint."""
        return read(Hint, self.connection.post("/v1/hints"))

    def note_recording(self, on: bool) -> None:
        """Tell the host whether cells are sent from now on."""
        self.connection.post("/v1/recording", {"on": on})

    def send_cells(self, cells: Sequence[Cell], again: bool) -> None:
        """Send cells that were run.

        Args:
            cells: The cells, as the recorder took them.
            again: Whether an earlier try may have arrived: the host then leaves out what it has.
        """
        names = ("source", "ok", "kind", "error", "execution_count", "output_chars", "started_at", "ended_at")
        values = [{name: getattr(cell, name) for name in names} for cell in cells]
        self.connection.post("/v1/cells", {"cells": values} | ({"again": True} if again else {}))

    def begin(self) -> Session:
        """Start the clock, if it does not run."""
        self.state.take(self.connection.post("/v1/begin"))
        return self.session

    def end(self) -> Session:
        """End the session for good."""
        self.state.take(self.connection.post("/v1/end"))
        return self.session

    def notice_was_shown(self) -> None:
        """Tell the host that its notice was shown."""
        if self.notice_version:
            self.connection.post("/v1/notice", {"version": self.notice_version})
            self.notice_version = ""

    # --- turns

    def ask(
        self,
        text: str,
        *,
        max_tokens: int | None = None,
        model: str | None = None,
        temperature: float | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> Reply:
        """Ask: as `Interview.ask`, except that model and temperature are the interviewer's.

        Raises:
            ConfigError: The text is empty.
            NotHere: A model or a temperature was named.
        """
        if not text.strip() and not attachments:
            raise ConfigError("there is nothing to send; type your answer or question below the magic's line")
        if model is not None or temperature is not None:
            what = "-m (in Python: model=)" if model is not None else "-t (in Python: temperature=)"
            raise NotHere(f"the interviewer has chosen model and temperature; leave {what} out")
        question: dict[str, Any] = {"text": well_formed(text)}
        if max_tokens is not None:
            question["max_tokens"] = max_tokens
        if attachments:
            question["attachments"] = [to_value(attachment) for attachment in attachments]

        def turn(emit: Callable[[Piece | Notice], None]) -> Any:
            return RemoteTurn(self.connection, question, emit, self.state)

        return Reply(self._loop, turn)

    async def say(self, text: str, **options: Any) -> RemoteResult:
        """Ask and wait for the whole reply (see `ask`)."""
        async with self.ask(text, **options) as reply:
            async for _ in reply:
                pass
        return _ended(reply)

    def say_sync(self, text: str, **options: Any) -> RemoteResult:
        """Ask and block until the whole reply is there (see `ask`)."""
        with self.ask(text, **options) as reply:
            for _ in reply:
                pass
        return _ended(reply)

    def estimate(self, text: str, *, max_tokens: int | None = None, model: str | None = None) -> NextTurn:
        """Return what the next turn would take, as the host foretells it.

        Args:
            text: The question or answer.
            max_tokens: A wish for the reply's length in tokens.
            model: As in `ask`: the interviewer's to choose.

        Raises:
            NotHere: A model was named.
        """
        if model is not None:
            raise NotHere("the interviewer has chosen the model; leave -m (in Python: model=) out")
        wish = {} if max_tokens is None else {"max_tokens": max_tokens}
        return read(NextTurn, self.connection.post("/v1/estimate", {"text": text, **wish}))

    def rate_limits(self) -> dict[str, RateLimits]:
        """Return nothing: the service's limits are the host's."""
        return {}

    # --- what is not here

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self.not_here(name)

    def not_here(self, name: str) -> NotHere:
        """Return the line about something that only the interviewer can do."""
        what = _WORDS.get(name, "that")
        return NotHere(
            f"{what} is the interviewer's to do in this interview, at {self.address}; "
            "%interview leave goes back to sessions of your own"
        )

    def close(self) -> None:
        """Stop listening and close the line; the session goes on at the host. Idempotent."""
        self.state.close()
        self._loop.call(self.connection.aclose())
        self._loop.close()
        self.connection.close()

    def __enter__(self) -> RemoteInterview:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    # --- inside

    def _changed(self) -> None:
        self.plugins.notify("ib_session_changed", SessionChanged(self.session, "remote"))

    def _keep_hosts(self) -> None:
        """Keep where else to go on, for a kernel that starts anew while the host is away."""
        self.kept = replace(self.kept, others=self.connection.places.others())
        with contextlib.suppress(ConfigError):
            keeping.write(self.settings.data_dir, self.kept)

    def _take_challenge(self, value: Any) -> None:
        if isinstance(value, Mapping):
            self._challenge = received(value)
        self._challenge_known = True


_WORDS = {
    "start": "starting another session",
    "use": "choosing a session",
    "send": "sending other messages",
    "client": "choosing a client",
    "sessions": "listing sessions",
    "sql": "SQL over sessions",
    "pause": "pausing",
    "resume": "resuming",
    "extend_budget": "adding tokens",
    "set_budget": "setting the budget",
    "set_money_budget": "setting the budget",
    "set_time_limit": "adding time",
    "enter_phase": "choosing the phase",
    "write_off": "deciding about tokens in doubt",
    "resolve": "deciding about tokens in doubt",
    "counter": "counting by the host's counter",
}


def _ended(reply: Reply) -> RemoteResult:
    if reply.result is None:
        raise reply.stop_line()
    result: Any = reply.result
    return cast("RemoteResult", result)
