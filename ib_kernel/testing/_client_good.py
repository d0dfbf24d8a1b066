"""The part of `LLMClientContract` about good answers, odd ones included."""

from __future__ import annotations

from typing import Any

import pytest

from ib_kernel.testing._client_base import GOOD, KEY, ClientBase
from ib_kernel.testing.faults import FAULTS
from ib_kernel.testing.server import FaultServer, Recorded
from ib_kernel.values import LLMClient, Piece, Usage


class GoodAnswers(ClientBase):
    """Good answers are read right."""

    def test_a_reply_arrives_whole_with_the_services_usage(self, server: FaultServer, mode: str) -> None:
        """Text, finish reason, model, id, time, tier and usage are what the service sent."""
        server.reply(pieces=["Why ", "a ", "bucket?"])
        heard, seen = self.hear(server, mode)
        assert heard.text == "Why a bucket?"
        done = heard.done
        assert done is not None
        assert (done.finish_reason, done.model) == ("stop", "gpt-5.4-mini")
        assert done.response_id
        assert heard.usage == self.usage(seen)
        assert seen.sent_key(KEY), "the key did not reach the service"

    def usage(self, seen: Recorded) -> Usage:
        """Return the usage that the server reported for *seen*."""
        raw = seen.usage or {}
        inputs = raw.get("prompt_tokens", raw.get("input_tokens"))
        return Usage(inputs, raw.get("completion_tokens", raw.get("output_tokens")))

    @pytest.mark.parametrize("fault", GOOD)
    def test_odd_but_good_answers_are_read_right(self, server: FaultServer, mode: str, fault: str) -> None:
        """Odd chunks, split characters, huge lines, repeated or missing usage: the answer stays right."""
        step = FAULTS[fault].step
        server.script(fault)
        heard, seen = self.hear(server, mode, max_completion_tokens=3 if fault == "above-cap" else 100)
        assert heard.text == "".join(step.pieces or ()) or step.pieces is None
        assert heard.done is not None
        assert heard.done.finish_reason == self.finish(step.finish_reason)
        assert heard.usage == (None if step.usage_sent == "never" else self.usage(seen))

    def finish(self, sent: str | None) -> str | None:
        """Return the finish reason a client reports for the one that the server was told to send."""
        return sent

    def test_details_of_usage_are_kept_and_never_added(self, server: FaultServer, mode: str) -> None:
        """Cached and reasoning tokens are parts of the sums, not additions."""
        server.reply("Well.", usage=self.detailed_usage())
        heard, _ = self.hear(server, mode)
        assert heard.done is not None
        assert heard.usage == Usage(120, 70, cached_tokens=64, reasoning_tokens=50)

    def detailed_usage(self) -> dict[str, Any]:
        """Return a usage object with details, in the shape of the API."""
        return {
            "prompt_tokens": 120,
            "completion_tokens": 70,
            "total_tokens": 190,
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 50},
        }

    def test_a_cut_reply_says_length(self, server: FaultServer, mode: str) -> None:
        """The cap reaches the service, and its finish reason reaches us."""
        server.reply("one two three four five")
        heard, _ = self.hear(server, mode, max_completion_tokens=3)
        assert heard.text == "one two three"
        assert heard.done is not None
        assert heard.done.finish_reason == "length"

    def test_pieces_are_handed_on_as_they_arrive(self, server: FaultServer) -> None:
        """A piece is there before the service has sent the next one."""
        server.script("stall", pieces=("one ", "two ", "three"), after=2)

        async def scene(client: LLMClient) -> list[str]:
            texts: list[str] = []
            async with client.stream(self.body(client)) as reply:
                async for event in reply:
                    texts += [event.text] if isinstance(event, Piece) else []
                    if len(texts) == 2:
                        return texts
            return texts

        assert self.run(server, scene) == ["one ", "two "]

    def test_of_several_choices_the_first_is_the_reply(self, server: FaultServer, mode: str) -> None:
        """With n = 2 the text is choice 0's, and usage covers both."""
        if not self.choices:
            pytest.skip("this client asks for one choice only")
        server.reply("one two three")
        heard, seen = self.hear(server, mode, n=2)
        assert heard.text == "one two three"
        assert heard.done is not None
        assert heard.usage == self.usage(seen)
        assert heard.usage is not None
        assert heard.usage.output_tokens == 6
