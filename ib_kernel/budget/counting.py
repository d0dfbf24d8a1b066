"""Counting by name: the functions users know, on top of whichever counter is chosen.

Text that cannot be counted exactly is still counted (see `Count`); these functions return the best
estimate as a plain number. `count_request` returns the whole `Count`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ib_kernel.errors import ConfigError
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import Count, TokenCounter

log = logging.getLogger(__name__)


def estimate_completion_tokens(
    prompt_tokens: int, max_tokens: int | None = None, settings: Settings | None = None
) -> int:
    """Estimate a reply's tokens: as long as its prompt, within `min_reply_tokens` … `reply_tokens`.

    A rule of thumb for planning (chosen 2026-11); what a call reserves is its cap.

    Args:
        prompt_tokens: Tokens of the prompt.
        max_tokens: The estimate is never more than this; None: `Settings.reply_tokens`.
        settings: Where the limits come from; None: looked up now.
    """
    chosen = settings or Settings()
    ceiling = chosen.reply_tokens if max_tokens is None else max_tokens
    return min(ceiling, max(min(chosen.min_reply_tokens, ceiling), prompt_tokens))


class Counting:
    """Counting with the counter and the models that some settings choose. Offline."""

    def __init__(self, settings: Settings | None = None, plugins: Plugins | None = None) -> None:
        self.settings = settings or Settings()
        self.plugins = plugins or Plugins()

    @cached_property
    def counter(self) -> TokenCounter:
        """The counter that the settings choose; built at first use."""
        return self.plugins.counter(self.settings)

    def count_tokens(self, text: str, model: str | None = None) -> int:
        """Count the tokens of *text*.

        Args:
            text: Any text; what looks like a special token counts as ordinary text.
            model: Whose rules to count by; None: the settings' model.

        Returns:
            The best estimate, in tokens.
        """
        return self.counter.count_text(text, self._counts_as(model)).tokens

    def estimate_tokens(self, text: str, model: str | None = None) -> int:
        """Return the tokens of *text* alone: no message around it, no reply.

        What a whole call may need is `estimate_call_tokens`.

        Args:
            text: Any text.
            model: Whose rules to count by; None: the settings' model.

        Raises:
            ConfigError: When *text* is no text.
        """
        if not isinstance(text, str):
            raise ConfigError(
                f"estimate_tokens takes a text, not {type(text).__name__}; "
                "for messages use count_message_tokens, for a call and its reply estimate_call_tokens"
            )
        return self.count_tokens(text, model)

    def estimate_call_tokens(
        self,
        prompt: str | Sequence[Mapping[str, Any]],
        model: str | None = None,
        max_tokens: int | None = None,
    ) -> int:
        """Estimate what a call may need: the prompt's upper bound and a reply.

        Args:
            prompt: Chat Completions messages, or a text, which is one message of a user.
            model: Whose rules to count by; None: the settings' model.
            max_tokens: The reply's tokens at most; None: `Settings.reply_tokens`.

        Returns:
            Tokens, input and output together: what to pass to `reserve_tokens`.
        """
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        count = self.count_request({"messages": messages}, model)
        needed = count.tokens if count.upper is None else count.upper
        return needed + self.estimate_completion_tokens(needed, max_tokens)

    def count_message_tokens(
        self,
        /,
        messages: Sequence[Mapping[str, Any]],
        model: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        **fields: Any,
    ) -> int:
        """Count the prompt tokens of Chat Completions messages.

        Args:
            messages: The messages, as the API takes them.
            model: Whose rules to count by; None: the settings' model.
            tools: Tool definitions that go along.
            **fields: Further fields of the request that cost tokens, by their API names.

        Returns:
            The best estimate, in tokens.
        """
        body = {"messages": list(messages), **({"tools": list(tools)} if tools else {}), **fields}
        return self.count_request(body, model).tokens

    def count_request(self, body: Mapping[str, Any], model: str | None = None) -> Count:
        """Count the prompt tokens of a whole request body.

        Args:
            body: The request as it would be sent, with ``messages`` or ``input``.
            model: Whose rules to count by; None: the settings' model.

        Returns:
            The best estimate, whether it is exact, and an upper bound.
        """
        count = self.counter.count_request(body, self._counts_as(model))
        log.debug("counted %d prompt tokens (exact=%s, upper=%s)", count.tokens, count.exact, count.upper)
        return count

    def check_token_limit(
        self, prompt_tokens: int, max_completion_tokens: int, model: str | None = None
    ) -> bool:
        """Return True if prompt and reply fit into the model's context window and output limit.

        Args:
            prompt_tokens: Tokens of the prompt.
            max_completion_tokens: Tokens of the reply at most.
            model: The model; None: the settings'.

        Raises:
            UnknownModel: For a model whose limits are not known.
        """
        info = self.plugins.model(model or self.settings.model, self.settings)
        fits = prompt_tokens + max_completion_tokens <= info.context_window
        return fits and max_completion_tokens <= info.max_output

    def get_model_limit(self, model: str | None = None) -> int:
        """Return the model's context window in tokens. `UnknownModel` when it is not known.

        Args:
            model: The model; None: the settings'.
        """
        return self.plugins.model(model or self.settings.model, self.settings).context_window

    def estimate_completion_tokens(self, prompt_tokens: int, max_tokens: int | None = None) -> int:
        """Estimate a reply's tokens (see the function of the same name).

        Args:
            prompt_tokens: Tokens of the prompt.
            max_tokens: The reply's tokens at most; None: `Settings.reply_tokens`.
        """
        return estimate_completion_tokens(prompt_tokens, max_tokens, self.settings)

    def _counts_as(self, model: str | None) -> str:
        """Return the model whose counting rules apply: aliases resolved, unknown names as they are."""
        model = model or self.settings.model
        try:
            info = self.plugins.model(model, self.settings)
        except ValueError:
            return model
        return info.counts_as or info.name


_lock = threading.Lock()
_default: Counting | None = None


def _counting() -> Counting:
    global _default
    with _lock:
        _default = _default or Counting()
        return _default


def count_tokens(text: str, model: str | None = None) -> int:
    """Count the tokens of *text* as *model* (default: the settings' model) sees it. Offline.

    Args:
        text: Any text.
        model: Whose rules to count by; None: the settings'.

    Returns:
        The best estimate, in tokens.
    """
    return _counting().count_tokens(text, model)


def count_message_tokens(
    messages: Sequence[Mapping[str, Any]],
    model: str | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    **fields: Any,
) -> int:
    """Count the prompt tokens of Chat Completions *messages* (best estimate). Offline.

    Args:
        messages: Chat Completions messages.
        model: Whose rules to count by; None: the settings'.
        tools: Tool definitions that go along.
        fields: Further fields of the request that cost tokens, by their API names.

    Returns:
        The best estimate, in tokens.
    """
    return _counting().count_message_tokens(messages, model, tools, **fields)


def check_token_limit(prompt_tokens: int, max_completion_tokens: int, model: str | None = None) -> bool:
    """Return True if prompt and reply fit into the model's context window and output limit.

    Args:
        prompt_tokens: Tokens of the prompt.
        max_completion_tokens: Tokens of the reply at most.
        model: The model; None: the settings'.

    Raises:
        UnknownModel: No limits are known for the model.
    """
    return _counting().check_token_limit(prompt_tokens, max_completion_tokens, model)
