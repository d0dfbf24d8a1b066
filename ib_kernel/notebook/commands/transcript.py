"""`%interview transcript`: the conversation on screen, or in a ``.md``, ``.json`` or ``.ipynb`` file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from htpy import div, strong

from ib_kernel.errors import ConfigError
from ib_kernel.notebook.commands.args import UsageError
from ib_kernel.notebook.output.render import to_html_each
from ib_kernel.notebook.output.show import Output, show_lines, speaker

if TYPE_CHECKING:
    from ib_kernel.interview.challenges import Challenge
    from ib_kernel.values import Message, Session


def shown(session: Session, history: Sequence[Message]) -> Output:
    """Return the transcript for the screen."""
    if not history:
        return show_lines("the transcript is empty (or store_transcript is off).")
    parts = [(speaker(session, m), m) for m in history]
    text = "\n\n".join(f"{who}:\n{m.content.rstrip()}" for who, m in parts)
    texts = to_html_each([m.content for m in history])
    return Output(div[[div[strong[who], html] for (who, _), html in zip(parts, texts, strict=True)]], text)


def save(
    target: str,
    session: Session,
    challenge: Challenge | None,
    history: Sequence[Message],
    *,
    overwrite: bool = False,
) -> Path:
    """Write the transcript to *target* and return the file's full path.

    The format follows the suffix. An existing file is refused unless *overwrite*.
    """
    path = Path(target).expanduser().absolute()
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise UsageError(f"a transcript is written to a .md, .json or .ipynb file, not {target!r}")
    if path.exists() and not overwrite:
        raise UsageError(f"{path.name} exists already; give another name, or add --overwrite to replace it")
    content = writer(session, challenge, history)
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def _heading(session: Session) -> str:
    about = " · ".join(part for part in (session.role, session.level, session.model) if part)
    return f"# Interview with {session.candidate}\n\n{about}"


def _markdown(session: Session, challenge: Challenge | None, history: Sequence[Message]) -> str:
    parts = [_heading(session)]
    if challenge:
        parts.append(f"## Challenge\n\n{challenge.text}")
    parts += [f"## {speaker(session, m)}\n\n{m.content.rstrip()}" for m in history]
    return "\n\n".join(parts) + "\n"


def _json(session: Session, challenge: Challenge | None, history: Sequence[Message]) -> str:
    keep = ("session_id", "candidate", "role", "level", "model", "client", "persona", "prompt_version")
    record: dict[str, Any] = {name: getattr(session, name) for name in keep}
    record |= {"status": str(session.status), "token_budget": session.token_budget}
    record["challenge"] = {"name": challenge.name, "text": challenge.text} if challenge else None
    record["messages"] = [dataclasses.asdict(m) for m in history]
    return json.dumps(record, ensure_ascii=False, indent=2) + "\n"


def _notebook(session: Session, challenge: Challenge | None, history: Sequence[Message]) -> str:
    try:
        from nbformat import v4, writes
    except ImportError:
        raise ConfigError(
            "nbformat is not installed; install it with: pip install nbformat, or write a .md file"
        ) from None
    markdown: Callable[[str], Any] = v4.new_markdown_cell
    raw: Callable[[str], Any] = v4.new_raw_cell
    cells = [markdown(_heading(session))]
    if challenge:
        cells.append(markdown(f"## Challenge\n\n{challenge.text}"))
    for m in history:
        cells.append(markdown(f"**{speaker(session, m)}**"))
        # Raw: what was said is kept as it is, and nothing in it is rendered or run.
        cells.append(raw(m.content))
    text: str = writes(v4.new_notebook(cells=cells))  # type: ignore[no-untyped-call]
    return text


_WRITERS: dict[str, Callable[[Session, Challenge | None, Sequence[Message]], str]] = {
    ".md": _markdown,
    ".json": _json,
    ".ipynb": _notebook,
}
