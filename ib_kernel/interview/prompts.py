"""Turn a session, its challenge and its history into the messages of a request. Pure functions.

The prompts are data files, ``data/prompts/<persona>.md``. Only our own placeholders are filled, once
(`string.Template`), so that braces, dollars and percent signs in anybody's text stay as they are. The first
lines of a prompt are ``Persona:``, ``Candidate:``, ``Role:``, ``Level:`` and ``Challenge:``, one value each;
a scripted client may rely on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ib_kernel.errors import ConfigError, did_you_mean
from ib_kernel.interview.challenges import Challenge
from ib_kernel.interview.personas import VERSIONS as VERSIONS  # importable from here too
from ib_kernel.interview.personas import Kind, Persona, load_persona
from ib_kernel.values import Message, NewSession

_VARIABLE = re.compile(r"\{\{[ \t]*([^\W\d]\w*)[ \t]*\}\}")


def prompt_version(persona: str) -> str:
    """Return the version that calls record, such as ``interviewer-1``. `UnknownName` for no such persona."""
    return load_persona(persona).version


def system_prompt(
    session: NewSession, challenge: Challenge | None, persona: Persona | None = None
) -> tuple[str, str]:
    """Return the system prompt of *session* and its version.

    The interviewer's notes and the rubric are in an interviewer's prompt only. It depends on nothing that
    changes during a session, so that services can cache it.

    Args:
        session: The session.
        challenge: What it was given, its private part included.
        persona: What the AI is in it; None: the shipped one that the session names.

    Raises:
        UnknownName: There is no such persona.
    """
    persona = persona or load_persona(session.persona)
    text = persona.template.substitute(
        candidate=_one_line(session.candidate) or "the candidate",
        role=_one_line(session.role) or "Software engineer",
        level=_one_line(session.level) or (challenge.level if challenge else "") or "not stated",
        challenge=f"{_one_line(challenge.name)} - {_one_line(challenge.title)}" if challenge else "none",
        task=_task(persona.kind, challenge),
    )
    return text, persona.version


WRAP_UP: Mapping[Kind, str] = {
    "interviewer": (
        "[From the interview system, not from the candidate: this is the last turn that the budget carries. "
        "Ask no further question; close the interview in this reply.]"
    ),
    "assistant": (
        "[From the interview system, not from the candidate: this is the last turn that the budget carries. "
        "Finish what is open and say what is left to do.]"
    ),
}
"""The line that the last affordable turn ends with: after the history, so that caches hold."""


def phase_line(phase: str, told: str) -> str:
    """Return the line that each turn of a phase ends with."""
    return (
        f"[From the interview system, not from the candidate: the interview is in its phase {phase}. {told}]"
    )


def build_messages(
    session: NewSession,
    challenge: Challenge | None,
    history: Sequence[Message],
    text: str,
    *,
    wrap_up: bool = False,
    persona: Persona | None = None,
    phase: str = "",
) -> tuple[dict[str, str], ...]:
    """Return the Chat Completions messages of the next turn: system prompt, history, then the text.

    Text and the history's contents are passed on unchanged. Empty messages and roles other than user and
    assistant are left out of the history; a hint that was given is one of the interviewer's sayings.

    Args:
        session: The session.
        challenge: What it was given, its private part included.
        history: What goes along of its transcript.
        text: The question or answer.
        wrap_up: Whether this is the last turn that fits, and the model is asked to come to an end.
        persona: What the AI is; None: the shipped one that the session names.
        phase: The line of the phase that the interview is in (`phase_line`); "" for none.
    """
    persona = persona or load_persona(session.persona)
    system, _ = system_prompt(session, challenge, persona)
    said = [_said(m) for m in history if m.role in ("user", "assistant", "hint") and m.content]
    if phase:
        text = f"{text}\n\n{phase}"
    if wrap_up:
        text = f"{text}\n\n{WRAP_UP[persona.kind]}"
    return ({"role": "system", "content": system}, *_alternating([*said, ("user", text)]))


def _said(message: Message) -> tuple[str, str]:
    if message.role == "hint":
        return "assistant", f"(A hint that the candidate asked for and was shown: {message.content})"
    return message.role, message.content


def _alternating(said: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Return *said* as messages whose roles alternate: what got no reply goes along with the next question.

    Many services refuse two messages of one role in a row, and empty ones.
    """
    messages: list[dict[str, str]] = []
    for role, content in said:
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += f"\n\n{content}"
        else:
            messages.append({"role": role, "content": content})
    return messages


def expand_vars(text: str, namespace: Mapping[str, Any]) -> str:
    """Replace each ``{{name}}`` in *text* by ``str(namespace[name])``, in one pass.

    Only bare names count: ``{{a.b}}``, ``{{f(x)}}`` and any other braces stay as they are, and a value that
    itself contains ``{{name}}`` is not expanded again. Raises `ConfigError` with one line for an unknown
    name, or for a value that cannot be turned into text.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in namespace:
            public = [str(key) for key in namespace if not str(key).startswith("_")]
            raise ConfigError(f"--vars: no variable called {name!r}{did_you_mean(name, public)}")
        try:
            return str(namespace[name])
        except Exception as error:  # noqa: BLE001 - somebody's __str__ can raise anything
            raise ConfigError(f"--vars: {name!r} cannot be shown as text: {type(error).__name__}") from None

    return _VARIABLE.sub(value, text)


def _one_line(value: str) -> str:
    """Keep a value from starting a line of its own in the prompt."""
    return " ".join(value.split())


def _task(kind: Kind, challenge: Challenge | None) -> str:
    if challenge is None:
        return (
            "No challenge was chosen. Pick one practical problem that suits the role and the level, and stay "
            "with it."
            if kind == "interviewer"
            else "No challenge was chosen; help with what the candidate asks."
        )
    parts = [f"<challenge>\n{challenge.text}\n</challenge>"]
    if kind == "interviewer" and challenge.notes:
        parts.append(
            "For you alone, never for the candidate:\n"
            f"<interviewer_notes>\n{challenge.notes}\n</interviewer_notes>"
        )
    if kind == "interviewer" and challenge.rubric:
        criteria = "\n".join(f"- {line}" for line in challenge.rubric)
        parts.append(f"For you alone, what is assessed:\n<criteria>\n{criteria}\n</criteria>")
    return "\n\n".join(parts)
