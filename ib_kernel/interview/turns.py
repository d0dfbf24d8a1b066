"""The turns of an interview: what is asked, composed from the session in use and handed to one `Turn`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ib_kernel.budget.lock import is_locked
from ib_kernel.errors import BudgetRefused, ConfigError, ContextTooLong, Locked
from ib_kernel.interview.compose import Wishes, compose, person_of
from ib_kernel.interview.context import Composed, Context
from ib_kernel.interview.fields import check_messages, text_of_message
from ib_kernel.interview.instructions import phase_in
from ib_kernel.interview.parts import Parts
from ib_kernel.interview.prompts import system_prompt
from ib_kernel.interview.rebuild import possible_bodies
from ib_kernel.interview.sessions import SessionInUse
from ib_kernel.text import well_formed, well_formed_value
from ib_kernel.turn.admission import inactive
from ib_kernel.turn.event_loop import BackgroundLoop
from ib_kernel.turn.planning import TurnPlanner
from ib_kernel.turn.reply import Reply
from ib_kernel.turn.retry import RetryBudget
from ib_kernel.turn.turn import Shared, Turn, TurnRequest
from ib_kernel.turn.usage import UsageRecorder
from ib_kernel.values import LedgerEvent, LLMClient, Message, NextTurn, Session, Status
from ib_kernel.values.attachment import Attached, Attachment, fenced, with_attachments
from ib_kernel.values.turn_view import TurnView


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
        attachments: Sequence[Attachment] = (),
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
            attachments: What goes along, fenced and labelled as the candidate's material.
            request_id: An id of the caller's own: the same in the same session is admitted once.
            request_sha: The hash of what was asked under that id.

        Returns:
            The reply; entering and reading it raise what refuses or fails the turn.

        Raises:
            ConfigError: The text is empty.
            RepeatedRequest: Its id was admitted before (from reading the reply).
            NoSession: No session is in use.
        """
        if not text.strip() and not attachments:
            raise ConfigError("there is nothing to send; type your answer or question below the magic's line")
        wishes = Wishes(max_tokens, model, temperature, request_id=request_id, request_sha=request_sha)
        client, composed = self._composed(self._active(), with_attachments(text, attachments), wishes)
        attached = tuple(self._counted(attachment, composed.request) for attachment in attachments)
        return self._reply(client, replace(composed.request, attached=attached))

    def _counted(self, attachment: Attachment, request: TurnRequest) -> Attached:
        count = self._parts.service.counter.count_text(fenced(attachment), request.request.model)
        chars = attachment.chars or len(attachment.text)
        return Attached(attachment.kind, attachment.label, count.tokens, chars)

    def estimate(self, text: str, *, max_tokens: int | None = None, model: str | None = None) -> NextTurn:
        """Return what sending a text now would take. Sends and reserves nothing.

        Args:
            text: The question or answer; it may be empty.
            max_tokens: As in `ask`.
            model: As in `ask`.

        Raises:
            ConfigError: An argument cannot be used.
            NoSession: No session is in use.
        """
        view, service = self._sessions.turn_view(), self._parts.service
        client, composed = self._composed(view, text, Wishes(max_tokens, model))
        asked, totals = composed.request, view.totals
        counts_as = asked.model.counts_as or asked.model.name
        recorder = UsageRecorder(asked.model, getattr(client, "billed", True), lambda _: 0)
        planner = TurnPlanner(service, asked, counts_as, recorder)
        count = planner.count(client.body(asked.request))
        held, cap, refusal = 0, 0, ""
        try:
            plan, _ = planner.plan(count, totals)
            held, cap = plan.tokens, plan.cap
        except (BudgetRefused, ContextTooLong) as refused:
            refusal = str(refused)
        reply = min(composed.reply, cap) if cap else composed.reply
        return NextTurn(
            prompt=count.tokens,
            exact=count.exact,
            new=composed.new,
            reply=reply,
            cap=cap,
            charged=(count.tokens if asked.new is None else asked.new) + reply,
            held=held,
            left=totals.left,
            turns_left=composed.turns_left,
            history_from_turn=asked.history_from_turn,
            refusal=refusal,
        )

    def send(
        self,
        messages: Sequence[Mapping[str, Any]],
        question: Message,
        *,
        max_tokens: int | None = None,
        model: str | None = None,
        temperature: float | None = None,
        extra: Mapping[str, Any] | None = None,
        request_id: str = "",
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
            request_id: An id of the caller's own: the same in the same session is admitted once.

        Returns:
            The reply, as from `ask`.

        Raises:
            ConfigError: A field is there that nobody could count.
            Locked: The session is locked, and a system message is not its own.
            RepeatedRequest: Its id was admitted before (from reading the reply).
            NoSession: No session is in use.
        """
        view = self._active()
        session, messages = view.session, well_formed_value(messages)
        check_messages(messages)
        if is_locked(session):
            self._require_own_prompt(session, messages)
        question = replace(question, content=text_of_message(messages[-1]) or question.content)
        wishes = Wishes(max_tokens, model, temperature, well_formed_value(extra or {}), request_id)
        parts = self._parts
        asked = compose(
            session, messages, question, wishes, parts.settings, parts.plugins, hosted=parts.hosted
        )
        return self._reply(self._client(session), replace(asked, view=view))

    def rebuilt(self, turn: int, *, model: str, first: int = 0) -> list[Mapping[str, Any]]:
        """Return the bodies that a recorded turn of the session in use may have sent.

        Args:
            turn: The turn.
            model: The model that was asked.
            first: The oldest turn that went along; 0 for all.

        Returns:
            The body with and without the lines that may have ended it (a phase's, and what asks to wrap up);
            nothing where the transcript is not kept.
        """
        session = self._sessions.session
        history = self._parts.service.store.history(session.session_id)
        return possible_bodies(self._parts, session, history, turn, model=model, first=first)

    def _require_own_prompt(self, session: Session, messages: Sequence[Mapping[str, Any]]) -> None:
        """In a locked session, the only system text is the one that the engine composed."""
        persona = self._parts.instructions.persona(session)
        own, _ = system_prompt(session, self._parts.given.of(session), persona)
        if any(m.get("role") in ("system", "developer") and m.get("content") != own for m in messages):
            raise Locked(
                f"session {session.session_id} is locked: its prompt stays as it is; leave system messages "
                "out"
            )

    def _active(self) -> TurnView:
        """Return the session in use, begun if it was only created; refuse one that takes no turns."""
        view, service = self._sessions.turn_view(), self._parts.service
        if view.session.status is Status.CREATED:
            self._sessions.begin()
            view = self._sessions.turn_view()
        session = view.session
        if session.status is not Status.ACTIVE:  # said before anything about tokens
            detail = {"reason": "inactive", "status": str(session.status)}
            service.record(LedgerEvent(session.session_id, "refused", time.time(), detail=detail))
            raise inactive(session.status, person_of(session, hosted=self._parts.hosted))
        return view

    def _composed(self, view: TurnView, text: str, wishes: Wishes) -> tuple[LLMClient, Composed]:
        parts, session, text = self._parts, view.session, well_formed(text)
        question = asked_now("user", text)
        asked = compose(session, (), question, wishes, parts.settings, parts.plugins, hosted=parts.hosted)
        persona, phase = parts.instructions.persona(session), phase_in(view.phase)
        version = f"{session.prompt_version}/{phase}" if phase else ""
        asked = replace(asked, view=view, prompt_version=version)
        client, line = self._client(session), parts.instructions.line(session, phase)
        context = Context(parts, client, parts.given.of(session), view, asked, text, persona, line)
        return client, context.compose()

    def _client(self, session: Session) -> LLMClient:
        return self._parts.client(session.client or self._parts.settings.client_name, session.meta.get("api"))

    def _reply(self, client: LLMClient, asked: TurnRequest) -> Reply:
        service = self._parts.service
        return Reply(self._loop, lambda emit: Turn(service, client, asked, emit, self.shared))


def asked_now(role: str, text: str) -> Message:
    """Return a question that is asked at this moment; the ledger gives its turn."""
    now = time.time()
    return Message(0, role, well_formed(text), created_at=now, asked_at=now)
