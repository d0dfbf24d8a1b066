"""What goes along with a question: prompt, task, and as much of the conversation as fits.

What does not fit is left out from the oldest turns on, never the task: for the model's window, and, where
only new text is charged, so that the ceiling on the bill carries as many turns as the budget does. The last
turn that the budget carries asks the model to wrap up.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

from ib_kernel.budget.forecast import Means, Pace, first_pace, turns_left
from ib_kernel.interview.challenges import Challenge
from ib_kernel.interview.parts import Parts
from ib_kernel.interview.personas import Persona
from ib_kernel.interview.prompts import build_messages
from ib_kernel.turn.learned_bound import LearnedBound
from ib_kernel.turn.turn import TurnRequest
from ib_kernel.values import Count, LLMClient
from ib_kernel.values.turn_view import TurnView


@dataclass(frozen=True, slots=True)
class Composed:
    """One turn's request as it would be sent.

    Attributes:
        request: What is sent.
        new: Tokens of the question.
        turns_left: How many turns fit, this one included.
        reply: How long the reply is expected to be, in tokens.
    """

    request: TurnRequest
    new: int
    turns_left: int
    reply: int


class Context:
    """Composes one turn.

    Args:
        parts: Settings, ledger, counters.
        client: Whose request bodies are counted.
        challenge: What the session was given.
        view: The session with its sums and its transcript.
        asked: The turn's request with everything but its messages.
        text: The question or answer.
        persona: What the AI is.
        phase: The line of the phase that the interview is in, "" for none.
    """

    def __init__(
        self,
        parts: Parts,
        client: LLMClient,
        challenge: Challenge | None,
        view: TurnView,
        asked: TurnRequest,
        text: str,
        persona: Persona,
        phase: str = "",
    ) -> None:
        self._persona, self._phase = persona, phase
        self._parts, self._client, self._challenge = parts, client, challenge
        self._view, self._asked, self._text = view, asked, text
        self._turns = sorted({m.turn for m in view.history if m.role in ("user", "assistant") and m.content})
        counts_as = asked.model.counts_as or asked.model.name
        self._new = parts.service.counter.count_text(text, counts_as).tokens
        self._counts: dict[tuple[int, bool], Count] = {}
        self._composed: dict[tuple[int, bool], tuple[dict[str, str], ...]] = {}

    def compose(self) -> Composed:
        """Return what is sent."""
        pace, means = self._pace(self._count(0)), self._means
        fits = turns_left(pace, means)
        left_out = self._left_out(self._most(pace, means, fits))
        wrap_up = fits == 1 and self._is_worth_wrapping_up(pace, means, left_out)
        request = dataclasses.replace(self._asked.request, messages=self._messages(left_out, wrap_up))
        composed = dataclasses.replace(
            self._asked,
            request=request,
            history_from_turn=self._from_turn(left_out),
            new=self._new if means.new else None,
            count=self._counts.get((left_out, wrap_up)),
        )
        reply = min(round(pace.reply), request.max_completion_tokens)
        return Composed(composed, self._new, fits, reply)

    # --- how much goes along

    def _left_out(self, most: int) -> int:
        """Return how many of the oldest turns are left out so that the prompt has *most* tokens."""
        if self._count(0) <= most:
            return 0
        return bisect_left(range(len(self._turns)), -most, key=lambda n: -self._count(n))

    def _most(self, pace: Pace, means: Means, fits: int) -> int:
        """Return how many tokens the prompt may have, for the window and for the bill."""
        window, model = self._asked.model.context_window, self._asked.model
        reply = min(self._asked.request.max_completion_tokens, model.max_output)
        if self._count(0) + reply > window and self._count(len(self._turns)) + reply > window:
            reply = self._least_reply  # even prompt and task alone leave less
        most = window - reply if model.max_input is None else min(window - reply, model.max_input)
        if means.new and means.bill_left is not None:
            later = (fits - 1) * (pace.least_prompt + pace.reply)
            most = min(most, round(means.bill_left - later - pace.reply))
        return most

    def _from_turn(self, left_out: int) -> int | None:
        """Return the first turn that goes along; None: all of them."""
        if not left_out:
            return None
        return self._turns[left_out] if left_out < len(self._turns) else self._turns[-1] + 1

    def _is_worth_wrapping_up(self, pace: Pace, means: Means, left_out: int) -> bool:
        """Return True if the turn still fits with the line that asks to wrap up."""
        longer = self._count(left_out, wrap_up=True) - self._count(left_out)
        return turns_left(dataclasses.replace(pace, prompt=pace.prompt + longer), means) > 0

    # --- figures

    @cached_property
    def _least_reply(self) -> int:
        asked = self._asked.request.max_completion_tokens
        minimum = self._parts.settings.min_reply_tokens
        return asked if self._asked.explicit else min(asked, minimum)

    @cached_property
    def _means(self) -> Means:
        means = self._parts.service.means(self._view.session, self._view.totals, self._asked.model)
        return dataclasses.replace(means, least_reply=self._least_reply)

    def _pace(self, prompt: int) -> Pace:
        """Return the session's pace with this prompt as the next one."""
        known = self._parts.service.pace(self._view.session, self._view.totals, self._view)
        if known is None:
            known = first_pace(prompt - self._new, self._asked.request.max_completion_tokens)
        return dataclasses.replace(known, prompt=max(0, prompt - self._new), question=self._new)

    @cached_property
    def _bound(self) -> LearnedBound:
        service, session = self._parts.service, self._asked.session
        return LearnedBound.read(service.store, session.session_id, self._asked.request.model)

    def _count(self, left_out: int, *, wrap_up: bool = False) -> int:
        """Return the bound of the prompt without so many of the oldest turns, as admission uses it."""
        model, count = self._asked.model, self._counts.get((left_out, wrap_up))
        if count is None:
            messages = self._messages(left_out, wrap_up)
            body = self._client.body(dataclasses.replace(self._asked.request, messages=messages))
            count = self._parts.service.counter.count_request(body, model.counts_as or model.name)
            self._counts[left_out, wrap_up] = count
        if count.by_bytes:
            count = self._bound.applied(count, model, self._least_reply)
        return count.tokens if count.upper is None else count.upper

    def _messages(self, left_out: int, wrap_up: bool = False) -> tuple[dict[str, str], ...]:
        if (left_out, wrap_up) not in self._composed:
            self._composed[left_out, wrap_up] = self._build(left_out, wrap_up)
        return self._composed[left_out, wrap_up]

    def _build(self, left_out: int, wrap_up: bool) -> tuple[dict[str, str], ...]:
        first = self._from_turn(left_out) or 0
        history = [m for m in self._view.history if m.turn >= first]
        return build_messages(
            self._asked.session,
            self._challenge,
            history,
            self._text,
            wrap_up=wrap_up,
            persona=self._persona,
            phase=self._phase,
        )
