"""The anyllm client keeps the promises of the client contract, through any-llm's OpenAI provider."""

from __future__ import annotations

import pytest

pytest.importorskip("any_llm", reason="any-llm is not installed: pip install 'interview-buddy-kernel[many]'")

from ib_anyllm.client import AnyLLMClient
from ib_kernel.settings import Settings
from ib_kernel.testing import LLMClientContract
from ib_kernel.values import LLMClient


class TestAnyLLM(LLMClientContract):
    """Streamed and whole."""

    modes = ("stream", "whole")

    def make_client(self, base_url: str, api_key: str) -> LLMClient:
        """Return a client for *base_url*."""
        return AnyLLMClient(Settings(base_url=base_url, api_key=api_key))
