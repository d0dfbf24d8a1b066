"""The openai client keeps every promise of the client contract."""

from __future__ import annotations

from ib_kernel.protocols import LLMClient
from ib_kernel.secrets import Secret
from ib_kernel.settings import Settings
from ib_kernel.testing import LLMClientContract
from ib_openai.client import OpenAIClient


class TestOpenAIClient(LLMClientContract):
    """Chat Completions, streamed and whole."""

    modes = ("stream", "whole")

    def make_client(self, base_url: str, api_key: str) -> LLMClient:
        """Return a client for *base_url*."""
        return OpenAIClient(Settings(base_url=base_url, api_key=Secret(api_key)))
