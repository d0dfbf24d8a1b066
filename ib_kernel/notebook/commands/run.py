"""The subcommands of `%interview`, one function each: parse, act on the engine, show."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import Locked, SessionInactive
from ib_kernel.notebook.commands.args import Parsed, parse
from ib_kernel.notebook.commands.grammar import subcommands
from ib_kernel.notebook.commands.words import UsageError
from ib_kernel.notebook.output.show import Output, publish, show_lines
from ib_kernel.values.table import table_html, table_text

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview
    from ib_kernel.notebook.engine import Engine
    from ib_kernel.settings import Settings
    from ib_kernel.values import Session


def run(engine: Engine, line: str) -> None:
    """Run ``%interview LINE``. Raises `UsageError` for mistakes and what the engine raises."""
    from ib_kernel.notebook.commands.key import refuse_keys

    word, _, rest = line.strip().partition(" ")
    if word != "join":  # a code is a secret, too, and this is where it is typed
        refuse_keys(line)
    if not word:
        word = "status" if engine.session_id is not None else "help"
    if word in ("--help", "-h"):
        word = "help"
    if word == "list":
        word = "sessions"
    if word == "key":
        from ib_kernel.notebook.commands.key import refuse_argument

        refuse_argument(rest)
    command = subcommands(engine).get(word)
    if command is None:
        from ib_kernel.notebook.commands.mistakes import unknown_subcommand

        raise UsageError(unknown_subcommand(word, rest, engine))
    if word not in _ACTIONS:  # a plugin's
        from ib_kernel.notebook.commands import offered

        offered.run(engine, offered.offered(engine)[word], rest)
        return
    parsed = parse(command, rest)
    if parsed.help:
        show(show_lines(command.usage()))
        return
    show(_ACTIONS[word](engine, parsed))


def show(output: Output) -> None:
    """Publish *output*."""
    publish(output.content, output.text)


def _start(engine: Engine, parsed: Parsed) -> Output:
    from ib_kernel.models.limits import retirement_note
    from ib_kernel.notebook.commands.start import DEMO, carries, started
    from ib_kernel.notebook.handout import hand_out

    interview, notes = engine.interview, []
    untouched = _untouched(engine, parsed)
    if untouched is not None:
        verb, session = "Going on with the same, untouched session", untouched
    else:
        notes += _active_one(interview)
        given = _given(parsed, engine.settings())
        session = _start_past_a_lock(interview, given.pop("role", ""), given)
        verb, engine.started_with = "Interview started", engine.settings()
        engine.last_start = parsed, session.session_id
    settings = engine.settings()
    if session.client == "demo" and settings.client is None and "client" not in parsed.values:
        notes.append(DEMO)
    retired = retirement_note(engine.plugins.model(session.model, settings, session.client))
    if retired:
        notes.append(retired)
    notes += _left_behind(interview, None)
    if untouched is None:
        notes += hand_out(interview.challenge(session), engine.insert_cell, Path())
    totals = interview.service.totals(session.session_id)
    notes[:0] = carries(interview.service.estimate_turns_left(session.session_id))
    return started(session, interview.challenge(session), totals, verb=verb, notes=notes)


def _given(parsed: Parsed, settings: Settings) -> dict[str, Any]:
    """Return the arguments of `Interview.start`; asks for a passphrase where one is wanted."""
    given: dict[str, Any] = {**parsed.values, "role": parsed.positional}
    minutes = given.pop("minutes", None)
    if given.pop("lock", False):
        from ib_kernel.notebook.commands.passphrase import new_passphrase

        given["passphrase"] = new_passphrase()
    given["time_limit_s"] = None if minutes is None else 60 * minutes
    preset = given.pop("preset", None)
    if preset is not None:
        from ib_kernel.interview.presets import with_preset

        return with_preset(settings, preset, given)
    return given


def _untouched(engine: Engine, parsed: Parsed) -> Session | None:
    """Return the session that this very line has started a moment ago and that has had no turn (Run All)."""
    if engine.last_start is None or engine.remote is not None or parsed.get("lock"):
        return None
    (line, session_id), interview = engine.last_start, engine.interview
    if line != parsed or interview.session_id != session_id or engine.started_with != engine.settings():
        return None
    session, totals = interview.session, interview.service.totals(session_id)
    is_fresh = totals.calls == totals.messages == totals.held == totals.in_doubt == 0
    return session if is_fresh and session.status == "active" else None


def _active_one(interview: Interview) -> list[str]:
    """Say what becomes of the session in use when another is started."""
    if interview.session_id is None:
        return []
    session = interview.session
    if session.status not in ("active", "paused", "created"):
        return []
    return [
        f"{session.candidate}'s session {session.session_id} stays {session.status} beside it: "
        f"%interview use {session.session_id} goes back to it."
    ]


def _status(engine: Engine, parsed: Parsed) -> Output:
    from ib_kernel.notebook.commands.start import status

    interview = engine.interview
    session = interview.session
    return status(session, interview.challenge(session), interview.service.totals(session.session_id))


def _transcript(engine: Engine, parsed: Parsed) -> Output:
    from ib_kernel.notebook.commands import transcript

    interview = engine.interview
    session, history = interview.session, interview.history()
    if not parsed.positional:
        return transcript.shown(session, history)
    path = transcript.save(parsed.positional, interview, overwrite=bool(parsed.get("overwrite")))
    return show_lines(f"{len(history)} messages written to {path}")


def _pause(engine: Engine, parsed: Parsed) -> Output:
    interview = engine.interview
    interview.service.pause(interview.session.session_id)
    return show_lines("Paused: the clock stands still and turns are refused. %interview resume goes on.")


def _resume(engine: Engine, parsed: Parsed) -> Output:
    interview = engine.interview
    session, more = interview.session, parsed.get("minutes")
    if more is not None and session.time_limit_s is None:
        raise UsageError("--minutes: this session has no time limit; type %interview resume alone")
    if session.status == "expired" and not session.time_left_s and more is None:
        raise SessionInactive("its time is up; %interview resume --minutes N gives it more.", "expired")
    from ib_kernel.notebook.commands.passphrase import passphrase_for

    service, key = interview.service, passphrase_for(interview.service, session.session_id)
    if more is not None:
        limit = (session.time_limit_s or 0.0) + 60 * more
        session = service.set_time_limit(session.session_id, limit, passphrase=key)
    if session.status != "active" or more is None:
        service.resume(session.session_id, passphrase=key)
    from ib_kernel.notebook.commands.limits import stand

    return stand(interview, "Resumed")


def _start_past_a_lock(interview: Interview, role: str, given: dict[str, Any]) -> Session:
    """Start, and ask once for the passphrase where an earlier session's lock guards it."""
    try:
        return interview.start(role, **given)
    except Locked as guarded:
        if guarded.wrong or "passphrase" in given:
            raise
    from ib_kernel.notebook.commands.passphrase import ask_passphrase

    return interview.start(role, **given, unlock=ask_passphrase())


def _sessions(engine: Engine, parsed: Parsed) -> Output:
    from ib_kernel.notebook.commands.usage import sessions

    return sessions(engine)


def _use(engine: Engine, parsed: Parsed) -> Output:
    from ib_kernel.notebook.commands.start import started

    if not parsed.positional:
        raise UsageError("%interview use needs a session's ID; %interview sessions lists them")
    interview = engine.interview
    session = interview.use(_whole_id(engine, parsed.positional))
    totals = interview.service.totals(session.session_id)
    notes = [] if session.status == "active" else [f"This session is {session.status}."]
    notes += _left_behind(interview, session.session_id)
    return started(session, interview.challenge(session), totals, verb="Going on with", notes=notes)


def _whole_id(engine: Engine, typed: str) -> str:
    """Return the id of the one session that begins with *typed*; *typed* itself when there is none."""
    found = [s.session_id for s in engine.service.store.sessions() if s.session_id.startswith(typed)]
    if typed in found or not found:
        return typed
    if len(found) > 1:
        several = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
        raise UsageError(f"{len(found)} sessions begin with {typed}: {several}; type more of the ID")
    return found[0]


def _left_behind(interview: Interview, session_id: str | None) -> list[str]:
    """Say what a killed kernel has left charged: in this session, or anywhere in the ledger."""
    from ib_kernel.budget.unresolved import left_behind

    line = left_behind(interview.service.store.reservations(session_id), own=session_id)
    return [line] if line else []


def _models(engine: Engine, parsed: Parsed) -> Output:
    from ib_kernel.models.limits import retirement_note
    from ib_kernel.notebook.commands.counted import how_counted

    settings = engine.settings()
    rows = [
        [
            m.name + (" (default)" if m.name == settings.model else ""),
            f"{m.context_window:,}",
            f"{m.max_output:,}",
            how_counted(engine, m),
            retirement_note(m),
        ]
        for m in engine.plugins.models(settings)
        if parsed.get("all") or m.name == settings.model or "was shut down" not in retirement_note(m)
    ]
    headers = ["model", "context window", "output limit", "counted by", "note"]
    return Output(table_html(headers, rows, stacks=True), table_text(headers, rows))


def _key(engine: Engine, parsed: Parsed) -> Output:
    from ib_kernel.notebook.commands import key

    return show_lines(key.run(engine, parsed))


def _in(module: str, *names: str) -> dict[str, Callable[[Engine, Parsed], Output]]:
    """Return the actions of a module of this folder, which is imported when the first of them is typed."""

    def action(name: str) -> Callable[[Engine, Parsed], Output]:
        def run(engine: Engine, parsed: Parsed) -> Output:
            found = importlib.import_module(f"ib_kernel.notebook.commands.{module}")
            result: Output = getattr(found, name)(engine, parsed)
            return result

        return run

    return {name: action(name) for name in names}


def _doctor(engine: Engine, parsed: Parsed) -> Output:
    from ib_kernel.notebook.commands.doctor import report

    return report(engine, everything=bool(parsed.get("all")))


def _help(engine: Engine, parsed: Parsed) -> Output:
    from ib_kernel.interview.challenges import list_challenges
    from ib_kernel.notebook.commands.help import TEXT
    from ib_kernel.notebook.commands.offered import offered

    challenges = "\n".join(
        f"  {c.name:<18}{c.title}" for c in list_challenges(engine.plugins, engine.settings().challenges)
    )
    added = "\n".join(f"  {'%interview ' + c.name:<41}{c.summary}" for c in offered(engine).values())
    return show_lines(TEXT.format(challenges=challenges) + (f"\nFrom plugins\n{added}\n" if added else ""))


_ACTIONS: dict[str, Callable[[Engine, Parsed], Output]] = {
    "start": _start,
    **_in("joined", "join", "leave", "tools", "invite"),
    **_in("work", "check", "hint", "record", "challenges"),
    **_in("assess", "score", "note", "scorecard", "rubric", "compare", "agreement"),
    **_in("timeline", "timeline"),
    **_in("phase", "phase"),
    **_in("judge", "judge"),
    **_in("report", "report", "feedback"),
    "object": _in("report", "object_")["object_"],
    **_in("practice", "practice"),
    "status": _status,
    "transcript": _transcript,
    "pause": _pause,
    "resume": _resume,
    **_in("limits", "begin", "extend", "end"),
    "sessions": _sessions,
    "use": _use,
    "models": _models,
    "key": _key,
    "doctor": _doctor,
    "help": _help,
}
