"""Reads one attempt's stream: what is shown, what was thought, and how long silence may last."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ib_kernel.errors import ClientError, StreamBroken, TimedOut
from ib_kernel.settings import Settings
from ib_kernel.turn.patience import Patience
from ib_kernel.turn.reply_text import OPENED_IN_PROMPT, ReplyText, lone_end, may_end_thought
from ib_kernel.turn.token_cap import ReplyTruncator
from ib_kernel.turn.usage import Attempt
from ib_kernel.values import Done, LLMClient, Piece, Thinking, ends

THOUGHT_CHARS = 16
"""Characters of reasoning per token of the cap after which a service ignores the cap for certain."""

THINKING = "thinking…"
"""The line shown while a model reasons; whoever shows it adds for how long."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to show while waiting, such as an announced retry; not part of the reply."""

    text: str


class Receiver:
    """Reads one attempt to its end. *emit* gets each `Piece` to show and each `Notice`.

    Any sign of life restarts the wait for the next piece: reasoning, thoughts at the start of a reply, a
    keep-alive. *deadline* (`time.monotonic`) ends the turn whatever comes. *thinkers* are models that were
    seen to send a thought without its opening mark; one that is seen now is added.
    """

    def __init__(
        self,
        client: LLMClient,
        settings: Settings,
        emit: Callable[[Piece | Notice], None],
        count_text: Callable[[str], int],
        deadline: float,
        thinkers: set[str],
    ) -> None:
        self._client, self._settings, self._emit = client, settings, emit
        self._count_text, self._deadline = count_text, deadline
        self._thinkers, self._model = thinkers, ""

    async def read(self, attempt: Attempt, body: dict[str, Any]) -> Done:
        """Send a request and read the reply into *attempt*.

        Args:
            attempt: Gets what arrives, and when.
            body: The request.

        Returns:
            How the reply ended; its finish reason is "cap" where we ended it at the attempt's cap.

        Raises:
            TimedOut: The first piece, a further one or the end was late.
            StreamBroken: The client's stream ended without a result.
            ClientError: What the client says.
        """
        whole = body.get("stream") is False  # then nothing is saved by leaving before the figures come
        cap = attempt.plan.cap
        meter = ReplyTruncator(cap, self._count_text)
        self._model = str(body.get("model", ""))
        text = ReplyText(opened=self._thinks_first())
        thought = 0
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with Patience() as patience:
                    patience.wait_for(self._may_take(attempt))
                    stream = await stack.enter_async_context(self._client.stream(body))
                    while True:
                        patience.wait_for(self._may_take(attempt))
                        event = await anext(stream)
                        attempt.last_sign = time.monotonic()
                        if isinstance(event, Piece):
                            thinking, piece = text.take(event.text)
                        elif isinstance(event, Thinking):
                            thinking, piece = event.text, ""
                            text.separated()
                            self._say_thinking(attempt)
                        elif isinstance(event, Done):
                            return self._ended(attempt, event, text, meter)
                        else:
                            continue
                        thought += self._think(attempt, thinking)
                        if text.held and not thought:
                            self._say_thinking(attempt)
                        if piece and not meter.full:
                            meter = self._show(attempt, piece, meter)
                        if (meter.full or thought + text.held > THOUGHT_CHARS * cap) and not whole:
                            self._flush(attempt, text, meter, whole=False)
                            return Done("cap")
            except BaseException as error:
                late = self._late(attempt, error)
                self._flush(attempt, text, meter, whole=False)  # what was held back came before the end, too
                if late is not None:
                    raise late from None
                raise

    def _ended(self, attempt: Attempt, done: Done, text: ReplyText, meter: ReplyTruncator) -> Done:
        meter = self._flush(attempt, text, meter, whole=ends.word_of(done.finish_reason) not in ends.CUT)
        return dataclasses.replace(done, finish_reason="cap") if meter.full else done

    def _flush(
        self, attempt: Attempt, text: ReplyText, meter: ReplyTruncator, *, whole: bool
    ) -> ReplyTruncator:
        thinking, piece = text.end(whole=whole)
        if thinking:
            attempt.reasoning.append(thinking)
        return self._show(attempt, piece, meter) if piece and not meter.full else meter

    def _show(self, attempt: Attempt, piece: str, meter: ReplyTruncator) -> ReplyTruncator:
        """Show what fits of *piece*; return what measures the rest."""
        fits = meter.take(piece)
        if not fits:
            return meter
        attempt.add(fits)
        if may_end_thought(fits) and (ended := lone_end(attempt.text)) is not None:
            return self._all_thought(attempt, *ended)
        self._emit(Piece(fits))
        return meter

    def _all_thought(self, attempt: Attempt, thought: str, reply: str) -> ReplyTruncator:
        """Take what was shown for a thought; the reply begins only now, and the next ones will wait."""
        self._thinkers.add(self._model)
        attempt.thinks = True
        attempt.reasoning.append(thought)
        attempt.pieces.clear()
        return self._show(attempt, reply, ReplyTruncator(attempt.plan.cap, self._count_text))

    def _thinks_first(self) -> bool:
        name = self._model.lower()
        return self._model in self._thinkers or any(part in name for part in OPENED_IN_PROMPT)

    def _think(self, attempt: Attempt, thinking: str) -> int:
        """Note what was thought; return its characters."""
        if thinking:
            self._say_thinking(attempt)
            attempt.reasoning.append(thinking)
        return len(thinking)

    def _say_thinking(self, attempt: Attempt) -> None:
        if not attempt.thinks and attempt.first_piece is None:
            attempt.thinks = True
            self._emit(Notice(THINKING))

    def _may_take(self, attempt: Attempt) -> float:
        """Return the seconds that the first piece, a further one or the end may take from now on."""
        now = time.monotonic()
        limit = self._settings.gap_s
        if attempt.first_piece is None:
            since = attempt.last_sign if attempt.last_sign is not None else attempt.started
            limit = self._settings.first_piece_s - (now - since)
        return max(0.0, min(limit, self._deadline - now))

    def _late(self, attempt: Attempt, error: BaseException) -> ClientError | None:
        """Return what to raise for a step that was late, or a stream that stopped; None: *error* itself."""
        if isinstance(error, StopAsyncIteration):
            return StreamBroken(f"the client {self._client.name!r} ended its stream without a result.")
        if not isinstance(error, TimeoutError):
            return None
        what = "the reply stalled and was given up"
        if attempt.first_piece is None:
            what = "the model was still thinking" if attempt.thinks else "no reply came"
        waited = time.monotonic() - attempt.started
        return TimedOut(f"{what} after {waited:.0f} s; what it has cost is in doubt (see %budget).")
