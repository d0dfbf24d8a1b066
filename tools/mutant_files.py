"""The mutants of some files: mutmut makes them, in a copy of the project."""

from __future__ import annotations

import contextlib
import difflib
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mutmut.mutation.file_mutation import MutatedFile, mutate_file_contents

MARK = "__mutmut_"
"""What mutmut puts between a function's name and the number of the mutant."""


@dataclass(frozen=True)
class Mutant:
    """One change: its name, the file it is in, and the lines that were and that it makes of them."""

    name: str
    file: str
    was: str
    now: str


def copied(project: Path, folder: Path) -> None:
    """Make *folder* a copy of what git knows of *project*."""
    listed = subprocess.run(["git", "ls-files"], cwd=project, capture_output=True, text=True, check=True)
    shutil.rmtree(folder, ignore_errors=True)
    for name in listed.stdout.splitlines():
        if (project / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / name, folder / name)


def made(folder: Path, files: list[str]) -> dict[str, list[Mutant]]:
    """Put the mutants of *files* into *folder*, and return them by file.

    Each function of theirs becomes one that calls itself as it was, or the mutant that is under test.
    """
    mutants = {}
    for file in files:
        path = folder / file
        with contextlib.chdir(folder):  # mutmut reads its settings where it is
            changed = mutate_file_contents(file, path.read_text(encoding="utf-8"))
        path.write_text(changed.code, encoding="utf-8")
        module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        mutants[file] = [
            Mutant(f"{module}.{name}", file, *difference(changed, name)) for name in changed.mutant_names
        ]
    return mutants


def difference(changed: MutatedFile, name: str) -> tuple[str, str]:
    """Return the lines that were, and those that the mutant *name* makes of them."""
    function = name.partition(MARK)[0]
    code = changed.code.splitlines()

    def lines_of(side: str) -> list[str]:
        span = changed.line_span_by_function_name[side]
        return [line.replace(side, function) for line in code[span.start - 1 : span.end]]

    before, after = lines_of(f"{function}{MARK}orig"), lines_of(name)
    lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
    was, now = (" ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")
    return was, now


def drawn(mutants: dict[str, list[Mutant]], size: int, seed: int) -> list[Mutant]:
    """Return *size* mutants of each file at most, drawn by chance; the same *seed* draws the same ones."""
    chance = random.Random(seed)  # noqa: S311 - a sample, no secret
    return [mutant for found in mutants.values() for mutant in chance.sample(found, min(size, len(found)))]
