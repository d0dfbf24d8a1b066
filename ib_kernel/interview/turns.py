"""The turns of an interview: what is asked, composed from the session in use and handed to one `Turn`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ib_kernel.budget.lock import is_locked
from ib_kernel.errors import ConfigError, Locked
from ib_kernel.interview.compose import Wishes, compose
from ib_kernel.interview.fields import check_messages, text_of_message
from ib_kernel.interview.parts import Parts
from ib_kernel.interview.prompts import build_messages, system_prompt
from ib_kernel.interview.sessions import SessionInUse
from ib_kernel.text import well_formed, well_formed_value
from ib_kernel.turn.event_loop import BackgroundLoop
from ib_kernel.turn.reply import Reply
from ib_kernel.turn.retry import RetryBudget
from ib_kernel.turn.turn import Shared, Turn
from ib_kernel.values import Message, Session


class Turns:
    """Asks in the session in use, through the client that the session chose."""

    def __init__(self, parts: Parts, sessions: SessionInUse, loop: BackgroundLoop) -> None:
        self._parts, self._sessions, self._loop = parts, sessions, loop
        self.shared = Shared(RetryBudget(parts.settings.retry_budget))

    def of(self, sessions: SessionInUse) -> Turns:
        """Return the turns of another session in use, with this one's loop, clients and retries."""
        other = Turns(self._parts, sessions, self._loop)
        other.shared = self.shared
        return other

    def ask(
        self,
        text: str,
        *,
        max_tokens: int | None = None,
        model: str | None = None,
        temperature: float | None = None,
        request_id: str = "",
        request_sha: str = "",
    ) -> Reply:
        """Ask: the reply is a context manager, and nothing happens before it is entered.

        Args:
            text: The question or answer.
            max_tokens: A wish for the reply's length in tokens, refused rather than shrunk; None:
                `Settings.reply_tokens`.
            model: Another model than the session's; None: its own.
            temperature: None: the session's.
            request_id: An id of the caller's own: the same in the same session is admitted once.
            request_sha: The hash of what was asked under that id.

        Returns:
            The reply; entering and reading it raise what refuses or fails the turn.

        Raises:
            ConfigError: The text is empty.
            RepeatedRequest: Its id was admitted before (from reading the reply).
            NoSession: No session is in use.
        """
        if not text.strip():
            raise ConfigError("there is nothing to send; type your answer or question below the magic's line")
        text = well_formed(text)
        session = self._sessions.session
        history = self._parts.service.store.history(session.session_id)
        messages = build_messages(session, self._parts.given.of(session), history, text)
        question = asked_now("user", text)
        wishes = Wishes(max_tokens, model, temperature, request_id=request_id, request_sha=request_sha)
        return self._send(session, messages, question, wishes)

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
        session = self._sessions.session
        messages = well_formed_value(messages)
        check_messages(messages)
        if is_locked(session):
            self._require_own_prompt(session, messages)
        question = replace(question, content=text_of_message(messages[-1]) or question.content)
        wishes = Wishes(max_tokens, model, temperature, well_formed_value(extra or {}))
        return self._send(session, messages, question, wishes)

    def _require_own_prompt(self, session: Session, messages: Sequence[Mapping[str, Any]]) -> None:
        """In a locked session, the only system text is the one that the engine composed."""
        own, _ = system_prompt(session, self._parts.given.of(session))
        if any(m.get("role") in ("system", "developer") and m.get("content") != own for m in messages):
            raise Locked(
                f"session {session.session_id} is locked: its prompt stays as it is; leave system messages "
                "out"
            )

    def _send(
        self, session: Session, messages: Sequence[Mapping[str, Any]], question: Message, wishes: Wishes
    ) -> Reply:
        parts = self._parts
        asked = compose(session, messages, question, wishes, parts.settings, parts.plugins)
        client = parts.client(session.client or parts.settings.client_name, session.meta.get("api"))
        return Reply(self._loop, lambda emit: Turn(parts.service, client, asked, emit, self.shared))


def asked_now(role: str, text: str) -> Message:
    """Return a question that is asked at this moment; the ledger gives its turn."""
    now = time.time()
    return Message(0, role, well_formed(text), created_at=now, asked_at=now)
