"""`LLMClientContract`: every promise of `LLMClient` that one attempt can break, against `FaultServer`.

A plugin author writes::

    from ib_kernel.testing import LLMClientContract

    class TestMyClient(LLMClientContract):
        def make_client(self, base_url, api_key):
            return MyClient(base_url, api_key)

and runs pytest. `base_url` is an OpenAI-compatible service on this machine. Retries, budgets and time limits
belong to the pipeline: here each call must reach the service exactly once.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from ib_kernel.testing._client_bad import Faults, Leaving
from ib_kernel.testing._client_base import EXPECTED, GOOD, HANGS, KEY, Expected, Heard, listen
from ib_kernel.testing._client_good import GoodAnswers
from ib_kernel.testing.server import FaultServer
from ib_kernel.values import ChatRequest, LLMClient

__all__ = ["EXPECTED", "GOOD", "HANGS", "KEY", "Expected", "Heard", "LLMClientContract", "listen"]


class LLMClientContract(GoodAnswers, Faults, Leaving):
    """Subclass, define `make_client`, and pytest runs every test of this class against your client.

    `modes`: ("stream",), or ("stream", "whole") when a body with ``"stream": false`` is understood too.
    `choices`: False when the client cannot ask for several choices. Overriding a test needs an xfail
    with a reason.
    """

    def test_it_is_a_client(self, server: FaultServer) -> None:
        """The object has the protocol's methods and a name."""
        client = self.make_client(server.base_url, KEY)
        assert isinstance(client, LLMClient)
        assert client.name

    def test_a_body_is_pure_and_complete(self, server: FaultServer) -> None:
        """The same request gives the same JSON, nothing is changed, and model, cap and text are in it."""
        client = self.make_client(server.base_url, KEY)
        messages = ({"role": "user", "content": "ein Token-Bucket, naïve → 😀"},)
        extra: dict[str, Any] = {"metadata": {"a": "b"}}
        request = ChatRequest("gpt-5.4-mini", messages, 123, temperature=0.5, extra=extra)
        before = copy.deepcopy((messages, extra))
        first, second = client.body(request), client.body(request)
        assert first == second
        assert (messages, extra) == before
        text = json.dumps(first, ensure_ascii=False)
        for part in ("gpt-5.4-mini", "123", "naïve → 😀", '"temperature": 0.5', '"metadata"'):
            assert part in text
        assert "temperature" not in client.body(ChatRequest("gpt-5.4-mini", messages, 123))

    def test_lone_surrogates_do_not_fail_a_turn(self, server: FaultServer) -> None:
        """A pasted half of an emoji is sent as something."""
        messages = ({"role": "user", "content": "half \ud83d an emoji"},)
        heard, seen = self.hear(server, messages=messages)
        assert heard.text.startswith("You said: half ")
        assert seen.complete
