"""`%%interview`: send the cell's text, look ahead with ``--dry-run``, or show what was answered before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ib_kernel.notebook.commands.args import parse
from ib_kernel.notebook.commands.grammar import ASK
from ib_kernel.notebook.output.show import Output, publish, show_lines
from ib_kernel.values.attachment import with_attachments

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview
    from ib_kernel.notebook.cell import Cell
    from ib_kernel.notebook.engine import Engine
    from ib_kernel.values import NextTurn


def ask(engine: Engine, cell: Cell, shell: Any, line: str, body: str) -> None:
    """Do what a ``%%interview`` cell asks for. Raises what refuses, fails or stops the turn.

    Args:
        engine: The notebook's engine.
        cell: Which cell runs.
        shell: Whose variables ``--vars`` fills in.
        line: What stands on the magic's line.
        body: What stands below it.
    """
    from ib_kernel.notebook.commands import mistakes
    from ib_kernel.notebook.commands.key import refuse_keys

    mistakes.check_line(line, engine)
    parsed = parse(ASK, line)
    if parsed.help:
        _show(show_lines(ASK.usage()))
        return
    options, text = dict(parsed.values), body.strip("\n")
    if options.pop("vars", False):
        from ib_kernel.interview.prompts import expand_vars

        text = expand_vars(text, shell.user_ns)
    interview = engine.interview
    refuse_keys(text)
    from ib_kernel.notebook.attach import attachments

    attached = attachments(shell, options, engine.last_error)
    whole = with_attachments(text, attached)
    again = options.pop("again", False)
    if options.pop("dry_run", False):
        options.pop("temperature", None)
        _show(show_lines(next_turn(interview.estimate(whole, **options))))
        return
    session_id = interview.session.session_id
    turn = None if again else cell.answered_in(session_id, whole)
    if turn is not None:
        _show(_answered_before(interview, turn))
        return
    if attached:
        options["attachments"] = attached
    _send(interview, cell, shell, text, options)


def next_turn(found: NextTurn) -> str:
    """Return in words what sending a text now would take.

    Args:
        found: The estimate.
    """
    if found.refusal:
        return f"{found.refusal}\nThe prompt would have {found.prompt:,} tokens, {found.new:,} of them new."
    about = "" if found.exact else "about "
    lines = [
        f"Not sent. The prompt has {about}{found.prompt:,} tokens, {found.new:,} of them new; the reply "
        f"about {found.reply:,}, at most {found.cap:,}.",
        f"Charged: about {found.charged:,} of {found.left:,} left; {found.held:,} are held while it runs. "
        f"Turns that fit, this one included: {found.turns_left:,}.",
    ]
    if found.history_from_turn is not None:
        lines.append(f"Sent from turn {found.history_from_turn} on: older ones do not fit.")
    return "\n".join(lines)


def _send(interview: Interview, cell: Cell, shell: Any, text: str, options: dict[str, Any]) -> None:
    from ib_kernel.errors import Stopped
    from ib_kernel.notebook.output.ask import show_reply

    try:
        session = interview.session
        reply = interview.ask(text, **options)
        show_reply(
            shell,
            reply,
            stream=interview.settings.stream if cell.shows_updates else "final",
            waiting_for=options.get("model") or session.model,
            alone=cell.ours(),
            session=session,
        )
    except KeyboardInterrupt:
        raise Stopped("Nothing was lost; %budget shows where the session stands.") from None
    if reply.result is not None and not reply.result.stopped:
        sent = with_attachments(text, options.get("attachments", ()))
        cell.note_answer(session.session_id, sent, reply.result.turn)


def _answered_before(interview: Interview, turn: int) -> Output:
    """Return the reply of an earlier turn, with the line that says why nothing was sent."""
    from ib_kernel.notebook.output.screen import finished

    said = [m.content for m in interview.history() if m.turn == turn and m.role == "assistant"]
    note = (
        f"Answered in turn {turn}; nothing was sent, because it would be charged again. "
        "%%interview --again sends it once more."
    )
    return Output(*finished("\n\n".join(said), note, ""))


def _show(output: Output) -> None:
    publish(output.content, output.text)
