"""What `benchmarks/client.py` compares: one streamed chat completion, by each client that is installed.

Run as a program it measures one peer in an environment of its own::

    other/bin/python benchmarks/client_peers.py litellm http://127.0.0.1:8000/v1 20 2

and prints the CPU milliseconds per call of each of 5 rounds as JSON. `MESSAGES` come from the environment
variable IB_BENCH_MESSAGES there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

MODEL = "gpt-4.1-mini"
CAP = 300
Ask = Callable[[list[dict[str, str]]], Awaitable[int]]


def httpx2_bare(url: str) -> Ask:
    """Return a call with nothing but httpx2: bytes in, lines split, JSON parsed."""
    import httpx2

    client = httpx2.AsyncClient()

    async def ask(messages: list[dict[str, str]]) -> int:
        body = {"model": MODEL, "messages": messages, "max_completion_tokens": CAP, "stream": True}
        pieces = 0
        async with client.stream("POST", f"{url}/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    pieces += bool(json.loads(line[6:])["choices"])
        return pieces

    return ask


def sdk(url: str) -> Ask:
    """Return a call with the official SDK and its own iterator."""
    import openai

    client = openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0)

    async def ask(messages: Any) -> int:
        pieces = 0
        async for chunk in await client.chat.completions.create(
            model=MODEL,
            messages=messages,
            max_completion_tokens=CAP,
            stream=True,
            stream_options={"include_usage": True},
        ):
            pieces += bool(chunk.choices)
        return pieces

    return ask


def langchain(url: str) -> Ask:
    """Return a call with LangChain's ChatOpenAI."""
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    model = ChatOpenAI(
        model=MODEL, base_url=url, api_key=SecretStr("x"), max_retries=0, max_completion_tokens=CAP
    )

    async def ask(messages: Any) -> int:
        pieces = 0
        async for _ in model.astream(messages):
            pieces += 1
        return pieces

    return ask


def pydantic_ai(url: str) -> Ask:
    """Return a call with pydantic-ai's agent."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=url, api_key="x"))

    async def ask(messages: list[dict[str, str]]) -> int:
        agent = Agent(model, instructions=messages[0]["content"], model_settings={"max_tokens": CAP})
        pieces = 0
        async with agent.run_stream(messages[-1]["content"]) as run:
            async for _ in run.stream_text(delta=True, debounce_by=None):
                pieces += 1
        return pieces

    return ask


def litellm(url: str) -> Ask:
    """Return a call with LiteLLM."""
    import litellm as library

    library.suppress_debug_info = True
    library.callbacks = []

    async def ask(messages: Any) -> int:
        pieces = 0
        stream = await library.acompletion(
            model=f"openai/{MODEL}",
            messages=messages,
            api_base=url,
            api_key="x",
            max_completion_tokens=CAP,
            stream=True,
            stream_options={"include_usage": True},
            num_retries=0,
        )
        async for _ in stream:
            pieces += 1
        return pieces

    return ask


PEERS: dict[str, Callable[[str], Ask]] = {
    "httpx2 alone": httpx2_bare,
    "openai SDK": sdk,
    "LangChain": langchain,
    "pydantic-ai": pydantic_ai,
    "LiteLLM": litellm,
}


class Peer:
    """One client on a loop of its own, kept open between rounds."""

    def __init__(self, name: str, url: str, messages: list[dict[str, str]]) -> None:
        self.runner = asyncio.Runner()
        self.messages = messages
        self.ask = self.runner.run(_made(PEERS[name], url))

    def round(self, calls: int) -> float:
        """Make *calls* calls and return the CPU milliseconds of each."""

        async def all_of_them() -> None:
            for _ in range(calls):
                await self.ask(self.messages)

        start = time.process_time()
        self.runner.run(all_of_them())
        return (time.process_time() - start) / calls * 1000


async def _made(make: Callable[[str], Ask], url: str) -> Ask:
    return make(url)


def main() -> None:
    """Measure one peer and print its rounds."""
    name, url, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with contextlib.redirect_stdout(sys.stderr):
        peer = Peer(name, url, json.loads(os.environ["IB_BENCH_MESSAGES"]))
        peer.round(5)
        rounds = [peer.round(calls) for _ in range(5)]
    print(json.dumps(rounds), flush=True)
    os._exit(0)  # LiteLLM's logging worker has no end of its own


if __name__ == "__main__":
    main()
