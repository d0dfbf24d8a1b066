"""The demo as the candidate's assistant: a glossary and a few habits, never the challenge's solution."""

from __future__ import annotations

import re

from ib_demo import bank
from ib_demo.scene import Scene, extract

_WHOLE = re.compile(
    r"\b(?:solve|solution|whole|entire|everything|complete (?:code|answer|design)|do it for me)\b",
    re.IGNORECASE,
)
_COMPARE = re.compile(r"\bor\b.*\?|\bversus\b|\bvs\.?\b|\bcompare\b|\bbetter\b", re.IGNORECASE | re.DOTALL)
_ERROR = re.compile(r"\bTraceback\b|\b\w+(?:Error|Exception)\b", re.MULTILINE)
_TEST = re.compile(r"\btests?\b|\btesting\b", re.IGNORECASE)
_DEF = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)", re.MULTILINE)


def answer(scene: Scene) -> str:
    """Return the assistant's reply: one extract of the question, one answer."""
    say = bank.script()["assistant"]
    parts = [] if scene.said else [say["greeting"]]
    short = extract(scene.text)
    if short:
        parts.append(f"> {short}")
    parts.append(_answer(scene.text))
    return "\n\n".join(parts)


def _answer(text: str) -> str:
    say = bank.script()["assistant"]
    if _WHOLE.search(text):
        return str(say["divide"])
    if _ERROR.search(text):
        return str(say["error"])
    name = _DEF.search(text)
    if name or "```" in text:
        which = " " + say["names"].format(name=name[1]) if name else ""
        return f"{say['code']}{which}"
    terms = [
        _term(term) for term in bank.script()["term"] if any(bank.contains(text, w) for w in term["words"])
    ]
    if terms:
        return "\n\n".join(terms[:2])
    if _COMPARE.search(text):
        return str(say["options"])
    return str(say["testing"] if _TEST.search(text) else say["vague"])


def _term(term: dict[str, object]) -> str:
    code = term.get("code")
    return f"{term['text']}\n\n```python\n{code}\n```" if code else str(term["text"])
