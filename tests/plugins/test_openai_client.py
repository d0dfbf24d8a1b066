"""The openai client keeps every promise of the client contract, with either API."""

from __future__ import annotations

from typing import Any

from ib_kernel.settings import Settings
from ib_kernel.testing import LLMClientContract
from ib_kernel.values import LLMClient
from ib_openai.client import OpenAIClient


class TestChat(LLMClientContract):
    """Chat Completions, streamed and whole."""

    modes = ("stream", "whole")

    def make_client(self, base_url: str, api_key: str) -> LLMClient:
        """Return a client for *base_url*."""
        return OpenAIClient(Settings(base_url=base_url, api_key=api_key))


class TestResponses(LLMClientContract):
    """The Responses API, streamed and whole."""

    modes = ("stream", "whole")
    choices = False

    def make_client(self, base_url: str, api_key: str) -> LLMClient:
        """Return a client for *base_url* that speaks the Responses API."""
        return OpenAIClient(Settings(base_url=base_url, api_key=api_key, api="responses"))

    def detailed_usage(self) -> dict[str, Any]:
        """Return a usage object with details, in the shape of the Responses API."""
        return {
            "input_tokens": 120,
            "output_tokens": 70,
            "total_tokens": 190,
            "input_tokens_details": {"cached_tokens": 64},
            "output_tokens_details": {"reasoning_tokens": 50},
        }
