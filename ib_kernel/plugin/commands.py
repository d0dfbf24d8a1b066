"""Subcommands of `%interview` that plugins add: what a command is, and what it may rely on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ib_kernel.errors import ConfigError
from ib_kernel.settings import Settings

if TYPE_CHECKING:
    from ib_kernel.values import Message, NewSession, Session

RESERVED = (
    "start",
    "join",
    "begin",
    "leave",
    "tools",
    "invite",
    "check",
    "hint",
    "timeline",
    "phase",
    "practice",
    "record",
    "judge",
    "scorecard",
    "score",
    "rubric",
    "note",
    "agreement",
    "compare",
    "report",
    "feedback",
    "object",
    "challenges",
    "status",
    "transcript",
    "pause",
    "resume",
    "extend",
    "end",
    "sessions",
    "list",
    "use",
    "models",
    "key",
    "doctor",
    "help",
)
"""The subcommands that are built in; no plugin can take their place."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class CommandContext(Protocol):
    """What a command can reach: the interview in use (`ib_kernel.Interview` is one)."""

    @property
    def settings(self) -> Settings:
        """What the user chose; ``settings.plugin("acme", AcmeSettings)`` has the plugin's own."""

    @property
    def session(self) -> Session:
        """The session in use. Raises `NoSession` when there is none."""

    @property
    def service(self) -> Any:
        """The budget service (`ib_kernel.TokenService`) of the ledger in use."""

    def history(self) -> list[Message]:
        """Return the transcript of the session in use."""

    def challenge(self, session: NewSession) -> Any:
        """Return the challenge that *session* poses, or None."""


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand.

    Attributes:
        name: What is typed after ``%interview``: lower-case letters, digits and hyphens.
        summary: One line for ``%interview help`` and ``--help``.
        run: Called with the context and the words that were typed after the name (quotes group words). What
            it returns is shown: text as it is, any other object as IPython displays it, None not at all. A
            `BuddyError` it raises is the line the user reads.
        usage: What follows the name, such as ``FILE [--force]``, for ``--help``.
        options: The options Tab offers, such as ``("--force",)``.
        complete: Called with the context and the words typed before the one in question; returns what Tab
            offers for it. None: nothing but the options.
    """

    name: str
    summary: str
    run: Callable[[CommandContext, Sequence[str]], object]
    usage: str = ""
    options: Sequence[str] = ()
    complete: Callable[[CommandContext, Sequence[str]], Iterable[str]] | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and _NAME.fullmatch(self.name)) or self.name in RESERVED:
            why = "is built in" if self.name in RESERVED else "needs lower-case letters, digits and hyphens"
            raise ConfigError(f"a command cannot be called {self.name!r}: it {why}")
        if not callable(self.run) or not self.summary.strip():
            raise ConfigError(f"the command {self.name!r} needs a one-line summary and a callable to run")

    def help(self) -> str:
        """Return what ``%interview NAME --help`` shows."""
        lines = [f"%interview {self.name} {self.usage}".rstrip(), f"  {self.summary}"]
        return "\n".join(lines + [f"    {option}" for option in self.options])
