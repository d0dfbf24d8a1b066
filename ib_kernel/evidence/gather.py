"""What a notebook defines: the code that a challenge's tests need, taken from the cells that were run.

A cell that ran may have calculated for minutes, opened files or drawn pictures. Tests need definitions only:
the latest definition of each name that `entry` names, and of every name that those use.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

_BUILT_IN = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True)
class Gathered:
    """Code that defines what was asked for; `missing` are the names that no cell defines."""

    code: str
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class _Statement:
    place: tuple[int, int]
    text: str
    binds: frozenset[str]
    uses: frozenset[str]


@dataclass(slots=True)
class _Latest:
    """The latest statement that binds each name, and those that change it in place afterwards."""

    by_name: dict[str, _Statement] = field(default_factory=dict)

    def add(self, statement: _Statement) -> None:
        for name in statement.binds:
            self.by_name[name] = statement


def gather(cells: Iterable[str], entry: Sequence[str]) -> Gathered:
    """Return the definitions of *entry* and of all they use, in the order in which the cells were run.

    Args:
        cells: The sources of cells that ran, oldest first, as Python (magics translated); what cannot be
            parsed is passed over.
        entry: The names that are wanted.
    """
    latest = _Latest()
    for number, source in enumerate(cells):
        for statement in _statements(number, source):
            latest.add(statement)
    chosen: dict[tuple[int, int], str] = {}
    wanted, seen = list(entry), set()
    while wanted:
        name = wanted.pop()
        found = latest.by_name.get(name)
        if name in seen or found is None:
            continue
        seen.add(name)
        chosen[found.place] = found.text
        wanted += [used for used in found.uses if used not in _BUILT_IN or used in latest.by_name]
    code = "\n\n".join(chosen[place] for place in sorted(chosen))
    missing = tuple(name for name in entry if name not in latest.by_name)
    return Gathered(f"{code}\n" if code else "", missing)


def _statements(number: int, source: str) -> Iterator[_Statement]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for place, node in enumerate(tree.body):
        binds = frozenset(_binds(node))
        if binds:
            uses = frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name)) - binds
            yield _Statement((number, place), ast.unparse(node), binds, uses)


def _binds(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement defines: functions, classes, imports and plain assignments."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield (alias.asname or alias.name).split(".")[0]
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))
    elif isinstance(node, ast.Try | ast.If):  # an import with a way out, a definition for one version
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.stmt):
                yield from _binds(inner)
