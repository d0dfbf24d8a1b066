"""Change the rules a little, one change at a time, and see whether a test fails: `python tools/mutation.py`.

mutmut makes the changes ("mutants") in a copy of the project, `mutants/ROOM/`; nothing here is touched.
Arguments are files of the rooms in `TESTS`; without one, all are tried, which takes hours. `--sample 20`
tries 20 mutants of each file, drawn by chance; the same `--seed` draws the same ones. A mutant that no test
notices is printed as a difference, unless `tools/mutants-equivalent.toml` says why it changes nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "mutants"
EQUIVALENT = ROOT / "tools" / "mutants-equivalent.toml"
KILLED = {1, 3, 24, 36, 152, 255, -24, -9, -11}
"""mutmut's exit codes for a test that failed, a process that died, and a test that no longer ended."""
SURVIVED, NO_TESTS = 0, (5, 33)

TESTS = {
    "budget": ["tests/budget", "tests/docs/test_docs_sql.py"],
    "counting": ["tests/counting", "tests/models"],
    "turn": ["tests/turn", "tests/notebook/test_magics.py"],
}
"""The tests that know each room."""

SLOW = {
    "tests/turn/test_storm.py": "",
    "tests/turn/test_failures.py": "",
    "tests/budget/test_lock.py": "ib_kernel/budget/lock.py",
    "tests/budget/test_token_service.py::"
    "test_eight_processes_never_exceed_one_budget_and_their_rows_add_up": "",
}
"""Left out, because they take a minute for each mutant, unless the file named is the one that is changed.
What runs in a process of its own sees no mutant anyway."""

CONFIG = """
[tool.mutmut]
source_paths = ["ib_kernel"]
only_mutate = {files}
also_copy = ["plugins", "docs", "notebooks", "tools"]
pytest_add_cli_args = ["-p", "no:randomly", "-p", "no:cacheprovider", "--timeout=60"]
pytest_add_cli_args_test_selection = {tests}
"""


@dataclass(frozen=True)
class Mutant:
    """One change: its name, where it is, what mutmut's run of the tests ended with, and the two lines."""

    name: str
    file: str
    code: int | None
    was: str = ""
    now: str = ""


def copied(room: str, files: list[str]) -> Path:
    """Return a folder with a copy of the project, in which mutmut changes *files*."""
    folder = WORK / room
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in ["ib_kernel", "plugins", "tests", "mutants"]:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    left_out = [
        f"{'--deselect' if '::' in test else '--ignore'}={test}"
        for test, file in SLOW.items()
        if file not in files
    ]
    config = CONFIG.format(files=json.dumps(files), tests=json.dumps(TESTS[room] + left_out))
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as out:
        out.write(config)
    return folder


def mutants(folder: Path, files: list[str]) -> Iterator[Mutant]:
    """Yield what mutmut found out about each mutant of *files*."""
    for file in files:
        meta = folder / "mutants" / f"{file}.meta"
        if not meta.exists():
            continue
        for name, code in json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"].items():
            yield Mutant(name, file, code)


def drawn(folder: Path, files: list[str], size: int, seed: int) -> list[str]:
    """Return the names of *size* mutants of each file at most, drawn by chance."""
    mutmut(folder, "nothing.has.this.name", quiet=True)  # makes them, finds which tests know them, and stops
    names: dict[str, list[str]] = {file: [] for file in files}
    for mutant in mutants(folder, files):
        names[mutant.file].append(mutant.name)
    chance = random.Random(seed)  # noqa: S311 - a sample, no secret
    return [name for found in names.values() for name in chance.sample(found, min(size, len(found)))]


def mutmut(folder: Path, *names: str, quiet: bool = False) -> None:
    """Let mutmut try the mutants of these names, or all."""
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names]
    subprocess.run(command, cwd=folder, check=False, capture_output=quiet)


def with_lines(folder: Path, mutant: Mutant) -> Mutant:
    """Return *mutant* with the line that was and the line that it makes of it."""
    shown = subprocess.run(
        [sys.executable, "-m", "mutmut", "show", mutant.name],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in shown.stdout.splitlines() if not line.startswith(("---", "+++"))]
    was = " ".join(line[1:].strip() for line in lines if line.startswith("-"))
    now = " ".join(line[1:].strip() for line in lines if line.startswith("+"))
    return Mutant(mutant.name, mutant.file, mutant.code, was, now)


def reasons() -> dict[tuple[str, str, str], str]:
    """Return why mutants that no test can notice change nothing, by file and lines."""
    if not EQUIVALENT.exists():
        return {}
    known = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("mutant", [])
    return {(entry["file"], entry["was"], entry["now"]): entry["why"] for entry in known}


def report(folder: Path, files: list[str]) -> tuple[int, int, int, int]:
    """Print each survivor; return how many were killed, equivalent, survived and without a test."""
    known = reasons()
    killed = equivalent = survived = untested = 0
    for mutant in mutants(folder, files):
        if mutant.code in KILLED:
            killed += 1
        elif mutant.code in NO_TESTS:
            untested += 1
            print(f"{mutant.name}: no test calls it")
        elif mutant.code == SURVIVED:
            mutant = with_lines(folder, mutant)
            if (mutant.file, mutant.was, mutant.now) in known:
                equivalent += 1
                continue
            survived += 1
            print(f"{mutant.name}\n  - {mutant.was}\n  + {mutant.now}")
    return killed, equivalent, survived, untested


def main(arguments: list[str]) -> int:
    """Try what *arguments* ask for, or all; print the survivors and one line of figures for each room."""
    parser = argparse.ArgumentParser(description="change the rules a little: does a test fail?")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--sample", type=int, default=0, help="mutants of each file; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    every = [
        path.relative_to(ROOT).as_posix()
        for room in TESTS
        for path in (ROOT / "ib_kernel" / room).glob("*.py")
    ]
    if unknown := [name for name in options.files if name not in every]:
        print(f"not a file of ib_kernel/{{{','.join(TESTS)}}}/: {', '.join(unknown)}")
        return 2
    left = 0
    for room in TESTS:
        files = sorted(name for name in options.files or every if name.startswith(f"ib_kernel/{room}/"))
        if not files:
            continue
        folder = copied(room, files)
        names = drawn(folder, files, options.sample, options.seed) if options.sample else []
        mutmut(folder, *names)
        killed, equivalent, survived, untested = report(folder, files)
        tried = killed + equivalent + survived + untested
        print(
            f"{room} ({len(files)} files): {tried} mutants, {killed} killed, {equivalent} equivalent, "
            f"{survived} survived, {untested} without a test"
        )
        left += survived + untested
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
