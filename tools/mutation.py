"""Change the rules a little, one change at a time, and see whether a test fails: `python tools/mutation.py`.

mutmut makes the changes ("mutants") in a copy of the project, `mutants/ROOM/`; nothing here is touched.
Arguments are files of the rooms in `TESTS`, or names of mutants; without one, all are tried, which takes
hours. `--sample 20` tries 20 mutants of each file, drawn by chance; the same `--seed` draws the same ones.
The tests are imported once, and a fork runs them for each mutant (`mutant_forks.py`). A mutant that no test
notices is printed as a difference, unless `tools/mutants-equivalent.toml` says why it changes nothing.
`mutants/ROOM.jsonl` keeps how each one ended.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mutant_files import MARK, Mutant, copied, drawn, made

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "mutants"
EQUIVALENT = ROOT / "tools" / "mutants-equivalent.toml"

TESTS = {
    "budget": ["tests/budget", "tests/docs/test_docs_sql.py"],
    "counting": ["tests/counting"],
    "turn": ["tests/turn", "tests/notebook/test_magics.py"],
}
"""The tests that know each room."""

SLOW = {
    "tests/turn/test_storm.py": "",
    "tests/turn/test_failures.py": "",
    "tests/counting/test_counting_offline.py": "",
    "tests/budget/test_lock.py": "ib_kernel/budget/lock.py",
    "tests/budget/test_token_service.py::"
    "test_eight_processes_never_exceed_one_budget_and_their_rows_add_up": "",
}
"""Left out, because each mutant would take up to a minute more, unless the file named is what is changed."""

GRACE_S = 30.0
"""Seconds that a test may take beside five times what it takes without a mutant."""

ENDS = ("killed", "overdue", "equivalent", "survived", "uncalled")
"""How a mutant ends: a test fails; no test ends; no test can notice; none notices; none calls it either."""


class TestsFail(Exception):
    """The tests fail without a mutant."""


def tried(
    folder: Path, package: str, tests: list[str], mutants: list[Mutant], grace_s: float = GRACE_S
) -> Iterator[tuple[Mutant, dict[str, str]]]:
    """Yield each of *mutants* with its outcome ("killed", "overdue", "survived", "uncalled") and the test.

    Args:
        folder: The copy of the project that the mutants are in.
        package: The package whose caches a mutant must not find filled.
        tests: pytest's arguments that choose the tests.
        mutants: What to try.
        grace_s: Seconds; see `GRACE_S`.

    Raises:
        TestsFail: They fail without a mutant.
    """
    alone = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--timeout=60", *tests]
    by_name = {mutant.name: mutant for mutant in mutants}
    paths = [folder, folder / "plugins", Path(__file__).parent]
    trial, log = folder / "trial.json", folder / "pytest.log"
    report, out = os.pipe()
    asked = {"package": package, "mutants": list(by_name), "grace_s": grace_s, "report": out, "alone": alone}
    trial.write_text(json.dumps(asked), encoding="utf-8")
    with open(report, encoding="utf-8") as lines, log.open("w") as said:
        running = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "mutant_forks", *alone],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "MUTATION_TRIAL": str(trial)},
            pass_fds=[out],
            stdout=said,
            stderr=said,
        )
        os.close(out)
        is_clean = False
        try:
            for line in lines:
                end: dict[str, Any] = json.loads(line)
                if "mutant" in end:
                    yield by_name[end.pop("mutant")], end
                else:
                    is_clean = end["clean"] == 0
        finally:
            running.send_signal(signal.SIGINT)  # nothing, if it has ended
            running.wait()
    if not is_clean:
        why = folder / "tests-said.txt"
        raise TestsFail((why if why.exists() else log).read_text(encoding="utf-8"))


def reasons() -> dict[tuple[str, str, str], str]:
    """Return why mutants that no test can notice change nothing, by file and lines."""
    known: list[dict[str, str]] = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutant"]
    return {(entry["file"], entry["was"], entry["now"]): entry["why"] for entry in known}


def reported(ends: Iterator[tuple[Mutant, dict[str, str]]], kept: Path) -> Counter[str]:
    """Print each mutant that no test noticed, keep how all ended in *kept*, and return how many ended how."""
    known, counts = reasons(), Counter[str]()
    with kept.open("w", encoding="utf-8") as lines:
        for mutant, end in ends:
            if (mutant.file, mutant.was, mutant.now) in known and end["outcome"] in ("survived", "uncalled"):
                end["outcome"] = "equivalent"
            counts[end["outcome"]] += 1
            lines.write(json.dumps(end | vars(mutant), ensure_ascii=False) + "\n")
            lines.flush()
            if end["outcome"] in ("survived", "uncalled"):
                called = "" if end["outcome"] == "survived" else ": no test calls it"
                print(f"{mutant.name}{called}\n  - {mutant.was}\n  + {mutant.now}", flush=True)
    return counts


def wanted(arguments: list[str]) -> dict[str, list[str]]:
    """Return the files to change, by room, for *arguments*; `ValueError` when one is none."""
    every = {
        room: sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "ib_kernel" / room).glob("*.py"))
        for room in TESTS
    }
    if not arguments:
        return every
    named = {file_of(argument) for argument in arguments}
    if unknown := named.difference(*every.values()):
        raise ValueError(f"not a file of ib_kernel/{{{','.join(TESTS)}}}/: {', '.join(sorted(unknown))}")
    return {room: found for room, files in every.items() if (found := sorted(named.intersection(files)))}


def file_of(argument: str) -> str:
    """Return the file that *argument* names, by itself or by one of its mutants."""
    if MARK not in argument:
        return argument
    module = argument.rpartition(".")[0].replace(".", "/")
    return f"{module}/__init__.py" if (ROOT / module).is_dir() else f"{module}.py"


def chosen(mutants: dict[str, list[Mutant]], options: argparse.Namespace) -> list[Mutant]:
    """Return what to try: those named, a sample, or all."""
    if names := {argument for argument in options.what if MARK in argument}:
        whole = set(options.what)
        return [m for file, found in mutants.items() for m in found if m.name in names or file in whole]
    if options.sample:
        return drawn(mutants, options.sample, options.seed)
    return [mutant for found in mutants.values() for mutant in found]


def try_room(room: str, files: list[str], options: argparse.Namespace) -> Counter[str]:
    """Try mutants of *files*, print what survives, and return how many ended how."""
    folder = WORK / room
    copied(ROOT, folder)
    mutants = chosen(made(folder, files), options)
    left_out = [
        f"{'--deselect' if '::' in test else '--ignore'}={test}"
        for test, file in SLOW.items()
        if file not in files
    ]
    ends = tried(folder, f"ib_kernel.{room}", TESTS[room] + left_out, mutants)
    counts = reported(ends, WORK / f"{room}.jsonl")
    figures = ", ".join(f"{counts[end]} {end}" for end in ENDS)
    print(f"{room} ({len(files)} files): {len(mutants)} mutants, {figures}", flush=True)
    return counts


def main(arguments: list[str]) -> int:
    """Try what *arguments* ask for, or all; print the survivors and one line of figures for each room."""
    parser = argparse.ArgumentParser(description="change the rules a little: does a test fail?")
    parser.add_argument("what", nargs="*", help="files, or names of mutants; none: all")
    parser.add_argument("--sample", type=int, default=0, help="mutants of each file; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    left = 0
    try:
        for room, files in wanted(options.what).items():
            counts = try_room(room, files, options)
            left += counts["survived"] + counts["uncalled"]
    except ValueError as error:
        print(error)
        return 2
    except TestsFail as failure:
        print(f"without a mutant the tests fail already:\n{failure}")
        return 2
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
