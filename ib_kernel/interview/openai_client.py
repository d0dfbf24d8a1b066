"""The client under the names users know: `chat_completion`, `stream_chat_completion`, `validate_api_key`.

A facade over the one pipeline, never a way around the budget: every call counts, reserves and settles in a
session, the one it is given or one that it opens with the settings' budget at its first call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from ib_kernel.budget.access import forward
from ib_kernel.budget.counting import Counting
from ib_kernel.errors import ConfigError
from ib_kernel.interview.fields import check_messages, text_of_message
from ib_kernel.interview.interview import Interview
from ib_kernel.interview.turns import asked_now
from ib_kernel.settings import Settings
from ib_kernel.turn.reply import Reply
from ib_kernel.turn.turn import TurnResult
from ib_kernel.values import TokenCounter

Messages = Sequence[Mapping[str, Any]]


class BudgetedClient:
    """Chat completions under a session's budget. Build it with `get_openai_client`."""

    def __init__(self, interview: Interview) -> None:
        self.interview = interview
        self.settings = interview.settings
        self.plugins = interview.plugins
        self._counting = Counting(self.settings, self.plugins)

    count_tokens = forward("_counting", Counting.count_tokens)
    count_message_tokens = forward("_counting", Counting.count_message_tokens)
    count_request = forward("_counting", Counting.count_request)
    estimate_completion_tokens = forward("_counting", Counting.estimate_completion_tokens)
    check_token_limit = forward("_counting", Counting.check_token_limit)
    get_model_limit = forward("_counting", Counting.get_model_limit)

    @property
    def counter(self) -> TokenCounter:
        """The counter that the settings choose; built at first use."""
        return self._counting.counter

    async def chat_completion(
        self,
        messages: Messages,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """Ask for one completion and wait for all of it.

        Args:
            messages: Chat Completions messages.
            model: Another model than the session's; None: its own.
            temperature: None: the session's.
            max_tokens: The reply's tokens at most, refused rather than shrunk; None: `Settings.reply_tokens`.
            extra: Further request fields by their API names (``stream=False`` asks for the reply in one
                piece).

        Returns:
            ``{content, usage, model, finish_reason, id, created}``; ``usage`` has prompt_tokens,
            completion_tokens, total_tokens, cached_tokens, reasoning_tokens and source ("api", "counted",
            "upper_bound").

        Raises:
            BuddyError: What refuses or fails the call, as `ib_kernel.errors` names it.
        """
        async with self._send(messages, model, temperature, max_tokens, extra) as reply:
            async for _ in reply:
                pass
        if reply.result is None:
            raise reply.stop_line()
        return _completion(reply.result)

    async def stream_chat_completion(
        self,
        messages: Messages,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        **extra: Any,
    ) -> AsyncIterator[str]:
        """Yield the reply's text piece by piece; ``aclose`` ends the HTTP response and settles.

        Args:
            messages: Chat Completions messages.
            model: Another model than the session's; None: its own.
            temperature: None: the session's.
            max_tokens: The reply's tokens at most, refused rather than shrunk; None: `Settings.reply_tokens`.
            extra: Further request fields by their API names (``stream=False`` asks for the reply in one
                piece).

        Raises:
            BuddyError: What refuses or fails the call, as `ib_kernel.errors` names it.
        """
        async with self._send(messages, model, temperature, max_tokens, extra) as reply:
            async for piece in reply:
                yield piece

    async def validate_api_key(self) -> bool:
        """Return True if the service accepts the key. Costs no tokens. Raises `ClientError` otherwise."""
        client = self.interview.client(self.settings.client_name)
        return bool(await asyncio.to_thread(lambda: self.interview.call(client.validate_api_key())))

    def close(self) -> None:
        """Close the connection pool, the loop and the ledger."""
        self.interview.close()

    def _send(
        self,
        messages: Messages,
        model: str | None,
        temperature: float | None,
        max_tokens: int | None,
        extra: Mapping[str, Any],
    ) -> Reply:
        if isinstance(messages, str) or not messages:
            raise ConfigError('messages must be a list such as [{"role": "user", "content": "…"}]')
        check_messages(messages)
        if self.interview.session_id is None:
            self.interview.start(model=model, temperature=temperature)
        question = asked_now(str(messages[-1]["role"]), text_of_message(messages[-1]))
        return self.interview.send(
            messages, question, max_tokens=max_tokens, model=model, temperature=temperature, extra=extra
        )


def get_openai_client(settings: Settings | None = None, *, session_id: str | None = None) -> BudgetedClient:
    """Return a client for Chat Completions under a session's budget.

    Args:
        settings: None: looked up now.
        session_id: The session that pays; None: one that is opened at the first call.

    Raises:
        UnknownSession: There is no such session.
    """
    return BudgetedClient(Interview(settings, session_id=session_id))


def _completion(result: TurnResult) -> dict[str, Any]:
    end = result.end
    return {
        "content": result.text,
        "usage": {
            "prompt_tokens": end.input_tokens,
            "completion_tokens": end.output_tokens,
            "total_tokens": end.input_tokens + end.output_tokens,
            "cached_tokens": end.cached_tokens,
            "reasoning_tokens": end.reasoning_tokens,
            "source": end.source,
        },
        "model": end.model_returned or result.model.name,
        "finish_reason": end.finish_reason,
        "id": end.response_id,
        "created": result.created,
    }
