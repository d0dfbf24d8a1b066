"""What a recorded turn must have sent: built again from prompt, challenge and transcript, to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ib_kernel.interview.compose import Wishes, compose
from ib_kernel.interview.parts import Parts
from ib_kernel.interview.prompts import build_messages
from ib_kernel.values import Message, Session


def possible_bodies(
    parts: Parts, session: Session, history: Sequence[Message], turn: int, *, model: str, first: int
) -> list[Mapping[str, Any]]:
    """Return the bodies that a turn may have sent: as it is, and with the lines that may have ended it.

    Args:
        parts: Settings, plugins and challenges as they are now.
        session: The turn's session.
        history: Its whole transcript.
        turn: The turn.
        model: The model that was asked.
        first: The oldest turn that went along; 0 for all.

    Returns:
        Nothing when the transcript has no question of that turn.
    """
    question = next((m for m in history if m.turn == turn and m.role == "user"), None)
    if question is None:
        return []
    at = question.asked_at if question.asked_at is not None else question.created_at
    whole = {m.turn: max(n.created_at for n in history if n.turn == m.turn) for m in history}
    earlier = [m for m in history if m.turn != turn and m.turn >= first and whole[m.turn] <= at]
    asked = compose(session, (), question, Wishes(model=model), parts.settings, parts.plugins)
    client = parts.client(session.client or parts.settings.client_name, session.meta.get("api"))
    challenge = parts.given.of(session)
    persona = parts.instructions.persona(session)
    bodies: list[Mapping[str, Any]] = []
    for phase in parts.instructions.lines_used(session):
        for wrap_up in (False, True):
            messages = build_messages(
                session, challenge, earlier, question.content, wrap_up=wrap_up, persona=persona, phase=phase
            )
            bodies.append(client.body(replace(asked.request, messages=messages)))
    return bodies
