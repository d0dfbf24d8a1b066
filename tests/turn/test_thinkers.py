"""Models whose prompt opens the thought: what they think is no reply, in the ledger or on the screen."""

from __future__ import annotations

import json
from pathlib import Path

from raw_service import Answer, RawService

from ib_kernel import Interview, Settings


def stream(*texts: str, finish: str = "stop") -> Answer:
    """Return a good stream of *texts*."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    end["usage"] = {"prompt_tokens": 90, "completion_tokens": 30}  # type: ignore[assignment]
    return Answer(tuple(f"data: {json.dumps(chunk)}\n\n" for chunk in [*chunks, end]))


def shown(buddy: Interview) -> str:
    """Ask, and return all that a reader of the pieces has seen."""
    with buddy.ask("Hello") as reply:
        pieces = list(reply)
    assert reply.text == (reply.result.text if reply.result else None)
    return "".join(pieces)


def test_a_model_that_is_known_for_it_shows_no_thought(tmp_path: Path) -> None:
    """Nothing is shown before the mark; a reply that was cut off in its thought is empty and says so."""
    with RawService(stream("They say ", "hello; reject", " them.\n</think>", "\n\nWhy a bucket?")) as service:
        settings = Settings(
            data_dir=tmp_path, base_url=service.base_url, model="deepseek/deepseek-r1", models=LIMITS
        )
        with Interview(settings) as buddy:
            buddy.start()
            assert shown(buddy) == "Why a bucket?"
            service.answer = stream("They say hello", "; reject", finish="length")
            assert shown(buddy) == ""
            with buddy.ask("Hello") as reply:
                list(reply)
            assert "went into reasoning" in reply.footer
            assert "reject" not in repr(buddy.history())


def test_a_model_that_does_it_is_known_from_then_on(tmp_path: Path) -> None:
    """Its first reply ends as what follows the mark, and of the second no thought is even shown."""
    with RawService(stream("They say hello; ", "reject them.\n</think>\n\n", "Why a bucket?")) as service:
        settings = Settings(data_dir=tmp_path, base_url=service.base_url, model="somebody/r9", models=LIMITS)
        with Interview(settings) as buddy:
            buddy.start()
            assert buddy.say_sync("Hello").text == "Why a bucket?"
            assert shown(buddy) == "Why a bucket?"
            assert "reject" not in repr(buddy.history())


LIMITS = {
    name: {"context_window": 32_768, "max_output": 4_096} for name in ("deepseek/deepseek-r1", "somebody/r9")
}
