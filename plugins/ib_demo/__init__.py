"""The client ``demo``: a scripted interviewer that needs no key, no network and no model.

It is also the example plugin. A plugin is a module with one hook, `ib_register`, which offers a factory by
name. The factory returns an object with the four methods of `ib_kernel.values.LLMClient`. What this
client says is decided in `ib_demo.script` from the messages alone, so that the same input gives the same
output; its questions are data files.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from ib_kernel.plugin.hookspecs import hookimpl
from ib_kernel.plugin.registry import Catalog
from ib_kernel.settings import Settings, parsing, setting
from ib_kernel.values import ChatRequest, Done, Judge, LLMClient, Piece, ReplyStream


@dataclass(frozen=True)
class DemoSettings:
    """The table ``[plugins.demo]``; ``IB_DEMO_DELAY_S`` sets it too."""

    delay_s: float = setting(
        parsing.parse_seconds, 0.008, "seconds between two pieces, so that a reply is seen to arrive"
    )


@hookimpl
def ib_register(catalog: Catalog) -> None:
    """Offer the client and the judge under the name ``demo``, and the client's setting."""
    catalog.add_settings("demo", DemoSettings)
    catalog.add_client("demo", make_client)
    catalog.add_judge("demo", make_judge)


def make_client(settings: Settings) -> LLMClient:
    """Build the client; a reply that is shown only at its end need not arrive slowly."""
    if settings.stream == "final":
        return DemoClient(delay_s=0)
    return DemoClient(delay_s=settings.plugin("demo", DemoSettings).delay_s)


def make_judge(settings: Settings) -> Judge:
    """Build the judge that the demo client answers for: labelled as a demo wherever its levels are shown."""
    from ib_kernel.assessment.judge.model import ModelJudge

    return ModelJudge("demo", client="demo")


class DemoClient:
    """A scripted interviewer or assistant. *delay_s* is the pause after each piece, in seconds."""

    name = "demo"
    default_model = "demo"
    billed = False  # whatever model is named: our own count is the final figure

    def __init__(self, delay_s: float = 0) -> None:
        self.delay_s = delay_s

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """Return what `stream` reads; it is also what gets counted."""
        return {
            "model": request.model,
            "messages": [dict(message) for message in request.messages],
            "max_completion_tokens": request.max_completion_tokens,
        }

    def stream(self, body: Mapping[str, Any]) -> AbstractAsyncContextManager[ReplyStream]:
        """Yield the scripted reply word by word, then `Done`. There is no API, so there is no usage."""
        return _closing(self._pieces(body))

    async def validate_api_key(self) -> bool:
        """Return True: no key is needed."""
        return True

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    async def _pieces(self, body: Mapping[str, Any]) -> AsyncGenerator[Piece | Done, None]:
        from ib_demo import judging
        from ib_demo.script import reply  # the question bank is read when it is first needed

        pause = 0.0 if judging.is_asked(body["messages"]) else self.delay_s
        left = int(body.get("max_completion_tokens") or 10**9)
        finish = "stop"
        for text in re.findall(r"\s*\S+\s*?", reply(body["messages"])):
            left -= max(1, len(text) // 4)  # roughly; the pipeline counts and cuts exactly
            if left < 0:
                finish = "length"
                break
            await asyncio.sleep(pause)
            yield Piece(text)
        yield Done(finish, model=str(body.get("model", "")))


@contextlib.asynccontextmanager
async def _closing(pieces: AsyncGenerator[Piece | Done, None]) -> AsyncIterator[ReplyStream]:
    async with contextlib.aclosing(pieces):
        yield pieces
