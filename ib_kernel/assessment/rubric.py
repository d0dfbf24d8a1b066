"""What is rated in a session: criteria, each with four anchored levels, and where they come from."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError, did_you_mean
from ib_kernel.interview.challenges import Challenge, Criterion
from ib_kernel.interview.challenges.folder import parse_criteria
from ib_kernel.interview.challenges.kept import private_fields
from ib_kernel.settings.files import parse_toml, read_text, shown_path
from ib_kernel.text import one_line
from ib_kernel.values import LedgerEvent, Session, private_part

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService

LEVELS = (0, 1, 2, 3)

ANCHORS = (
    "Not shown",
    "Needs the gap pointed out",
    "Does it when asked",
    "Does it unasked and says what it costs",
)
"""What the levels mean where a criterion has no anchors of its own."""

MOST_CRITERIA = 12
"""Criteria of one rubric: people keep no more apart."""

EVENT = "rubric"
"""The kind of event that gives a session a rubric of its own; it names the kept file, never the criteria."""


@dataclass(frozen=True)
class Rubric:
    """The criteria of a session. `origin` is "challenge", "file" or "" (there are none)."""

    criteria: tuple[Criterion, ...] = ()
    origin: str = ""

    @functools.cached_property
    def sha(self) -> str:
        """The SHA-256 of the criteria, hexadecimal: levels are comparable where it is equal."""
        return hashlib.sha256(json.dumps(to_value(self.criteria), sort_keys=True).encode()).hexdigest()

    def find(self, typed: str) -> Criterion:
        """Return the criterion that *typed* names: its name, or the beginning of that or of its title.

        Raises:
            ConfigError: There is none, or more than one; the line names them.
        """
        if not self.criteria:
            raise ConfigError(
                "this session has no criteria: give it some with %interview rubric FILE.toml, or start one "
                "with a challenge that has them"
            )
        wanted = typed.strip().casefold()
        names = [c.name for c in self.criteria]
        exact = [c for c in self.criteria if wanted in (c.name.casefold(), c.title.casefold())]
        begins = [c for c in self.criteria if wanted and _begins(c, wanted)]
        found = exact or begins
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigError(f"{typed!r} could be: {', '.join(c.name for c in found)}; type more of it")
        hint = did_you_mean(wanted, names)
        raise ConfigError(f"no criterion {one_line(typed)!r}{hint or ''}; there are: {', '.join(names)}")


def to_value(criteria: Iterable[Criterion]) -> list[dict[str, Any]]:
    """Return criteria as JSON-able values."""
    return [{"name": c.name, "title": c.title, "anchors": list(c.anchors)} for c in criteria]


def to_toml(criteria: Iterable[Criterion]) -> str:
    """Return criteria as the text of a rubric's file."""
    parts = []
    for c in criteria:
        anchors = ",\n".join(f"  {_quoted(anchor)}" for anchor in c.anchors)
        head = f"[[criteria]]\nname = {_quoted(c.name)}\ntitle = {_quoted(c.title)}"
        parts.append(f"{head}\nanchors = [\n{anchors},\n]\n")
    return "\n".join(parts)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_rubric(path: str | Path) -> tuple[Criterion, ...]:
    """Read a rubric's file: ``[[criteria]]`` tables with name, title and four anchors.

    Args:
        path: A .toml file.

    Raises:
        ConfigError: It cannot be read, or a criterion lacks something.
    """
    shown = shown_path(path)
    try:
        text = read_text(Path(path).expanduser(), "a rubric,")
    except FileNotFoundError:
        raise ConfigError(f"there is no file {shown!r}") from None
    return parse_rubric(text, shown)


def parse_rubric(text: str, name: str = "the rubric") -> tuple[Criterion, ...]:
    """Return the criteria of a rubric's text.

    Args:
        text: TOML.
        name: Its name, for messages.

    Raises:
        ConfigError: It is no TOML, has no criteria or too many, or a criterion lacks something.
    """
    criteria = parse_criteria(parse_toml(text, name), "the rubric", name)
    if not 1 <= len(criteria) <= MOST_CRITERIA:
        raise ConfigError(
            f"{name} has {len(criteria)} criteria; give 1 to {MOST_CRITERIA} [[criteria]] tables, each with "
            "name, title and four anchors"
        )
    return criteria


def give_rubric(
    service: TokenService, session_id: str, criteria: Sequence[Criterion], who: str
) -> LedgerEvent:
    """Give a session a rubric of its own; what was scored before keeps the hash of the earlier one.

    Args:
        service: Of the session's ledger.
        session_id: The session. `UnknownSession`.
        criteria: What `read_rubric` returns.
        who: Who gives it.
    """
    rubric = Rubric(tuple(criteria), "file")
    kept = private_part.keep(
        service.settings.data_dir,
        "",
        [c.title for c in rubric.criteria],
        of=f"rubric\0{session_id}",
        more={"criteria": to_value(rubric.criteria)},
    )
    detail = {"private_id": kept, "sha": rubric.sha, "criteria": len(rubric.criteria)}
    event = LedgerEvent(session_id, EVENT, 0.0, who, detail)
    service.record(event)
    return event


def rubric_of(service: TokenService, session: Session, challenge: Challenge | None) -> Rubric:
    """Return what *session* is rated by: its own rubric, else its challenge's, else none.

    Args:
        service: Of the session's ledger.
        session: The session.
        challenge: The whole challenge that it was given (`Interview.whole_challenge`).
    """
    for event in reversed(service.store.events(session.session_id)):
        if event.kind == EVENT:
            criteria = _kept(service, event.detail)
            if criteria:
                return Rubric(criteria, "file")
    if challenge is None:
        return Rubric()
    criteria = challenge.criteria or _from_titles(challenge.rubric)
    return Rubric(criteria, "challenge" if criteria else "")


def _kept(service: TokenService, detail: Mapping[str, Any]) -> tuple[Criterion, ...]:
    fields = private_fields(private_part.read(service.settings.data_dir, detail.get("private_id")))
    criteria: tuple[Criterion, ...] = fields["criteria"]
    return criteria


def _from_titles(titles: Sequence[str]) -> tuple[Criterion, ...]:
    """Return criteria of a challenge that only names them, with the general anchors."""
    found: list[Criterion] = []
    for number, title in enumerate(titles[:MOST_CRITERIA], 1):
        words = re.findall(r"[a-z0-9]+", title.casefold())
        name = "-".join(words[:3]) or f"criterion-{number}"
        if any(name == c.name for c in found):
            name = f"{name}-{number}"
        found.append(Criterion(name, title, ANCHORS))
    return tuple(found)


def _begins(criterion: Criterion, wanted: str) -> bool:
    return criterion.name.casefold().startswith(wanted) or criterion.title.casefold().startswith(wanted)
