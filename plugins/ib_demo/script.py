"""What the demo says next, decided from the messages alone: a pure function of its input.

The role, level, challenge and persona are read from the first lines of the system prompt, what has been
asked so far from the earlier replies. Nothing else of the system prompt is looked at, so the interviewer's
notes cannot get into a reply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ib_demo import assistant, bank, judging
from ib_demo.bank import Question
from ib_demo.scene import Scene, extract, read_scene

_CODE = re.compile(r"```|^\s*(?:def|class|SELECT|import|return|for|if)\b.*[:(;]?\s*$", re.MULTILINE)

_INJECTION = re.compile(
    r"\b(?:ignore|forget|disregard)\b(?: \w+){0,3} (?:instructions?|prompts?|your rules)\b"
    r"|\bsystem prompt\b|\byour (?:notes|rubric|instructions|criteria)\b|\binterviewer'?s? notes\b"
    r"|\byou are now\b|\bact as (?:my|if you|an? (?:assistant|ai))\b|\bpretend (?:you|to be)\b",
    re.IGNORECASE,
)
_HINT = re.compile(r"\bhints?\b|\bi(?: a|')m stuck\b|\bno idea\b|\bhelp me\b", re.IGNORECASE)
_SOLUTION = re.compile(
    r"(?:^|please|can you|could you|just)\W*(?:give|tell|show|write|solve)\b.{0,40}"
    r"\b(?:solution|answer|it|this|challenge|code)\b|\bwhat(?: i|')s the (?:solution|answer)\b",
    re.IGNORECASE,
)
_DONE = re.compile(
    r"^\W*(?:i(?: a|')m (?:done|finished)|that(?: i|')s (?:all|it)|done|finished|no more questions)\b",
    re.IGNORECASE,
)


def reply(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the next reply, Markdown, labelled as a demo; a judge's is JSON, and labelled within."""
    if judging.is_asked(messages):
        return judging.answer(messages)
    scene = read_scene(messages)
    text = assistant.answer(scene) if scene.persona == "assistant" else interview(scene)
    return f"{bank.script()['label']} · {text}"


def interview(scene: Scene) -> str:
    """Return the interviewer's reply."""
    say = bank.script()["interviewer"]
    if any(say["last_question"] in text for text in scene.said):
        return str(say["goodbye"]).format(name=scene.name)
    if scene.last:
        return _join(_greeting(scene), _quote(scene.text), str(say["wrap_up"]).format(name=scene.name))
    words = len(scene.text.split())
    if _INJECTION.search(scene.text):
        return _join(_greeting(scene), say["injection"], _again(scene))
    if _SOLUTION.search(scene.text) and words < 25:
        return _join(_greeting(scene), say["no_solution"], _again(scene))
    if _HINT.search(scene.text) and words < 25:
        return _join(_greeting(scene), _hint(scene))
    if _DONE.search(scene.text):
        return _join(_greeting(scene), say["last_question"])
    if scene.said and scene.text.rstrip().endswith("?") and words < 30:
        return _join(say["clarify"], _again(scene))
    opening = _opening(scene)
    question, word = _choose(scene)
    if not scene.said and words < 6 and not word:
        return _join(_greeting(scene), opening)
    if question is None:
        return _join(_quote(scene.text), say["last_question"])
    lead = say["picked" if word else "moved"][scene.turn % 3].format(topic=question.topic)
    return _join(_greeting(scene), _quote(scene.text, word), f"{_remark(scene)}{lead}", question.markdown())


def asked(question: str, said: Sequence[str]) -> bool:
    """Return True if *question* was in an earlier reply."""
    return any(question in text for text in said)


def _choose(scene: Scene) -> tuple[Question | None, str]:
    """Return the next question and the candidate's word that called for it ("" when none did)."""
    topic = bank.challenge(scene.challenge)
    pools = [topic.questions] if topic else []
    pools += [bank.role(scene.role).questions, bank.generic().questions]
    highest = bank.LEVELS.index(scene.level)
    open_ = [[q for q in pool if not asked(q.text, scene.said) and _rank(q) <= highest] for pool in pools]
    for pool in open_:
        matching = [(q, word) for q in pool if (word := q.matches(scene.text))]
        if matching:
            return matching[0]
    return next(((pool[0], "") for pool in open_ if pool), (None, ""))


def _rank(question: Question) -> int:
    return bank.LEVELS.index(question.level) if question.level else 0


def _opening(scene: Scene) -> str:
    topic = bank.challenge(scene.challenge)
    return topic.opening if topic else bank.role(scene.role).questions[0].markdown()


def _greeting(scene: Scene) -> str:
    if scene.said:
        return ""
    say = bank.script()["interviewer"]
    about = say["challenge"].format(title=scene.title) if scene.challenge else say["no_challenge"]
    return f"{say['greeting'].format(name=scene.name)} {about}"


def _hint(scene: Scene) -> str:
    say = bank.script()["interviewer"]
    topic = bank.challenge(scene.challenge)
    hints = list(topic.hints) if topic else list(say["generic_hints"])
    for number, hint in enumerate(hints, 1):
        if not asked(hint, scene.said):
            return str(say["hint"]).format(n=number, total=len(hints), hint=hint)
    return str(say["no_hints"])


def _again(scene: Scene) -> str:
    """Return the question that is still open, without its example."""
    line = str(bank.script()["interviewer"]["again"])
    for text in reversed(scene.said):
        for question in _everything(scene):
            if question in text:
                return line.format(question=question)
    return line.format(question=_opening(scene).split("\n")[0])


def _everything(scene: Scene) -> list[str]:
    topic = bank.challenge(scene.challenge)
    texts = [topic.opening, *(q.text for q in topic.questions)] if topic else []
    texts += [q.text for q in (*bank.role(scene.role).questions, *bank.generic().questions)]
    return texts


def _quote(text: str, word: str = "") -> str:
    short = extract(text, word) or _first_code(text)
    return f"{bank.script()['interviewer']['quote']}\n\n> {short}" if short else ""


def _first_code(text: str) -> str:
    """Return the first line of code in a fenced answer, as code; comments and blank lines do not count."""
    lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("```")]
    first = next((line for line in lines if line and not line.startswith(("#", "--", "//"))), "")
    first = first.replace("`", "")
    return f"`{first[:80]}`" if first else ""


def _remark(scene: Scene) -> str:
    """Return one short remark on the answer's form, or ""."""
    say = bank.script()["interviewer"]
    if _CODE.search(scene.text):
        return f"{say['code']} "
    if len(scene.text.split()) < 10:
        return f"{say['brief']} "
    if scene.level == "senior" and not re.search(r"\d", scene.text):
        return f"{say['no_number']} "
    return ""


def _join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
