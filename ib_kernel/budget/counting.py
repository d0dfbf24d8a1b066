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

from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings
from ib_kernel.values import Count, TokenCounter

log = logging.getLogger(__name__)


def estimate_completion_tokens(
    prompt_tokens: int, max_tokens: int | None = None, settings: Settings | None = None
) -> int:
    """Estimate a reply's tokens: as long as its prompt, within `min_reply_tokens` … `reply_tokens`.

    Never more than *max_tokens*. A rule of thumb for planning (chosen 2026-11); a call holds its cap.
    """
    chosen = settings or Settings()
    ceiling = chosen.reply_tokens if max_tokens is None else max_tokens
    return min(ceiling, max(min(chosen.min_reply_tokens, ceiling), prompt_tokens))


class CountingApi:
    """The counting methods shared by `TokenService` and the client facade."""

    settings: Settings
    plugins: Plugins

    @cached_property
    def counter(self) -> TokenCounter:
        """The counter that the settings choose; built at first use."""
        return self.plugins.counter(self.settings)

    def count_tokens(self, text: str, model: str | None = None) -> int:
        """Count the tokens of *text*; special-token text counts as ordinary text."""
        return self.counter.count_text(text, self._counts_as(model)).tokens

    def count_message_tokens(
        self,
        messages: Sequence[Mapping[str, Any]],
        model: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        **fields: Any,
    ) -> int:
        """Count the prompt tokens of Chat Completions *messages*; *fields* are further request fields."""
        body = {"messages": list(messages), **({"tools": list(tools)} if tools else {}), **fields}
        return self.count_request(body, model).tokens

    def count_request(self, body: Mapping[str, Any], model: str | None = None) -> Count:
        """Count the prompt tokens of a whole request body."""
        count = self.counter.count_request(body, self._counts_as(model))
        log.debug("counted %d prompt tokens (exact=%s, upper=%s)", count.tokens, count.exact, count.upper)
        return count

    def check_token_limit(
        self, prompt_tokens: int, max_completion_tokens: int, model: str | None = None
    ) -> bool:
        """Return True if prompt and reply fit into the model's context window and output limit."""
        info = self.plugins.model(model or self.settings.model, self.settings)
        fits = prompt_tokens + max_completion_tokens <= info.context_window
        return fits and max_completion_tokens <= info.max_output

    def get_model_limit(self, model: str | None = None) -> int:
        """Return the model's context window in tokens."""
        return self.plugins.model(model or self.settings.model, self.settings).context_window

    def estimate_completion_tokens(self, prompt_tokens: int, max_tokens: int | None = None) -> int:
        """Estimate a reply's tokens (see the function of the same name)."""
        return estimate_completion_tokens(prompt_tokens, max_tokens, self.settings)

    def _counts_as(self, model: str | None) -> str:
        """Return the model whose counting rules apply: aliases resolved, unknown names as they are."""
        model = model or self.settings.model
        try:
            info = self.plugins.model(model, self.settings)
        except ValueError:
            return model
        return info.counts_as or info.name


class _Counting(CountingApi):
    def __init__(self) -> None:
        self.settings = Settings()
        self.plugins = Plugins()


_lock = threading.Lock()
_default: _Counting | None = None


def _counting() -> _Counting:
    global _default
    with _lock:
        _default = _default or _Counting()
        return _default


def count_tokens(text: str, model: str | None = None) -> int:
    """Count the tokens of *text* as *model* (default: the settings' model) sees it. Offline."""
    return _counting().count_tokens(text, model)


def count_message_tokens(
    messages: Sequence[Mapping[str, Any]],
    model: str | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    **fields: Any,
) -> int:
    """Count the prompt tokens of Chat Completions *messages* (best estimate). Offline."""
    return _counting().count_message_tokens(messages, model, tools, **fields)


def check_token_limit(prompt_tokens: int, max_completion_tokens: int, model: str | None = None) -> bool:
    """Return True if prompt and reply fit into the model's context window and output limit."""
    return _counting().check_token_limit(prompt_tokens, max_completion_tokens, model)
