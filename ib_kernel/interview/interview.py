"""`Interview`: start a session, ask, read the reply. The engine behind the magics, usable without them.

::

    buddy = Interview()
    buddy.start("Backend engineer", candidate="Ada", token_budget=20_000)
    print(buddy.say_sync("I'd start with a token bucket per user.").text)

    async with buddy.ask("And when Redis is down?") as reply:
        async for piece in reply:
            print(piece, end="")
"""

from __future__ import annotations

import copy
from types import TracebackType
from typing import Any

from ib_kernel.budget.access import forward
from ib_kernel.budget.service import TokenService
from ib_kernel.interview.clients import Clients
from ib_kernel.interview.given import GivenChallenges
from ib_kernel.interview.instructions import Instructions
from ib_kernel.interview.parts import Parts
from ib_kernel.interview.sessions import SessionInUse
from ib_kernel.interview.turns import Turns
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.turn.event_loop import BackgroundLoop
from ib_kernel.turn.pace import Pace
from ib_kernel.turn.reply import Reply
from ib_kernel.turn.retry import RetryBudget
from ib_kernel.turn.turn import TurnResult
from ib_kernel.values import LLMClient, RateLimits, Session


class Interview:
    """One person's place in front of the AI: settings, plugins, a ledger and the session in use.

    Safe to use from any thread; turns of one `Interview` may overlap (each reserves its own tokens). A value:
    build as many as you like, and `close` each (or use ``with``).
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plugins: Plugins | None = None,
        session_id: str | None = None,
        service: TokenService | None = None,
        hosted: bool = False,
    ) -> None:
        """Build an interview; the ledger is opened at first use.

        Args:
            settings: None: looked up now.
            plugins: None: those that are installed.
            session_id: A session to go on with; None: none yet.
            service: A service to use, which its giver closes; None: one of the interview's own.
            hosted: Whether who asks is a candidate of a host: refusals then name the interviewer, not
                commands that change limits.

        Raises:
            UnknownSession: There is no such session; the line says which is meant.
        """
        self.settings = settings or (service.settings if service else Settings())
        self.plugins = plugins or (service.plugins if service else Plugins())
        self.service = service or TokenService(self.settings, plugins=self.plugins)
        self._owns_service, self._is_guest = service is None, False
        self._loop = BackgroundLoop()
        given = GivenChallenges(self.settings.data_dir, self.plugins, self.service.store)
        told = Instructions(self.settings.data_dir, self.plugins, self.service.store)
        clients = Clients(self.plugins)
        self._parts = Parts(self.settings, self.plugins, self.service, clients, given, told, hosted)
        self._sessions = SessionInUse(self._parts)
        self._turns = Turns(self._parts, self._sessions, self._loop)
        if session_id is not None:
            self.use(session_id)

    # sessions
    start = forward("_sessions", SessionInUse.start)
    begin = forward("_sessions", SessionInUse.begin)
    use = forward("_sessions", SessionInUse.use)
    history = forward("_sessions", SessionInUse.history)
    challenge = forward("_sessions", SessionInUse.challenge)
    whole_challenge = forward("_sessions", SessionInUse.whole_challenge)
    phase = forward("_sessions", SessionInUse.phase)
    phases = forward("_sessions", SessionInUse.phases)
    enter_phase = forward("_sessions", SessionInUse.enter_phase)

    @property
    def session_id(self) -> str | None:
        """The id of the session in use, or None."""
        return self._sessions.session_id

    @property
    def session(self) -> Session:
        """The session in use, as the ledger has it now. `NoSession` names what to type when there is none."""
        return self._sessions.session

    def beside(self, session_id: str | None) -> Interview:
        """Return an interview with another session in use that shares everything else with this one.

        Args:
            session_id: The session; None: none yet.

        Returns:
            An interview whose `close` does nothing: it ends with this one.

        Raises:
            UnknownSession: There is no such session; the line says which is meant.
        """
        other = copy.copy(self)
        other._is_guest = True
        other._sessions = SessionInUse(self._parts)
        other._turns = self._turns.of(other._sessions)
        if session_id is not None:
            other.use(session_id)
        return other

    def share(self, pace: Pace, retries: RetryBudget) -> None:
        """Let all turns go through *pace* and spend from *retries*, as a host's sessions do together.

        Args:
            pace: What is put before each call.
            retries: What all of them may spend on trying again.
        """
        self._turns.shared.pace, self._turns.shared.retries = pace, retries

    # turns
    ask = forward("_turns", Turns.ask)
    send = forward("_turns", Turns.send)
    rebuilt = forward("_turns", Turns.rebuilt)
    estimate = forward("_turns", Turns.estimate)

    async def say(self, text: str, **options: Any) -> TurnResult:
        """Ask and wait for the whole reply.

        Args:
            text: The question or answer.
            options: As in `ask`.

        Returns:
            The whole reply and its figures.

        Raises:
            BuddyError: What refuses or fails the call, as `ib_kernel.errors` names it.
        """
        async with self.ask(text, **options) as reply:
            async for _ in reply:
                pass
        return _ended(reply)

    def say_sync(self, text: str, **options: Any) -> TurnResult:
        """Ask and block until the whole reply is there.

        Args:
            text: The question or answer.
            options: As in `ask`.

        Returns:
            The whole reply and its figures.

        Raises:
            BuddyError: What refuses or fails the call, as `ib_kernel.errors` names it.
        """
        with self.ask(text, **options) as reply:
            for _ in reply:
                pass
        return _ended(reply)

    def client(self, name: str, api: str | None = None) -> LLMClient:
        """Return a client plugin's client.

        Args:
            name: The client plugin.
            api: "chat" or "responses"; None: the settings'.

        Raises:
            ConfigError: There is no such client, or it cannot be built.
        """
        return self._parts.client(name, api)

    def rate_limits(self) -> dict[str, RateLimits]:
        """Return what the services said last about their rate limits, by model."""
        return self._parts.clients.rate_limits()

    def call(self, work: Any) -> Any:
        """Run a client's coroutine on the interview's loop and wait for its result.

        Args:
            work: The coroutine.

        Returns:
            Its result.
        """
        return self._loop.call(work)

    def close(self) -> None:
        """Close clients, the loop and the ledger. Idempotent."""
        if self._is_guest:
            return
        if self._turns.shared.draining:
            self._loop.call(self._turns.shared.end_draining())
        for client in self._parts.clients.take_all():
            self._loop.call(client.aclose())
        self._loop.close()
        if self._owns_service:
            self.service.close()

    def __enter__(self) -> Interview:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def _ended(reply: Reply) -> TurnResult:
    if reply.result is None:
        raise reply.stop_line()
    return reply.result
