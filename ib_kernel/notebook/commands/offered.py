"""Subcommands that plugins add: their grammar for help and Tab, and how they are run and shown."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ib_kernel.errors import BrokenPlugin, BuddyError
from ib_kernel.notebook.commands import args, words

if TYPE_CHECKING:
    from ib_kernel.notebook.engine import Engine
    from ib_kernel.plugin.commands import Command

log = logging.getLogger(__name__)


def offered(engine: Engine) -> dict[str, Command]:
    """Return the commands that plugins offer, by name."""
    engine.plugins.load()
    return engine.plugins.catalog.commands.entries()


def grammar(command: Command) -> args.Command:
    """Return what help and did-you-mean know about *command*; its words are its own to parse."""
    return args.Command(f"%interview {command.name}", command.summary)


def run(engine: Engine, command: Command, line: str) -> None:
    """Run *command* with the words of *line* and show what it returns. An error is one line."""
    typed = words.split(line)
    if any(word in ("--help", "-h") for word in typed):
        _show(command.help())
        return
    try:
        result = command.run(engine.interview, typed)
    except BuddyError:
        raise
    except Exception as error:
        log.debug("the command %s failed", command.name, exc_info=True)
        plugin = engine.plugins.catalog.commands.names().get(command.name, "")
        reason = " ".join(str(error).split())[:200]
        raise BrokenPlugin(
            f"%interview {command.name} of the plugin {plugin} failed: {type(error).__name__}: {reason}"
        ) from None
    if isinstance(result, str):
        _show(result)
    elif result is not None:
        from IPython.display import display

        display(result)  # type: ignore[no-untyped-call]


def _show(text: str) -> None:
    from ib_kernel.notebook.output.show import publish, show_lines

    output = show_lines(text)
    publish(output.content, output.text)


def complete(engine: Engine, command: Command, before: Sequence[str], word: str) -> Iterable[str]:
    """Return what Tab offers for *word* after the words *before*."""
    if word.startswith("-"):
        return [option for option in (*command.options, "--help") if option not in before]
    return command.complete(engine.interview, before) if command.complete is not None else ()
