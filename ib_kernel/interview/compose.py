"""What was asked as the request of one turn: the session's choices, its lock, and the caller's wishes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ib_kernel.budget.lock import fixes as lock_fixes
from ib_kernel.budget.lock import is_locked, require_same_turn
from ib_kernel.interview.fields import parse_reply_tokens, read_extra
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.turn.admission import Person
from ib_kernel.turn.turn import TurnRequest
from ib_kernel.values import ChatRequest, Message, Session


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a caller asks for beside the messages; None leaves it to the session.

    `request_id` and `request_sha` make a repeated request known (see `CallStart`).
    """

    max_tokens: int | None = None
    model: str | None = None
    temperature: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = ""
    request_sha: str = ""


def compose(
    session: Session,
    messages: Sequence[Mapping[str, Any]],
    question: Message,
    wishes: Wishes,
    settings: Settings,
    plugins: Plugins,
    *,
    hosted: bool = False,
) -> TurnRequest:
    """Return the turn's request. Raises what refuses it before anything about tokens is known."""
    api = session.meta.get("api") or settings.api
    extra, n, max_tokens = read_extra(wishes.extra, wishes.max_tokens, api)
    name = wishes.model or session.model
    info = plugins.model(name, settings, session.client or settings.client_name)
    fixed, temperature = lock_fixes(session), wishes.temperature
    if temperature is None:
        default = fixed.get("temperature", settings.temperature)
        temperature = session.meta.get("temperature", default)
    longest = min(settings.reply_tokens, fixed.get("reply_tokens", settings.reply_tokens))
    reply_tokens = parse_reply_tokens(longest if max_tokens is None else max_tokens)
    require_same_turn(session, model=name, temperature=temperature, reply_tokens=reply_tokens)
    request = ChatRequest(
        model=name,
        messages=tuple(messages),
        max_completion_tokens=reply_tokens,
        temperature=temperature if info.accepts_temperature else None,
        n=n,
        extra=extra,
        cache_key=cache_key(session),
    )
    return TurnRequest(
        session,
        request,
        info,
        question,
        explicit=max_tokens is not None,
        request_id=wishes.request_id,
        request_sha=wishes.request_sha,
        person=person_of(session, hosted=hosted),
    )


def cache_key(session: Session) -> str:
    """Return the name of the session's conversation for a service's cache: its id, or its hash if it is long.

    OpenAI takes up to 64 characters (API reference, read 2026-11).
    """
    key = session.session_id
    return key if len(key) <= 64 else hashlib.sha256(key.encode()).hexdigest()


def person_of(session: Session, *, hosted: bool) -> Person:
    """Return who asks: somebody who can change the session's limits, needs a passphrase for it, or cannot."""
    return "hosted" if hosted else "locked" if is_locked(session) else "owner"
