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

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from ib_kernel.budget.lock import fixes as lock_fixes
from ib_kernel.budget.lock import is_locked, require_same_turn
from ib_kernel.budget.service import TokenService
from ib_kernel.budget.sessions import default_candidate
from ib_kernel.budget.unresolved import left_behind
from ib_kernel.errors import ConfigError, Locked, NoSession, UnknownSession, did_you_mean
from ib_kernel.interview.challenges import Challenge, load_challenge
from ib_kernel.interview.fields import (
    check_messages,
    parse_reply_tokens,
    read_extra,
    text_of_message,
)
from ib_kernel.interview.prompts import build_messages, prompt_version, system_prompt
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.text import well_formed, well_formed_value
from ib_kernel.turn.admission import inactive
from ib_kernel.turn.event_loop import BackgroundLoop
from ib_kernel.turn.reply import Reply
from ib_kernel.turn.retry import RetryBudget
from ib_kernel.turn.turn import Shared, Turn, TurnRequest, TurnResult
from ib_kernel.values import (
    ChatRequest,
    LLMClient,
    Message,
    NewSession,
    RateLimits,
    Session,
    Status,
    private_part,
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
        self._clients: dict[tuple[str, str], LLMClient] = {}
        self._factories: dict[tuple[str, str], Any] = {}
        self._replaced: list[LLMClient] = []
        self._shared = Shared(RetryBudget(self.settings.retry_budget))
        self._lock = threading.RLock()
        self._session_id: str | None = None
        self._challenges: dict[str, Challenge | None] = {}
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
        model = model or self._default_model(chosen, settings)
        self.plugins.model(model, settings, settings.client_name)
        meta: dict[str, Any] = {} if settings.temperature is None else {"temperature": settings.temperature}
        if api is not None:
            meta["api"] = settings.api
        if given and given.origin != "shipped":  # the file may change or go: keep what was given
            private_id = private_part.keep(self.settings.data_dir, given.notes, given.rubric)
            meta["challenge"] = {"title": given.title, "text": given.text, "private_id": private_id}
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
        self._challenges[session.session_id] = given
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
        try:
            session = self.service.get_session(session_id)
        except UnknownSession:
            known = [s.session_id for s in self.service.store.sessions(limit=200)]
            hint = did_you_mean(session_id, known) or ". %interview sessions lists them."
            raise UnknownSession(f"no session {session_id!r} in this ledger{hint}") from None
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
            raise NoSession(self._no_session_line())
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
        messages = build_messages(session, self._challenge(session), history, text)
        question = asked_now("user", text)
        return self._send(session, messages, question, max_tokens, model, temperature, {})

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
        return self._send(
            session, messages, question, max_tokens, model, temperature, well_formed_value(extra or {})
        )

    def _require_own_prompt(self, session: Session, messages: Sequence[Mapping[str, Any]]) -> None:
        """In a locked session, the only system text is the one that the engine composed."""
        own, _ = system_prompt(session, self._challenge(session))
        if any(m.get("role") in ("system", "developer") and m.get("content") != own for m in messages):
            raise Locked(
                f"session {session.session_id} is locked: its prompt stays as it is; leave system messages "
                "out"
            )

    def _send(
        self,
        session: Session,
        messages: Sequence[Mapping[str, Any]],
        question: Message,
        max_tokens: int | None,
        model: str | None,
        temperature: float | None,
        extra: Mapping[str, Any],
    ) -> Reply:
        extra, n, max_tokens = read_extra(extra, max_tokens, session.meta.get("api") or self.settings.api)
        if session.status is not Status.ACTIVE:  # said before anything about tokens
            raise inactive(session.status)
        asked = session.client or self.settings.client_name
        client, name = self.client(asked, session.meta.get("api")), model or session.model
        info = self.plugins.model(name, self.settings, asked)
        fixed = lock_fixes(session)
        if temperature is None:
            default = fixed.get("temperature", self.settings.temperature)
            temperature = session.meta.get("temperature", default)
        longest = min(self.settings.reply_tokens, fixed.get("reply_tokens", self.settings.reply_tokens))
        reply_tokens = parse_reply_tokens(longest if max_tokens is None else max_tokens)
        require_same_turn(session, model=name, temperature=temperature, reply_tokens=reply_tokens)
        request = ChatRequest(
            model=name,
            messages=tuple(messages),
            max_completion_tokens=reply_tokens,
            temperature=temperature if info.accepts_temperature else None,
            n=n,
            extra=extra,
        )
        ask = TurnRequest(session, request, info, question, explicit=max_tokens is not None)
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
        settings = self.settings.replace(client=name, api=api)
        key = name, settings.api
        with self._lock:
            self.plugins.load()
            offered = self.plugins.catalog.clients.offered(name)
            if key in self._clients and self._factories.get(key) is not offered:
                self._replaced.append(self._clients.pop(key))  # a turn may still be using it
            if key not in self._clients:
                self._clients[key], self._factories[key] = self.plugins.client(settings), offered
            return self._clients[key]

    def rate_limits(self) -> dict[str, RateLimits]:
        """Return what the services said last about their rate limits, by model."""
        with self._lock:
            clients = list(self._clients.values())
        return {model: told for c in clients for model, told in getattr(c, "rate_limits", {}).items()}

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
        whole = self._challenge(session)
        return whole.candidates_part() if whole else None

    def _challenge(self, session: NewSession) -> Challenge | None:
        """Return the whole challenge, notes and criteria included: for the prompt, not for people."""
        if session.session_id not in self._challenges:
            self._challenges[session.session_id] = self._recorded_challenge(session)
        return self._challenges[session.session_id]

    def _recorded_challenge(self, session: NewSession) -> Challenge | None:
        recorded = session.meta.get("challenge")
        if not isinstance(recorded, Mapping):
            return load_challenge(session.challenge, self.plugins) if session.challenge else None
        notes, rubric = private_part.read(self.settings.data_dir, recorded.get("private_id"))
        return Challenge(
            name=session.challenge,
            title=str(recorded.get("title", "")),
            text=str(recorded.get("text", "")),
            notes=notes,
            rubric=rubric,
            origin="recorded",
        )

    def close(self) -> None:
        """Close clients, the loop and the ledger. Idempotent."""
        with self._lock:
            clients, self._clients, self._replaced = [*self._clients.values(), *self._replaced], {}, []
        if self._shared.draining:
            self._loop.call(self._shared.end_draining())
        for client in clients:
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

    def _default_model(self, client: LLMClient, settings: Settings) -> str:
        """A client may name its own default (`default_model`); a model that the user chose comes first."""
        own: str | None = getattr(client, "default_model", None)
        return own if own and settings.origins.get("model") == "default" else settings.model

    def _no_session_line(self) -> str:
        active = [
            s for s in self.service.store.sessions(limit=20) if s.status in (Status.ACTIVE, Status.PAUSED)
        ]
        line = 'no session yet. Type %interview start "Backend engineer" to begin'
        if not active:
            return f"{line}, or %interview use ID to go on with an earlier one."
        last = active[0]
        line = (
            f"{line}, or %interview use {last.session_id} to go on with {last.candidate}'s ({last.status})."
        )
        doubts = left_behind(self.service.store.reservations(last.session_id), own=last.session_id)
        return f"{line} There {doubts}" if doubts else line


def asked_now(role: str, text: str) -> Message:
    """Return a question that is asked at this moment; the ledger gives its turn."""
    now = time.time()
    return Message(0, role, well_formed(text), created_at=now, asked_at=now)


def _ended(reply: Reply) -> TurnResult:
    if reply.result is None:
        raise reply.stop_line()
    return reply.result
