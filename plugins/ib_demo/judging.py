"""The demo as a judge: it counts shared words, and says so. Nothing it proposes is a judgement.

It reads what `ib_kernel.assessment.judge.prompt` asks, one JSON object a line, and answers in the form that
was asked for, so that a whole assessment can be tried without a key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_MARK = re.compile(r"^Interview ([0-9a-f]{16})$", re.MULTILINE)
_CRITERION = re.compile(r"^The criterion: (.+)$", re.MULTILINE)
_LEVEL = re.compile(r'^- level "([0-3])": (.+)$', re.MULTILINE)
_SENTENCE = re.compile(r"[^.!?\n]+")
_WORD = re.compile(r"[^\W\d_]{4,}")
_MOST_WORDS = 30

LABEL = "Demo judge, which counts shared words and understands nothing:"


def is_asked(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return True if the messages ask a judge."""
    text = _said(messages)
    return bool(_MARK.search(text)) and bool(_CRITERION.search(text))


def answer(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the answer as JSON: the candidate's sentences that share most words with the criterion."""
    text = _said(messages)
    titles = _CRITERION.findall(text)
    wanted = _stems(" ".join([titles[-1], *(words for _, words in _LEVEL.findall(text))]))
    found = sorted(_sentences(text), key=lambda one: -len(_stems(one[1]) & wanted))
    best = [one for one in found if len(_stems(one[1]) & wanted)][:2]
    quotes = [{"place": place, "speaker": "candidate", "words": words} for place, words in best]
    shared = len(_stems(best[0][1]) & wanted) if best else 0
    value = {
        "level": str(min(3, shared)) if best else "not shown",
        "quotes": quotes,
        "why": f"{LABEL} the best sentence shares {shared} of them with the criterion.",
        "strength": "Demo: you used the words that this criterion is about." if best else "",
        "next_step": "Demo: say what your choice costs, before anybody asks.",
    }
    return json.dumps(value, ensure_ascii=False)


def _sentences(text: str) -> list[tuple[str, str]]:
    """Return the candidate's sentences of at least five words, each with its place."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if not line.startswith('{"place"'):
            continue
        try:
            passage = json.loads(line)
        except ValueError:
            continue
        if passage.get("speaker") != "candidate":
            continue
        for sentence in _SENTENCE.findall(str(passage.get("text", ""))):
            words = sentence.split()[:_MOST_WORDS]
            if len(words) >= 5:
                found.append((str(passage["place"]), " ".join(words)))
    return found


def _stems(text: str) -> set[str]:
    return {word.casefold()[:4] for word in _WORD.findall(text)}


def _said(messages: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(str(m.get("content", "")) for m in messages if m.get("role") == "user")
