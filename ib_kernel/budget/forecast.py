"""How many turns are left: each prompt carries the conversation so far, and so is longer than the last.

What is sent again is known to the token: it is what was said. Only what comes next is guessed, by what a
session's own questions and replies have been like, and by `QUESTION` and `REPLY` before there are any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ib_kernel.values import Spent, Totals

QUESTION = 150
REPLY = 400
"""Tokens of a question and of a reply until a session has its own (our assumption, 2026-11)."""

FRAME = 8
"""Tokens that the question and the reply of one turn have around them when they are sent again: two messages
of four (docs/counting.md)."""

RECENT = 8
"""Turns whose sizes are looked at, the newest."""

KEEP = 4
"""Turns that stay in a prompt at the least when older ones are left out to spare the bill."""

MOST = 10_000
"""No more turns than this are foretold."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What the next turns of one session are like, in tokens.

    Attributes:
        prompt: What goes along with the next question: prompt, task and everything said so far.
        question: A question.
        reply: A reply, reasoning included.
        again: What of a question and its reply is sent again with every later turn.
        prefix: The part of `prompt` that was not said in the conversation: system prompt and task.
    """

    prompt: float
    question: float = QUESTION
    reply: float = REPLY
    again: float = QUESTION + REPLY + FRAME
    prefix: float = 0.0

    @property
    def least_prompt(self) -> float:
        """The prompt when only the last `KEEP` turns go along."""
        return min(self.prompt, self.prefix + KEEP * self.again) + self.question


@dataclass(frozen=True, slots=True)
class Means:
    """What there is to spend, in tokens.

    Attributes:
        left: What can still be charged.
        least_reply: A turn that leaves less for its reply is refused.
        new: Only the question and the reply are charged, not what is sent again.
        bill_left: What can still be billed, where that is limited as well.
        room: What a prompt may have at most; older turns are left out to keep to it.
    """

    left: float
    least_reply: int = 1
    new: bool = False
    bill_left: float | None = None
    room: float | None = None


def turns_left(pace: Pace, means: Means) -> int:
    """Return how many turns are admitted before one is refused; `MOST` at most.

    Args:
        pace: What the turns are like.
        means: What there is to spend.
    """
    surely = _whole_turns(pace, means)
    left, bill = _after(surely, pace, means)
    for turns in range(surely, MOST):
        sent, billed = _sent(turns, pace, means)
        charged = pace.question if means.new else sent
        fits = left - charged
        if bill is not None:
            fits = min(fits, bill - billed)
        if fits < means.least_reply:
            return turns
        reply = min(pace.reply, fits)
        left -= charged + reply
        bill = None if bill is None else bill - billed - reply
    return MOST


def _whole_turns(pace: Pace, means: Means) -> int:
    """Return how many turns fit with whole replies. Prompts never shrink, so that it can be halved for."""
    low, high, unused = 0, MOST, max(0.0, means.least_reply - pace.reply)
    while low < high:
        turns = (low + high + 1) // 2
        left, bill = _after(turns, pace, means)
        fits = left >= unused and (bill is None or bill >= unused)
        low, high = (turns, high) if fits else (low, turns - 1)
    return low


def _after(turns: int, pace: Pace, means: Means) -> tuple[float, float | None]:
    """Return what is left to charge and to bill after so many turns with whole replies."""
    start, replies = pace.prompt + pace.question, turns * pace.reply
    sent = _sum(turns, start, pace.again, means.room)
    left = means.left - (turns * pace.question if means.new else sent) - replies
    if means.bill_left is None:
        return left, None
    least = min(pace.least_prompt, pace.least_prompt if means.room is None else means.room)
    billed = _sum(turns, start, pace.again, least) if means.new else sent
    return left, means.bill_left - billed - replies


def _sent(turn: int, pace: Pace, means: Means) -> tuple[float, float]:
    """Return the prompt of a turn, and what of it is billed.

    Under `new`, a tight bill leaves out old turns.
    """
    prompt = pace.prompt + pace.question + turn * pace.again
    sent = prompt if means.room is None else min(prompt, means.room)
    return sent, min(sent, pace.least_prompt) if means.new else sent


def _sum(turns: int, start: float, step: float, most: float | None) -> float:
    """Return the sum of so many prompts that begin at *start* and grow by *step*, each *most* at most."""
    growing = turns
    if most is not None and start + turns * step > most:
        growing = 0 if start >= most or step <= 0 else min(turns, math.ceil((most - start) / step))
    rest = 0.0 if most is None else (turns - growing) * most
    return growing * start + step * growing * (growing - 1) / 2 + rest


def first_pace(prefix: int, reply_tokens: int) -> Pace:
    """Return the pace of a session that has said nothing yet.

    Args:
        prefix: Tokens of its prompt and task, without a question.
        reply_tokens: Tokens that are asked for a reply at most.
    """
    reply = min(REPLY, reply_tokens)
    return Pace(prefix, reply=reply, again=QUESTION + reply + FRAME, prefix=prefix)


def pace_of(spent: Sequence[Spent], said: Sequence[tuple[int, int]]) -> Pace | None:
    """Return the pace of a session that has had turns.

    Args:
        spent: Its settled attempts, in order.
        said: (question, reply) of its transcript's turns in order, in tokens of text; empty where none is
            kept: then prompts are taken to go on growing as they did.

    Returns:
        None while no turn has been answered.
    """
    answered = {call.turn: call for call in spent if call.turn > 0 and call.output_tokens > 0}
    turns = [answered[turn] for turn in sorted(answered)]
    if not turns:
        return None
    last, recent = turns[-1], turns[-RECENT:]
    reply = sum(call.output_tokens for call in recent) / len(recent)
    if not said:
        return _without_texts(recent, reply)
    ratio = last.input_tokens / last.counted_tokens if last.counted_tokens and last.input_tokens else 1.0
    questions, replies = zip(*said[-RECENT:], strict=True)
    question, shown = ratio * sum(questions) / len(questions), ratio * sum(replies) / len(replies)
    return Pace(
        prompt=last.input_tokens + ratio * replies[-1] + FRAME,
        question=question,
        reply=reply,
        again=question + shown + FRAME,
        prefix=max(0.0, turns[0].input_tokens - ratio * said[0][0]),
    )


def _without_texts(turns: Sequence[Spent], reply: float) -> Pace:
    """Return the pace that rows alone show: what prompts have grown by from turn to turn, if they have."""
    first, last = turns[0].input_tokens, turns[-1].input_tokens
    growth = max(0.0, (last - first) / (len(turns) - 1)) if len(turns) > 1 else 0.0
    return Pace(last + growth, question=0, reply=reply, again=growth, prefix=first)


def average_turns_left(totals: Totals) -> int | None:
    """Return how many turns of the average size so far still fit; None before the first."""
    return totals.left * totals.turns // totals.used if totals.turns and totals.used else None
