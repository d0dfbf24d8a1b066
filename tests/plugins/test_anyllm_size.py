"""The anyllm client reads so much of an answer and no more, also where an SDK hides its connection."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

pytest.importorskip("any_llm", reason="any-llm is not installed: pip install 'interview-buddy-kernel[many]'")

import ib_anyllm.client
from ib_anyllm.client import CHUNK_BYTES, AnyLLMClient
from ib_kernel.errors import StreamBroken
from ib_kernel.plugin import bodies
from ib_kernel.secrets import Secret
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer, Step
from ib_kernel.values import ChatRequest, Done, Piece

ASK = ChatRequest("gpt-4.1-mini", ({"role": "user", "content": "Hello"},), 3_000)
LIMIT = 20_000
WORD = "word " * 40


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK whose HTTP client cannot be asked to count bytes, and answers of 20 kB at most."""
    monkeypatch.setattr(ib_anyllm.client, "_bound_answers", lambda provider: None)
    monkeypatch.setattr(bodies, "MAX_UNPACKED_BYTES", LIMIT)


def read(pieces: tuple[str, ...], **more: bool) -> tuple[str, bool]:
    """Return the text that arrives of *pieces*, and whether the reply came to its end."""

    async def ask(url: str) -> tuple[str, bool]:
        client = AnyLLMClient(Settings(base_url=url, api_key=Secret("sk-test-0123456789")))
        text, ended = "", False
        async with client.stream({**client.body(ASK), **more}) as reply:
            with contextlib.suppress(StreamBroken):
                async for one in reply:
                    text += one.text if isinstance(one, Piece) else ""
                    ended = ended or isinstance(one, Done)
        await client.aclose()
        return text, ended

    with FaultServer(decide=lambda request: Step(pieces=pieces)) as server:
        return asyncio.run(ask(server.base_url))


@pytest.mark.usefixtures("hidden")
def test_a_stream_is_read_up_to_its_limit() -> None:
    """What is beyond is not read on, and the turn has an unknown cost; a shorter one ends well."""
    text, ended = read((WORD,) * 400)
    assert not ended
    assert 0 < len(text) <= LIMIT
    assert read((WORD,) * 20) == (WORD * 20, True)


@pytest.mark.usefixtures("hidden")
def test_chunks_without_text_count_too() -> None:
    """A stream that never says anything long is limited by its chunks."""
    text, ended = read(("x",) * 1_000)
    assert not ended
    assert 0 < len(text) <= LIMIT // CHUNK_BYTES


@pytest.mark.usefixtures("hidden")
def test_a_whole_answer_is_limited() -> None:
    """One that came at once is refused when it is too long."""
    assert read((WORD * 200,), stream=False) == ("", False)
    assert read((WORD,), stream=False) == (WORD, True)
