"""Odd answers that services really send, over a real socket: read right, charged right and said right.

`answers.toml` has the kinds. ``IB_CASES=FOLDER`` (or a file) adds the cases of a ``client.jsonl``.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from answer_runs import AnswerTrial, Outcome, check_words, must_hold
from raw_service import Answer

KINDS = tomllib.loads(Path(__file__).with_name("answers.toml").read_text(encoding="utf-8"))["case"]


def _folder_cases() -> list[dict[str, Any]]:
    named = os.environ.get("IB_CASES")
    if not named:
        return []
    path = Path(named)
    path = path / "client.jsonl" if path.is_dir() else path
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


CASES = _folder_cases()


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnswerTrial]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IB_CONFIG", "no-config.toml")
        running = AnswerTrial(tmp_path_factory.mktemp("ledger"))
        yield running
        running.close()


@pytest.mark.parametrize("kind", KINDS, ids=[kind["why"] for kind in KINDS])
def test_a_kind_of_answer_is_understood(trial: AnswerTrial, kind: dict[str, Any]) -> None:
    """Text, row, requests, error and footer are the right ones; nothing is held; the next turn works."""
    seen = trial.run(
        written(kind),
        api=kind.get("api", "chat"),
        streamed=kind.get("stream", True),
        **kind.get("settings", {}),
    )
    must_hold(seen)
    check(kind, seen)


def test_a_figure_of_thousands_of_digits_spoils_no_reply(trial: AnswerTrial) -> None:
    """Python does not even read it: the text is kept, and the figures are ours."""
    giant = "9" * 20_000
    data = (
        '{"choices": [{"index": 0, "delta": {"content": "Yes."}, "finish_reason": "stop"}], '
        f'"usage": {{"prompt_tokens": {giant}, "completion_tokens": 2}}}}'
    )
    seen = trial.run(written({"data": [data, "[DONE]"]}))
    must_hold(seen)
    assert (seen.text, seen.error, seen.source, seen.requests) == ("Yes.", "", "counted", 1)
    assert "not a count" in repr(seen.events)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_case_of_the_folder_is_right(trial: AnswerTrial, case: dict[str, Any]) -> None:
    """What the words of the case say is what is seen."""
    seen = trial.run(
        Answer.read(case["response"]), api=case["api"], streamed=case["streamed"], **case["settings"]
    )
    must_hold(seen)
    check_words(case["right"], seen)


def check(kind: dict[str, Any], seen: Outcome) -> None:
    """Check everything that *kind* says."""
    assert seen.error == kind.get("error", ""), seen.message
    last = seen.rows[-1]
    facts = {
        "text": seen.text,
        "tokens": list(seen.figures),
        "out": seen.figures[1],
        "source": seen.source,
        "requests": seen.requests,
        "reasoning": last["reasoning_tokens"],
        "reason": last["finish_reason"],
        "partial": any(partial for _, _, partial in seen.transcript),
    }
    for name, value in facts.items():
        assert value == kind.get(name, value), name
    for words, where in ((kind.get("line"), seen.message), (kind.get("footer"), seen.footer)):
        assert words is None or re.search(words, where), where
    rejected = [event for event in seen.events if event["kind"] == "usage_rejected"]
    assert kind.get("event", "") in repr(rejected)
    if "event" not in kind and kind.get("source") == "counted" and "usage" not in kind:
        assert rejected == []
    if "notice" in kind:
        assert kind["notice"] in seen.notices


def written(kind: dict[str, Any]) -> Answer:
    """Return the bytes that *kind* describes."""
    headers = {"content-type": kind.get("type", "text/event-stream"), **kind.get("headers", {})}
    if "raw" in kind:
        parts: list[str | bytes | float] = [kind["raw"]]
    elif "data" in kind:
        parts = [_event(data) if isinstance(data, str) else data for data in kind["data"]]
    else:
        parts = [_event(data) for data in _pieces(kind)]
    return Answer(tuple(parts), kind.get("status", 200), headers, end=kind.get("end", "keep"))


def _event(data: str) -> str:
    return f"{data}\n\n" if data.startswith(":") else f"data: {data}\n\n"


def _pieces(kind: dict[str, Any]) -> Iterator[str]:
    """Return the events of a well-formed stream that says what *kind* says."""
    usage, finish = kind.get("usage"), kind.get("finish", "stop")
    if kind.get("api") == "responses":
        for text in kind.get("say", ()):
            yield json.dumps({"type": "response.output_text.delta", "delta": text})
        yield json.dumps({"type": "response.completed", "response": {"status": "completed", "usage": usage}})
        return
    for name, texts in (("reasoning_content", kind.get("think", ())), ("content", kind.get("say", ()))):
        for text in texts:
            yield json.dumps({"choices": [{"index": 0, "delta": {name: text}, "finish_reason": None}]})
    if finish:
        yield json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if usage is not None:
        yield json.dumps({"choices": [], "usage": usage})
    yield "[DONE]"
