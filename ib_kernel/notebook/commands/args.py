"""Every magic line is parsed here: `argparse`, with the words of a person who types into a cell.

Every mistake raises `UsageError` with one line that says what was wrong and what to type instead.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ib_kernel.errors import did_you_mean
from ib_kernel.notebook.commands.words import UsageError, refusal, split
from ib_kernel.settings import parsing

_OPTION = re.compile(r"(?:--?|[–—])[^\W\d][^\s=]*")
"""What a person means as an option: editors turn two hyphens into a dash."""

_NO_OPTION = re.compile(r"(?:-[^\W\d]|[–—])[^\W\d][^\s=]*")
"""What is meant as one and is none: ``-budget``, which `argparse` would read as ``-b udget``; ``—budget``."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a command.

    Attributes:
        name: What is typed, such as ``--budget``.
        dest: The key in `Parsed.values`.
        parse: Turns the option's text into its value; its docstring says what is allowed. None: a flag.
        metavar: What stands for the value in help.
        help: What it does, in a few words.
        short: A second, short name, such as ``-n``.
        completes: What Tab offers for the value (see `ib_kernel.notebook.commands.complete`).
        words: Whether the value may have several words without quotes, as a person's name has.
        repeats: Whether the option may be given several times; its values, tuples, are then joined.
    """

    name: str
    dest: str
    parse: Callable[[str], Any] | None = None
    metavar: str = ""
    help: str = ""
    short: str = ""
    completes: str = ""
    words: bool = False
    repeats: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The short name, if any, and the long one."""
        return (self.short, self.name) if self.short else (self.name,)


@dataclass(frozen=True, slots=True)
class Command:
    """What one magic or subcommand accepts: the source of parsing, ``--help``, completion and the docs.

    Attributes:
        name: What is typed, such as ``%interview start``.
        summary: One sentence.
        options: The options, in the order in which help lists them.
        positional: The metavar of what follows without an option ("" for nothing).
        many: Whether all words without an option are one value, so that a role needs no quotes.
        completes: What Tab offers for the positional.
        example: Shown with ``--help``.
    """

    name: str
    summary: str = ""
    options: Sequence[Option] = ()
    positional: str = ""
    many: bool = False
    completes: str = ""
    example: str = ""

    def option(self, word: str) -> Option | None:
        """Return the option that *word* names."""
        return next((o for o in self.options if word in o.names), None)

    def usage(self) -> str:
        """Return usage, options and an example as text."""
        return _parser(self).format_help().rstrip()


@dataclass(slots=True)
class Parsed:
    """A parsed line: the options' values by `Option.dest` (absent when not given) and the positional text."""

    values: dict[str, Any] = field(default_factory=dict)
    positional: str = ""
    help: bool = False

    def get(self, dest: str, default: Any = None) -> Any:
        """Return the value of an option, or *default* when it was not given."""
        return self.values.get(dest, default)


def parse(command: Command, line: str) -> Parsed:
    """Parse *line* as *command* allows.

    Args:
        command: What is allowed.
        line: What was typed after the command's name.

    Returns:
        The values.

    Raises:
        UsageError: For everything that is not allowed, with what to type instead.
    """
    words = split(line)
    before, dashes, after = _partition(words)
    for word in before:
        if mistaken := _NO_OPTION.match(word):
            _unknown_option(command, mistaken[0])
    try:
        found, extra = _parser(command).parse_known_args([*_separate(command, before), *dashes, *after])
    except argparse.ArgumentError as error:
        raise UsageError(_explain(command, error, words)) from None
    given = vars(found)
    parsed = Parsed(help=given.pop("help", False))
    front = given.pop("positional", None) or []
    front = [front] if isinstance(front, str) else front
    strays = _strays(command, extra)
    if strays and front:
        raise UsageError(_two_places(command, front, strays))
    parsed.positional = " ".join([*front, *strays])
    if parsed.positional and not command.positional:
        _unexpected(command, strays[0])
    for option in command.options:
        if option.dest in given:
            value = given[option.dest]
            if option.repeats:
                value = tuple(item for part in value for item in part)
            parsed.values[option.dest] = _joined(command, option, value, parsed) if option.words else value
    return parsed


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=32, width=100)


def _parser(command: Command) -> _Parser:
    parser = _Parser(
        prog=command.name,
        usage=f"{command.name} [{command.positional}] [options]".replace(" []", "").replace("%", "%%"),
        description=command.summary,
        epilog=f"Example: {command.example}" if command.example else None,
        argument_default=argparse.SUPPRESS,
        formatter_class=_formatter,
        add_help=False,
        allow_abbrev=False,
        exit_on_error=False,
    )
    vars(parser)["color"] = False  # Python 3.14 would colour the help of a terminal
    if command.positional:
        parser.add_argument("positional", nargs="*" if command.many else "?", metavar=command.positional)
    for option in command.options:
        text = option.help.replace("%", "%%")
        if option.parse is None:
            parser.add_argument(*option.names, dest=option.dest, action="store_true", help=text)
        else:
            parser.add_argument(
                *option.names,
                dest=option.dest,
                type=_checked(option.parse),
                metavar=option.metavar or option.dest.upper(),
                nargs="+" if option.words else None,
                action="append" if option.repeats else "store",
                help=text,
            )
    parser.add_argument("-h", "--help", action="store_true", help="show this and do nothing")
    return parser


def _checked(parser: Callable[[str], Any]) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        try:
            return parser(text)
        except parsing.REFUSED:
            raise argparse.ArgumentTypeError(refusal(text, parser)) from None

    return checked


def _partition(words: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Split *words* at ``--``, behind which nothing is an option."""
    if "--" not in words:
        return words, [], []
    at = words.index("--")
    return words[:at], ["--"], words[at + 1 :]


def _separate(command: Command, words: list[str]) -> list[str]:
    """Take ``--name=value`` apart where more words may belong to the value."""
    separate = []
    for word in words:
        name, equals, value = word.partition("=")
        option = command.option(name)
        apart = equals and option is not None and option.words and value and not value.startswith("-")
        separate += [name, value] if apart else [word]
    return separate


def _explain(command: Command, error: argparse.ArgumentError, words: list[str]) -> str:
    names = str(error.argument_name).split("/")
    name = next((n for n in names for word in words if word.startswith(n)), names[-1])
    option = command.option(name)
    if str(error.message).startswith("cannot be "):
        return f"{name} {error.message}"
    if option is None or option.parse is None:
        return f"{name} takes no value"
    return f"{name} needs a value: {option.parse.__doc__}"


def _strays(command: Command, extra: list[str]) -> list[str]:
    """Return the words of *extra* that are no options. `UsageError` for an option that does not exist."""
    before, _, after = _partition(extra)
    for word in before:
        if unknown := _OPTION.match(word):
            _unknown_option(command, unknown[0])
    return [*before, *after]


def _joined(command: Command, option: Option, words: list[str], parsed: Parsed) -> Any:
    """Join the words of one value; when some of them may be the positional's, ask for quotes."""
    if len(words) > 1 and command.many and not parsed.positional:
        if " " not in words[0]:
            raise UsageError(
                f"{option.name} {' '.join(words)}: it is not clear where the value ends; put it in quotes, "
                f'and the {command.positional} first: {command.name} {command.positional} {option.name} "…"'
            )
        parsed.positional = " ".join(words[1:])
        words = words[:1]
    return " ".join(words)


def _two_places(command: Command, front: list[str], strays: list[str]) -> str:
    said = " ".join([*front, *strays])
    if command.many:
        return (
            f"{command.name}: {' '.join(strays)!r} stands apart from {' '.join(front)!r}; put a value of "
            "several words in quotes"
        )
    count = len(front) + len(strays)
    return f'{command.name} takes one {command.positional}, not {count}; put it in quotes: "{said}"'


def _unknown_option(command: Command, name: str) -> NoReturn:
    names = [o.name for o in command.options]
    known = f"; known: {', '.join(names)}" if names else f"; {command.name} has none"
    hint = did_you_mean(f"--{name.lstrip('-–—')}", names) if names else ""
    raise UsageError(f"unknown option {name}{hint or known}")


def _unexpected(command: Command, word: str) -> NoReturn:
    hint = did_you_mean(f"--{word}", [o.name for o in command.options])
    raise UsageError(
        f"{command.name} does not take {word!r}{hint or f'; {command.name} --help shows what it takes'}"
    )
