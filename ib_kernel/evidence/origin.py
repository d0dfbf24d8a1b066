"""Where the final code comes from, as far as texts can say: runs of tokens shared with earlier replies.

Two measures over runs of five tokens. *Verbatim* compares them as they are; *renamed* compares them with each
number and text replaced by its kind and each name by its place in the run, so that code whose names were
changed is still found; Python's own names stay. What stands
in the task or the starter code is nobody's find and is left out of both. Shares are facts about texts, never
an accusation: short idioms are shared by everybody, two people may write the same, and code that was read,
understood and typed anew looks as code that was pasted.
"""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import re
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ib_kernel.evidence.gather import gather

if TYPE_CHECKING:
    from ib_kernel.interview.challenges import Challenge
    from ib_kernel.values import Cell, Message

RUN = 5
"""Tokens in a run."""

STRETCH = 4
"""Runs in a row that have to be shared when names are replaced. Of 132 pairs of our own solutions of
different challenges, half then share at most 0.02 and the most alike 0.24; by single runs 0.05 and 0.30
(2026-11)."""

MOST_CHARS = 200_000
"""Characters of one text that are compared; the rest is left out."""

MOST_SAID = 400_000
"""Characters of all that came before the code; of more, the newest are compared."""

_FENCE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n(.*?)(?:^\1[`~]*[ \t]*$|\Z)", re.M | re.S)
_LOOSE = re.compile(r"\w+|[^\w\s]")
_SKIPPED = frozenset(
    [tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.INDENT, tokenize.DEDENT]
)

_PYTHONS = frozenset(keyword.kwlist).union(
    dir(builtins), ["self", "cls"], *(dir(kind) for kind in (str, bytes, list, dict, set, tuple, int, float))
)
"""Names that nobody renames: keywords, builtins, methods of Python's own types."""

_Run = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """One token of code: as it stands, with its name replaced, and its line (from 1 on)."""

    text: str
    kind: str
    line: int


@dataclass(frozen=True, slots=True)
class Origin:
    """How much of some code is shared with earlier replies.

    Args:
        runs: Runs of the code that were compared; 0: there is nothing to say.
        verbatim: The share of those that stand in an earlier reply as they are, 0 to 1.
        renamed: The share that stand in one when names, numbers and texts are replaced.
        lines: Lines of the code all of whose runs are shared verbatim, from 1 on.
        renamed_lines: Lines all of whose runs are shared when names are replaced.
        turns: The turns whose replies share a run verbatim, in order.
    """

    runs: int
    verbatim: float
    renamed: float
    lines: tuple[int, ...] = ()
    renamed_lines: tuple[int, ...] = ()
    turns: tuple[int, ...] = ()

    def line(self) -> str:
        """Return what was found in one sentence, with what it does not say."""
        if not self.runs:
            return "There is too little code to compare."
        return (
            f"Of {self.runs:,} runs of {RUN} tokens, {self.verbatim:.0%} stand in an earlier reply as they "
            f"are, and {self.renamed:.0%} when names are replaced. Shared text does not say who had the idea."
        )


@dataclass(frozen=True, slots=True)
class Said:
    """One text of a session: the AI's reply of turn `turn`, or (turn 0) something of the candidate's."""

    text: str
    turn: int = 0


def origin(code: str, said: Iterable[Said], given: Sequence[str] = ()) -> Origin:
    """Compare *code* with the replies that came before it.

    Args:
        code: The final code.
        said: What came before it, in the order of time. A reply that repeats what the candidate had already
            written does not count.
        given: Texts that everybody had: the starter code, the task.
    """
    own = tokens(code)
    common: tuple[set[_Run], set[_Run]] = set(), set()
    for text in given:
        for part in (text, *blocks(text)):
            _add(common, tokens(part))
    found, by_turn = _replied(said)
    exact, loose = _runs(own)
    kept = [i for i, run in enumerate(exact) if run not in common[0]]
    same = {i for i in kept if exact[i] in found[0]}
    alike = same | _stretches({i for i in kept if loose[i] in found[1] and loose[i] not in common[1]})
    shared = {exact[i] for i in same}
    return Origin(
        len(kept),
        _share(len(same), len(kept)),
        _share(len(alike), len(kept)),
        _lines(own, kept, same),
        _lines(own, kept, alike),
        tuple(sorted(turn for turn, runs in by_turn.items() if runs & shared)),
    )


def _stretches(places: set[int]) -> set[int]:
    """Return the places that are among `STRETCH` in a row: a shape of five tokens alone is everybody's."""
    found: set[int] = set()
    for place in places:
        row = range(place, place + STRETCH)
        if places.issuperset(row):
            found.update(row)
    return found


def _replied(said: Iterable[Said]) -> tuple[tuple[set[_Run], set[_Run]], dict[int, set[_Run]]]:
    """Return the runs of replies that the candidate had not written before, and those of each turn."""
    mine: tuple[set[_Run], set[_Run]] = set(), set()
    found: tuple[set[_Run], set[_Run]] = set(), set()
    by_turn: dict[int, set[_Run]] = {}
    for one in said:
        new: tuple[set[_Run], set[_Run]] = set(), set()
        for block in blocks(one.text):
            _add(new, tokens(block))
        for all_, known, runs in zip(found if one.turn else mine, mine, new, strict=True):
            all_ |= runs - known if one.turn else runs
        if one.turn:
            by_turn.setdefault(one.turn, set()).update(new[0] - mine[0])
    return found, by_turn


def origin_of(cells: Sequence[Cell], messages: Sequence[Message], challenge: Challenge | None) -> Origin:
    """Compare the final code of a session with the replies that came before it.

    Args:
        cells: The session's cells; the latest definitions of what the challenge's `entry` names are the final
            code, or, where it names nothing, all Python that ran.
        messages: The session's transcript.
        challenge: What the session was given; its task and starter code are left out.
    """
    ran = [cell for cell in cells if cell.kind == "python"]
    code = final_code(cells, challenge)
    moments = [(cell.ended_at, Said(cell.source)) for cell in ran]
    moments += [
        (m.created_at, Said(m.content, m.turn if m.role == "assistant" else 0))
        for m in messages
        if m.role in ("assistant", "user") and m.turn > 0
    ]
    until = max((cell.ended_at for cell in ran), default=0.0)
    said = _newest([one for at, one in sorted(moments, key=lambda moment: moment[0]) if at <= until])
    given = (challenge.starter, challenge.text) if challenge else ()
    return origin(code, said, given)


def _newest(said: list[Said]) -> list[Said]:
    """Return the newest texts that together are not too long to compare, in their order."""
    size = 0
    for at in range(len(said) - 1, -1, -1):
        size += min(len(said[at].text), MOST_CHARS)
        if size > MOST_SAID:
            return said[at + 1 :]
    return said


def final_code(cells: Sequence[Cell], challenge: Challenge | None) -> str:
    """Return a session's final code: the latest definitions of what the challenge asks for, or all that ran.

    Args:
        cells: The session's cells.
        challenge: What it was given.
    """
    ran = [cell for cell in cells if cell.kind == "python"]
    entry = challenge.entry if challenge else ()
    if entry:
        return gather([c.source for c in ran if c.ok], entry).code
    return "\n".join(c.source for c in ran)


def blocks(text: str) -> list[str]:
    """Return the code in a text: what stands in fences, or all of it where there are none.

    Args:
        text: Markdown.
    """
    return [found[2] for found in _FENCE.finditer(text[:MOST_CHARS])] or [text[:MOST_CHARS]]


def tokens(code: str) -> list[Token]:
    """Return the tokens of Python without comments, docstrings and layout; of other text words and marks.

    Args:
        code: Somebody's text.
    """
    code = code[:MOST_CHARS]
    hidden = _docstrings(code)
    found: list[Token] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type not in _SKIPPED and token.string.strip() and token.start not in hidden:
                found.append(Token(token.string, _kind(token.type, token.string), token.start[0]))
    except (tokenize.TokenError, SyntaxError, ValueError):  # a fragment, or no Python
        return [
            Token(word, _loose_kind(word), number)
            for number, line in enumerate(code.split("\n"), 1)
            for word in _LOOSE.findall(line.partition("#")[0])
        ]
    return found


def _docstrings(code: str) -> set[tuple[int, int]]:
    """Return where docstrings begin: everybody describes a task in its own words."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {
        (first.lineno, first.col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.body
        for first in node.body[:1]
        if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str)
    }


def _kind(kind: int, text: str) -> str:
    if kind == tokenize.NAME:
        return text if text in _PYTHONS else "NAME"
    return {tokenize.NUMBER: "NUMBER", tokenize.STRING: "STRING"}.get(kind, text)


def _loose_kind(word: str) -> str:
    if word[0].isdigit():
        return "NUMBER"
    return "NAME" if word.isidentifier() and word not in _PYTHONS else word


def _runs(found: Sequence[Token]) -> tuple[list[_Run], list[_Run]]:
    """Return the runs as they are, and with their names replaced."""
    parts = [found[i : i + RUN] for i in range(len(found) - RUN + 1)]
    return [tuple(token.text for token in part) for part in parts], [_renamed(part) for part in parts]


def _renamed(part: Sequence[Token]) -> _Run:
    """Return a run with each name replaced by its number in it: ``a = b + a`` is ``0 = 1 + 0``."""
    numbers: dict[str, str] = {}
    return tuple(
        numbers.setdefault(token.text, f"NAME{len(numbers)}") if token.kind == "NAME" else token.kind
        for token in part
    )


def _add(sets: tuple[set[_Run], set[_Run]], found: Sequence[Token]) -> None:
    for runs, new in zip(sets, _runs(found), strict=True):
        runs.update(new)


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 0.0


def _lines(found: Sequence[Token], compared: Sequence[int], shared: set[int]) -> tuple[int, ...]:
    """Return the lines of which every run that was compared is shared."""
    begin = {token.line for token in found}
    not_shared: set[int] = set()
    has: set[int] = set()
    for i in compared:
        of_run = {token.line for token in found[i : i + RUN]}
        (has if i in shared else not_shared).update(of_run & begin)
    return tuple(sorted(has - not_shared))
