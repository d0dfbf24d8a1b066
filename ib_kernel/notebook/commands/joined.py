"""`%interview join`, `leave`, `tools` and `invite`: an interview that a host holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from htpy import div, strong

from ib_kernel.errors import ConfigError, NoSession
from ib_kernel.notebook.commands.words import UsageError
from ib_kernel.notebook.output.show import Output, as_divs, publish, show_lines
from ib_kernel.text import plain

if TYPE_CHECKING:
    from ib_kernel.notebook.commands.args import Parsed
    from ib_kernel.notebook.engine import Engine
    from ib_kernel.remote.interview import RemoteInterview

BEGIN = "The clock starts with %interview begin, or with your first %%interview cell."
VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_KEY")


def join(engine: Engine, parsed: Parsed) -> Output:
    """Join with the line that was sent, or go on where this notebook was."""
    from ib_kernel.notebook.commands.start import started
    from ib_kernel.notebook.handout import hand_out
    from ib_kernel.remote.joining import join as join_host
    from ib_kernel.remote.joining import try_host

    settings = engine.settings()
    if parsed.get("test"):
        return show_lines("\n".join([*try_host(parsed.get("test"), settings), _lab_line()]))
    if engine.remote is not None and not parsed.positional:
        raise UsageError(f"you are in the interview at {engine.remote.address}; %interview status shows it")
    found = join_host(parsed.positional, settings, engine.plugins)
    if engine.remote is not None:
        engine.leave()
    engine.enter(found.interview)
    if found.notice:
        lines = plain(found.notice).splitlines()
        publish(
            div[div[strong["Before you begin"]], as_divs(lines)], f"Before you begin\n{plain(found.notice)}"
        )
        found.interview.notice_was_shown()
    session = found.interview.session
    notes = [f"Joined at {found.interview.address}; budget, time and the model are the interviewer's."]
    if session.status == "created":
        notes.append(BEGIN)
    elif session.status != "active":
        notes.append(f"This session is {session.status}.")
    if found.interview.kept.gateway_token:
        notes.append("%interview tools lets the openai package and other tools here spend from this budget.")
    task = found.interview.challenge(session)
    if not found.again:
        notes += hand_out(task, engine.insert_cell, Path())
    totals = found.interview.service.totals(session.session_id)
    verb = "Back in the interview" if found.again else "Joined"
    return started(session, task, totals, verb=verb, notes=notes)


def leave(engine: Engine, parsed: Parsed) -> Output:
    """Go back to sessions of one's own; the interview stays as it is at the host."""
    remote = joined(engine)
    address = remote.address
    engine.leave()
    if parsed.get("forget"):
        from ib_kernel.remote import kept

        kept.forget(engine.settings().data_dir, remote.kept)
        return show_lines(
            f"Left the interview at {address}; coming back needs a new line from the interviewer."
        )
    return show_lines(f"Left the interview at {address}; it goes on there. %interview join comes back.")


def tools(engine: Engine, parsed: Parsed) -> Output:
    """Let the openai package and other tools of this kernel spend from the session's budget."""
    remote = joined(engine)
    token = remote.kept.sent(remote.kept.gateway_token)
    if not token:
        raise ConfigError("this invitation does not let tools in; ask the interviewer for one that does")
    address = f"{remote.address}/openai/v1"
    engine.set_variables({VARIABLES[0]: address, VARIABLES[1]: token})
    line = (
        f"OPENAI_BASE_URL and OPENAI_API_KEY are set in this kernel: {address} answers the openai package, "
        f"llm and the like with {remote.session.model}, and charges what it bills. %interview leave takes "
        "them back."
    )
    if parsed.get("show"):  # what the person asked to see; a saved notebook keeps it
        publish(div[plain(line)], plain(line))
        print(f"OPENAI_BASE_URL={address}\nOPENAI_API_KEY={token}")  # noqa: T201
        return show_lines(
            "This token spends from the interview's budget: clear this output before you share it."
        )
    return show_lines(line)


def invite(engine: Engine, parsed: Parsed) -> Output:
    """Invite a candidate from a notebook that knows a host."""
    from ib_kernel.remote.desk import Desk

    given: dict[str, Any] = dict(parsed.values)
    address = given.pop("host", None) or os.environ.get("IB_HOST", "").strip()
    if not address:
        raise ConfigError("which host? Add --host https://NAME, or put it into IB_HOST")
    desk = engine.desk or Desk.from_environment(address, engine.settings())
    engine.desk = desk
    session_id = given.pop("session", None)
    line = desk.readmit(session_id, **given) if session_id else desk.invite(parsed.positional, **given)
    print(plain(line))  # noqa: T201 - the code is for the candidate: not scrubbed here
    return show_lines("Send this line to the candidate; it lets one person in, once.")


def joined(engine: Engine) -> RemoteInterview:
    """Return the interview that was joined. `NoSession` where there is none."""
    if engine.remote is None:
        raise NoSession("no interview at a host was joined here; type %interview join CODE@https://host")
    return engine.remote


def show_said(engine: Engine) -> None:
    """Show what the interviewer has said since this was asked last."""
    if engine.remote is None:
        return
    for line in engine.remote.state.take_lines():
        text = plain(line)
        content = div(style="border-left:3px solid;padding-left:8px;margin:4px 0")[
            strong["Interviewer"], as_divs(text.splitlines() or [""])
        ]
        publish(content, f"Interviewer: {text}")


def _lab_line() -> str:
    from importlib.util import find_spec

    there = find_spec("jupyterlab") is not None
    return "JupyterLab is installed here" if there else "no JupyterLab here: everything works without it"
