"""Tab: subcommands, options, and the values of options: models, challenges, clients, sessions.

A matcher for IPython's completer. It never raises; the ledger is opened only to list sessions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ib_kernel.notebook.commands import offered
from ib_kernel.notebook.commands.args import Command
from ib_kernel.notebook.commands.grammar import ASK, BUDGET, SQL, USAGE, subcommands
from ib_kernel.notebook.config import CONFIGURABLE

if TYPE_CHECKING:
    from ib_kernel.notebook.engine import Engine

_LINE = re.compile(r"\s*(%%?)(interview|budget|usage)\s+(.*)$")
_CONFIG = re.compile(r"\s*%config\s+InterviewMagics\.(\w*)$")


def complete(engine: Engine, line: str) -> list[str]:
    """Return what may follow *line*, as whole words."""
    config = _CONFIG.match(line)
    if config:
        return [f"InterviewMagics.{n}" for n in CONFIGURABLE if n.startswith(config[1])]
    match = _LINE.match(line)
    if not match:
        return []
    cell, magic, rest = match[1] == "%%", match[2], match[3]
    words = rest.split(" ")
    word, before = words[-1], [w for w in words[:-1] if w]
    command = {
        ("interview", True): ASK,
        ("usage", False): USAGE,
        ("usage", True): SQL,
        ("budget", False): BUDGET,
    }.get((magic, cell))
    if command is None:
        if not before:
            return _starting(word, subcommands(engine))
        if before[0] in offered.offered(engine):
            mine = offered.offered(engine)[before[0]]
            return _starting(word, offered.complete(engine, mine, before[1:], word))
        command = subcommands(engine).get(before[0])
        before = before[1:]
    return [] if command is None else _for_command(engine, command, before, word)


def _for_command(engine: Engine, command: Command, before: list[str], word: str) -> list[str]:
    option = command.option(before[-1]) if before else None
    if option is not None and option.parse is not None:
        return _starting(word, _values(engine, option.completes))
    name, equals, value = word.partition("=")
    option = command.option(name) if equals else None
    if option is not None:
        return [f"{name}={v}" for v in _starting(value, _values(engine, option.completes))]
    if word.startswith("-"):
        return _starting(word, [*(o.name for o in command.options if o.name not in before), "--help"])
    if command.completes == "criteria" and len(before) == 1:
        return _starting(word, ("0", "1", "2", "3"))
    return _starting(word, _values(engine, command.completes)) if not before else []


def _values(engine: Engine, kind: str) -> Iterable[str]:
    if kind == "challenges":
        from ib_kernel.interview.challenges import list_challenges

        return [c.name for c in list_challenges(engine.plugins, engine.settings().challenges)]
    if kind == "models":
        from ib_kernel.models.limits import retirement_note

        models = engine.plugins.models(engine.settings())
        return [m.name for m in models if "was shut down" not in retirement_note(m)]
    if kind == "clients":
        engine.plugins.load()
        return engine.plugins.catalog.clients.names()
    if kind in ("criteria", "compared"):
        from ib_kernel.notebook.commands.assess import completions

        return completions(engine, kind)
    if kind == "judges":
        from ib_kernel.assessment.judge.find import judge_names

        return judge_names(engine.plugins)
    if kind == "sessions":
        return [s.session_id for s in engine.service.store.sessions(limit=50)]
    if kind == "personas":
        from ib_kernel.interview.personas import persona_names

        return persona_names(engine.plugins)
    if kind == "presets":
        return sorted(engine.settings().presets)
    if kind == "phases":
        return [*engine.interview.phases(), "off"] if engine.session_id is not None else ()
    return {
        "apis": ("chat", "responses"),
        "charges": ("billed", "new"),
        "editions": ("interviewer", "candidate"),
        "usage": ("session", "all", "accuracy"),
    }.get(kind, ())


def _starting(word: str, known: Iterable[str]) -> list[str]:
    return [name for name in known if name.startswith(word)]


def install(shell: Any, engine: Engine) -> Callable[..., Any] | None:
    """Add the matcher to the shell's completer and return what `remove` takes."""
    completer = getattr(shell, "Completer", None)
    if completer is None:
        return None
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher()  # type: ignore[untyped-decorator]
    def interview_magics_matcher(context: Any) -> Any:
        line = context.line_with_cursor[: context.cursor_position]
        try:
            words = complete(engine, line)
        except Exception:  # noqa: BLE001 - completion must never get in the way of typing
            words = []
        fragment = re.search(r"\S*$", line)
        return {
            "completions": [SimpleCompletion(word, type="magic") for word in words],
            "matched_fragment": fragment[0] if fragment else "",
            "suppress": bool(words),
        }

    completer.custom_matchers.append(interview_magics_matcher)
    found: Callable[..., Any] = interview_magics_matcher
    return found


def remove(shell: Any, installed: Callable[..., Any] | None) -> None:
    """Take the matcher out again."""
    completer = getattr(shell, "Completer", None)
    if completer is not None and installed in completer.custom_matchers:
        completer.custom_matchers.remove(installed)
