"""One small parser for every magic line: quotes, did-you-mean, ``--help``, numbers with separators.

A line is split as a shell would, except that backslashes are ordinary characters (Windows paths). Every
mistake raises `UsageError` with one line that says what was wrong and what to type instead.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from IPython.core.error import UsageError as _IPythonUsageError

_WHOLE = re.compile(r"\d+(?:_\d+)*|\d{1,3}(?:,\d{3})+")


class UsageError(_IPythonUsageError):
    """A mistake in a magic's line. Shown as one line, and the cell fails.

    IPython prints its own `UsageError` to stderr; a subclass that renders itself becomes a proper error
    output of the cell.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"UsageError: {self}"]


def whole(text: str) -> int:
    """a whole number such as 20000, 20_000 or 20,000"""
    if not _WHOLE.fullmatch(text):
        raise ValueError
    return int(text.replace("_", "").replace(",", ""))


def positive(text: str) -> int:
    """a whole number of at least 1, such as 20000, 20_000 or 20,000"""
    number = whole(text)
    if number < 1:
        raise ValueError
    return number


def figures(text: str) -> tuple[int, int]:
    """input and output tokens, such as 812+240"""
    tokens = [whole(part.strip()) for part in text.split("+")]
    if len(tokens) != 2:
        raise ValueError
    return tokens[0], tokens[1]


def dollars(text: str) -> Any:
    """US dollars above 0, such as 0.50, with at most nine decimals"""
    from ib_kernel.settings import parsing

    return parsing.dollars(text)


def minutes(text: str) -> float:
    """a number of minutes above 0, such as 45 or 0.5"""
    number = float(text.replace(",", "."))
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def temperature(text: str) -> float:
    """a number from 0 to 2"""
    number = float(text)
    if not 0 <= number <= 2:
        raise ValueError
    return number


def some(text: str) -> str:
    """some text"""
    if not text.strip():
        raise ValueError
    return text


def one_of(*allowed: str) -> Callable[[str], str]:
    """Return a parser that accepts the *allowed* words only."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError
        return text

    parse.__doc__ = " or ".join(allowed)
    return parse


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `parse` turns its text into its value (its docstring says what is allowed); None: a flag.

    `dest` is the key in `Parsed.values`; `completes` names what Tab offers for the value.
    """

    name: str
    dest: str
    parse: Callable[[str], Any] | None = None
    metavar: str = ""
    help: str = ""
    short: str = ""
    completes: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """What one magic or subcommand accepts. `positional` is its metavar ("" for none).

    `many` joins all positional words with spaces, so that a role needs no quotes. `example` is shown with
    ``--help``.
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
        return next((o for o in self.options if word and word in (o.name, o.short)), None)

    def usage(self) -> str:
        """Return usage, options and an example as text."""
        marks = [f"[{o.name}{' ' + o.metavar if o.parse else ''}]" for o in self.options]
        head = " ".join([self.name, *([f"[{self.positional}]"] if self.positional else []), *marks])
        lines = [f"{head}", f"  {self.summary}"] if self.summary else [head]
        for o in self.options:
            names = ", ".join(n for n in (o.short, o.name) if n)
            lines.append(f"    {names + (' ' + o.metavar if o.parse else ''):<26}{o.help}")
        if self.example:
            lines.append(f"  Example: {self.example}")
        return "\n".join(lines)


@dataclass(slots=True)
class Parsed:
    """A parsed line: the options' values by `Option.dest` (absent when not given) and the positional text."""

    values: dict[str, Any] = field(default_factory=dict)
    positional: str = ""
    help: bool = False

    def get(self, dest: str, default: Any = None) -> Any:
        """Return the value of an option, or *default* when it was not given."""
        return self.values.get(dest, default)


def split(line: str) -> list[str]:
    """Split *line* into words; quotes group, backslashes are ordinary characters."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return list(lexer)
    except ValueError:
        raise UsageError(
            "a quote is opened and never closed; put a value that holds a quote into the other kind, such as "
            '''"O'Brien"'''
        ) from None


def parse(command: Command, line: str) -> Parsed:
    """Parse *line* as *command* allows. `UsageError` for everything it does not."""
    words, parsed, rest, plain = split(line), Parsed(), [], False
    while words:
        word = words.pop(0)
        if plain or not word.startswith("-") or word == "-":
            rest.append(word)
        elif word == "--":
            plain = True
        elif word in ("--help", "-h"):
            parsed.help = True
        else:
            _take_option(command, word, words, parsed)
    if rest and not command.positional:
        _unexpected(command, rest[0])
    if len(rest) > 1 and not command.many:
        raise UsageError(f"{command.name} takes one {command.positional}, not {len(rest)}: {' '.join(rest)}")
    parsed.positional = " ".join(rest)
    return parsed


def pick(word: str, known: Iterable[str], what: str) -> str:
    """Return *word* if it is one of *known*, else raise with a did-you-mean."""
    names = list(known)
    if word not in names:
        close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(names)}"
        raise UsageError(f"unknown {what} {word}; {hint}")
    return word


def value_of(name: str, text: str, parser: Callable[[str], Any]) -> Any:
    """Return *text* parsed, or raise the line that says what *name* allows."""
    try:
        return parser(text)
    except (ValueError, OverflowError):
        raise UsageError(f"{name} cannot be {text!r}; allowed: {parser.__doc__}") from None


def _take_option(command: Command, word: str, words: list[str], parsed: Parsed) -> None:
    name, equals, value = word.partition("=")
    option = command.option(name)
    if option is None:
        _unknown_option(command, name)
    if option.parse is None:
        if equals:
            raise UsageError(f"{name} takes no value")
        parsed.values[option.dest] = True
        return
    if not equals:
        if not words or command.option(words[0].partition("=")[0]) or words[0].startswith("--"):
            raise UsageError(f"{name} needs a value: {option.parse.__doc__}")
        value = words.pop(0)
    parsed.values[option.dest] = value_of(name, value, option.parse)


def _unknown_option(command: Command, name: str) -> NoReturn:
    names = [o.name for o in command.options]
    close = difflib.get_close_matches(name if name.startswith("--") else f"-{name}", names, n=1, cutoff=0.5)
    known = f"known: {', '.join(names)}" if names else f"{command.name} has none"
    raise UsageError(f"unknown option {name}; " + (f"did you mean {close[0]}?" if close else known))


def _unexpected(command: Command, word: str) -> NoReturn:
    names = [o.name for o in command.options]
    close = difflib.get_close_matches(f"--{word}", names, n=1, cutoff=0.7)
    hint = f"; did you mean {close[0]}?" if close else f"; {command.name} --help shows what it takes"
    raise UsageError(f"{command.name} does not take {word!r}{hint}")
