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

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from ib_kernel.budget.access import default_candidate
from ib_kernel.budget.lock import is_locked
from ib_kernel.budget.service import TokenService
from ib_kernel.errors import ConfigError, Locked, NoSession
from ib_kernel.interview.challenges import Challenge, load_challenge
from ib_kernel.interview.clients import Clients, default_model
from ib_kernel.interview.compose import Wishes, compose
from ib_kernel.interview.fields import (
    check_messages,
    text_of_message,
)
from ib_kernel.interview.given import GivenChallenges
from ib_kernel.interview.prompts import build_messages, prompt_version, system_prompt
from ib_kernel.interview.resume import find_session, no_session_line
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.text import well_formed, well_formed_value
from ib_kernel.turn.event_loop import BackgroundLoop
from ib_kernel.turn.reply import Reply
from ib_kernel.turn.retry import RetryBudget
from ib_kernel.turn.turn import Shared, Turn, TurnResult
from ib_kernel.values import (
    LLMClient,
    Message,
    NewSession,
    RateLimits,
    Session,
)


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
    ) -> None:
        self.settings = settings or (service.settings if service else Settings())
        self.plugins = plugins or (service.plugins if service else Plugins())
        self.service = service or TokenService(self.settings, plugins=self.plugins)
        self._owns_service = service is None
        self._loop = BackgroundLoop()
        self._clients = Clients(self.plugins)
        self._given = GivenChallenges(self.settings.data_dir, self.plugins)
        self._shared = Shared(RetryBudget(self.settings.retry_budget))
        self._session_id: str | None = None
        if session_id is not None:
            self.use(session_id)

    # --- sessions

    def start(
        self,
        role: str = "",
        *,
        candidate: str | None = None,
        level: str = "",
        challenge: str | None = None,
        token_budget: int | None = None,
        time_limit_s: float | None = None,
        model: str | None = None,
        client: str | None = None,
        api: str | None = None,
        temperature: float | None = None,
        persona: str | None = None,
        session_id: str | None = None,
        passphrase: str | None = None,
        unlock: str | None = None,
        budget_usd: Any = None,
    ) -> Session:
        """Open a session and make it the one in use. What is not given comes from the settings.

        Args:
            role: What the interview is for, such as "Backend engineer".
            candidate: Who is interviewed; None: the settings', or the system's user.
            level: Such as "senior".
            challenge: A challenge's name or a file; None: none.
            token_budget: Tokens, input and output together.
            time_limit_s: Active seconds.
            model: The model to ask.
            client: The client plugin to ask it through.
            api: "chat" or "responses".
            temperature: What the service is asked with.
            persona: "interviewer" or "assistant".
            session_id: An id of your own; None: a new one.
            passphrase: Locks the session's limits (see `TokenService.create_session`).
            unlock: The passphrase of an earlier session that locks this candidate.
            budget_usd: A budget in US dollars beside the one in tokens.

        Returns:
            The session, active.

        Raises:
            ConfigError: Something cannot be used; nothing is recorded then, and the line says what is meant
                or allowed.
            Locked: An earlier session locks this candidate.
        """
        settings = self.settings.replace(client=client, api=api, temperature=temperature, persona=persona)
        version = prompt_version(settings.persona)
        given = load_challenge(challenge, self.plugins) if challenge else None
        chosen = self.client(settings.client_name, settings.api)
        model = model or default_model(chosen, settings)
        self.plugins.model(model, settings, settings.client_name)
        meta: dict[str, Any] = {} if settings.temperature is None else {"temperature": settings.temperature}
        if api is not None:
            meta["api"] = settings.api
        meta |= self._given.to_record(given)
        session = self.service.create_session(
            candidate=candidate or settings.candidate or default_candidate(),
            token_budget=token_budget,
            model=model,
            time_limit_s=time_limit_s,
            session_id=session_id,
            role=role.strip(),
            level=level.strip(),
            challenge=given.name if given else "",
            persona=settings.persona,
            client=chosen.name,
            prompt_version=version,
            meta=meta,
            passphrase=passphrase,
            unlock=unlock,
            budget_usd=budget_usd,
        )
        self._given.note(session.session_id, given)
        self._session_id = session.session_id
        return session

    def use(self, session_id: str) -> Session:
        """Make an existing session the one in use.

        Args:
            session_id: The session.

        Returns:
            The session as it is now.

        Raises:
            UnknownSession: There is no such session; the line says which is meant.
        """
        session = find_session(self.service, session_id)
        self._session_id = session.session_id
        return session

    @property
    def session_id(self) -> str | None:
        """The id of the session in use, or None."""
        return self._session_id

    @property
    def session(self) -> Session:
        """The session in use, as the ledger has it now. `NoSession` names what to type when there is none."""
        if self._session_id is None:
            raise NoSession(no_session_line(self.service.store))
        return self.service.get_session(self._session_id)

    def history(self) -> list[Message]:
        """Return the transcript of the session in use."""
        return self.service.store.history(self.session.session_id)

    # --- turns

    def ask(
        self,
        text: str,
        *,
        max_tokens: int | None = None,
        model: str | None = None,
        temperature: float | None = None,
    ) -> Reply:
        """Ask: the reply is a context manager, and nothing happens before it is entered.

        Args:
            text: The question or answer.
            max_tokens: A wish for the reply's length in tokens, refused rather than shrunk; None:
                `Settings.reply_tokens`.
            model: Another model than the session's; None: its own.
            temperature: None: the session's.

        Returns:
            The reply; entering and reading it raise what refuses or fails the turn.

        Raises:
            ConfigError: The text is empty.
            NoSession: No session is in use.
        """
        if not text.strip():
            raise ConfigError("there is nothing to send; type your answer or question below the magic's line")
        text = well_formed(text)
        session = self.session
        history = self.service.store.history(session.session_id)
        messages = build_messages(session, self._given.of(session), history, text)
        question = asked_now("user", text)
        return self._send(session, messages, question, Wishes(max_tokens, model, temperature))

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

    def send(
        self,
        messages: Sequence[Mapping[str, Any]],
        question: Message,
        *,
        max_tokens: int | None = None,
        model: str | None = None,
        temperature: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Send messages as they are, under the session's budget; the transcript keeps the last of them.

        Args:
            messages: Chat Completions messages.
            question: Its role and when it was asked; where its text is another than that of the last message,
                what is sent is what is recorded.
            max_tokens: A wish for the reply's length in tokens, refused rather than shrunk; None:
                `Settings.reply_tokens`.
            model: Another model than the session's; None: its own.
            temperature: None: the session's.
            extra: Further request fields by their API names; ``{"stream": False}`` asks for the reply in one
                piece. Several choices (`n`) and a cap of the reply by any of its names are read from it: what
                is reserved follows from them.

        Returns:
            The reply, as from `ask`.

        Raises:
            ConfigError: A field is there that nobody could count.
            Locked: The session is locked, and a system message is not its own.
            NoSession: No session is in use.
        """
        session = self.session
        messages = well_formed_value(messages)
        check_messages(messages)
        if is_locked(session):
            self._require_own_prompt(session, messages)
        question = replace(question, content=text_of_message(messages[-1]) or question.content)
        wishes = Wishes(max_tokens, model, temperature, well_formed_value(extra or {}))
        return self._send(session, messages, question, wishes)

    def _require_own_prompt(self, session: Session, messages: Sequence[Mapping[str, Any]]) -> None:
        """In a locked session, the only system text is the one that the engine composed."""
        own, _ = system_prompt(session, self._given.of(session))
        if any(m.get("role") in ("system", "developer") and m.get("content") != own for m in messages):
            raise Locked(
                f"session {session.session_id} is locked: its prompt stays as it is; leave system messages "
                "out"
            )

    def _send(
        self, session: Session, messages: Sequence[Mapping[str, Any]], question: Message, wishes: Wishes
    ) -> Reply:
        ask = compose(session, messages, question, wishes, self.settings, self.plugins)
        client = self.client(session.client or self.settings.client_name, session.meta.get("api"))
        return Reply(self._loop, lambda emit: Turn(self.service, client, ask, emit, self._shared))

    # --- parts

    def client(self, name: str, api: str | None = None) -> LLMClient:
        """Return a client plugin's client.

        Args:
            name: The client plugin.
            api: "chat" or "responses"; None: the settings'.

        Raises:
            ConfigError: There is no such client, or it cannot be built.
        """
        return self._clients.get(self.settings.replace(client=name, api=api))

    def rate_limits(self) -> dict[str, RateLimits]:
        """Return what the services said last about their rate limits, by model."""
        return self._clients.rate_limits()

    def call(self, work: Any) -> Any:
        """Run a client's coroutine on the interview's loop and wait for its result.

        Args:
            work: The coroutine.

        Returns:
            Its result.
        """
        return self._loop.call(work)

    def challenge(self, session: NewSession) -> Challenge | None:
        """Return the candidate's part of the challenge that *session* was given, as it was at its start.

        Args:
            session: The session.

        Returns:
            Title and task without notes and criteria; None when it was given no challenge.
        """
        whole = self._given.of(session)
        return whole.candidates_part() if whole else None

    def close(self) -> None:
        """Close clients, the loop and the ledger. Idempotent."""
        if self._shared.draining:
            self._loop.call(self._shared.end_draining())
        for client in self._clients.take_all():
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


def asked_now(role: str, text: str) -> Message:
    """Return a question that is asked at this moment; the ledger gives its turn."""
    now = time.time()
    return Message(0, role, well_formed(text), created_at=now, asked_at=now)


def _ended(reply: Reply) -> TurnResult:
    if reply.result is None:
        raise reply.stop_line()
    return reply.result
