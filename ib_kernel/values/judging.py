"""What a judge is asked about an interview, what it answers, and what a judge plugin must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from ib_kernel.values.session import NewSession

PERSONA = "judge"
"""The persona of a session that pays for a judge; no candidate is asked anything in it."""

Speaker = Literal["candidate", "ai", "interviewer"]
"""Who has said something: the candidate, the model, or the interviewing person."""


def is_judges(session: NewSession) -> bool:
    """Return True if a session is no interview: it pays for a judge of another one."""
    return session.persona == PERSONA


@dataclass(frozen=True, slots=True)
class Passage:
    """One thing that was said or run, as a judge reads it.

    `place` is where it stands: "turn 3", "cell 7", or "line 1" for what the interviewing person said.
    `text` is
    plain: without Markdown's marks, invisible characters and the candidate's name.
    """

    place: str
    speaker: Speaker
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """One criterion of one interview, to be looked at once.

    `anchors` say what each level from 0 to 3 looks like; `order` is the order in which they are shown in this
    pass (`number`, from 1 on). `mark` is a word that nobody who was interviewed can know: it fences the
    passages.
    """

    criterion: str
    title: str
    anchors: tuple[str, str, str, str]
    order: tuple[int, int, int, int]
    number: int
    passages: tuple[Passage, ...]
    mark: str
    task: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """Words that are said to stand in the record: where, by whom, and which."""

    place: str
    speaker: str
    words: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge proposes after one look: a level from 0 to 3 (None: not shown), its quotes, and why.

    `strength` and `next_step` are one sentence each for the candidate, without a level ("": none).
    """

    level: int | None
    quotes: tuple[Quote, ...] = ()
    why: str = ""
    strength: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """What a judge wants to ask a model: Chat Completions messages, and at most so many tokens of answer.

    `schema` is the JSON schema of the answer; a service that knows none is asked again without it.
    """

    messages: Sequence[Mapping[str, Any]]
    schema: Mapping[str, Any]
    max_tokens: int = 2_000


@runtime_checkable
class Judge(Protocol):
    """Proposes levels. It composes what is asked and reads what is answered; both are pure.

    Asking, paying, resuming, looking quotes up and putting passes together are the engine's. `name` is what
    levels are recorded under, `version` names the prompt in every call, and `client` is the client plugin
    that is asked ("": the settings').
    """

    name: str
    version: str
    client: str

    def request(self, case: Case) -> JudgeRequest:
        """Return what is asked about one case."""
        ...

    def read(self, answer: str, case: Case) -> Opinion:
        """Return what *answer*, text of any size, says. `ValueError` says why it is unusable."""
        ...
