"""What a session's budget carries, before it is opened: its first prompt is known to the token."""

from __future__ import annotations

from ib_kernel.budget.forecast import QUESTION
from ib_kernel.errors import BudgetRefused
from ib_kernel.interview.challenges import Challenge
from ib_kernel.interview.parts import Parts
from ib_kernel.interview.personas import Persona
from ib_kernel.interview.prompts import build_messages
from ib_kernel.turn.learned_bound import LearnedBound
from ib_kernel.values import ChatRequest, Count, LLMClient, NewSession

SHORTEST = 64
"""Tokens of the shortest question and reply that are worth a session."""


def first_prompt(
    parts: Parts, client: LLMClient, session: NewSession, challenge: Challenge | None, persona: Persona
) -> Count:
    """Return the count of prompt and task, without a question, with the bound that admission will use.

    Args:
        parts: Settings, plugins and counters.
        client: Whose request bodies are counted.
        session: What is to be opened.
        challenge: What it is given, its private part included.
        persona: What the AI is.
    """
    settings = parts.settings
    model = parts.plugins.model(session.model, settings, session.client)
    messages = build_messages(session, challenge, (), "", persona=persona)
    request = ChatRequest(session.model, messages, settings.reply_tokens, extra={})
    count = parts.service.counter.count_request(client.body(request), model.counts_as or model.name)
    least = min(settings.min_reply_tokens, settings.reply_tokens)
    return LearnedBound().applied(count, model, least)


def require_a_turn(parts: Parts, session: NewSession, prompt: Count) -> None:
    """Refuse a budget that carries no turn at all, naming the least that does.

    Args:
        parts: The settings.
        session: What is to be opened.
        prompt: Its first prompt, as `first_prompt` returns it.

    Raises:
        BudgetRefused: Not even a short question and a short reply fit.
    """
    sent = prompt.tokens if prompt.upper is None else prompt.upper
    settings, budget = parts.settings, session.token_budget
    least_reply = min(settings.min_reply_tokens, settings.reply_tokens)
    charged = 0 if session.charge == "new" else sent
    if budget >= charged + SHORTEST:
        return
    least = charged + QUESTION + least_reply
    why = f"prompt and task have {sent:,} tokens" if charged else "a question and its reply need more"
    raise BudgetRefused(
        f"not started. A budget of {budget:,} tokens carries no turn: {why}. Give --budget {least} at least: "
        f"that is one turn with a question of {QUESTION} and a reply of {least_reply} tokens.",
        needed=least,
        left=budget,
    )
