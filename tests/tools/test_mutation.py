"""`make mutation`: what becomes of each small change of a rule, and that none of them stops the others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("mutmut", reason="mutmut is not there for Windows")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import mutant_files
import mutation
from mutant_files import Mutant

RULES = """
import functools


def double(n):
    return n + n


def is_loose(n):
    return n > 7


def unused(n):
    return n + 1


def countdown(n):
    while n > 0:
        n -= 1
    return n


def table():
    return 20


TABLE = table()


def read():
    return 20


@functools.cache
def rule():
    return read()


def answer():
    return 42
"""

TESTS = """
import signal
import subprocess
import sys
from pathlib import Path

from kept import rules

READ_WHILE_COLLECTED = rules.rule()


def test_double():
    assert rules.double(4) == 8


def test_loose():
    rules.is_loose(9)


def test_a_loop_that_listens_to_nothing_and_has_started_a_program():
    started = subprocess.Popen(["sleep", "600"])
    with Path("started.txt").open("a") as pids:
        print(started.pid, file=pids)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    assert rules.countdown(3) == 0
    started.kill()
    started.wait()


def test_what_was_done_while_it_was_imported():
    assert rules.TABLE == 20


def test_what_is_remembered():
    assert rules.rule() == 20


def test_in_a_process_of_its_own(tmp_path):
    code = "from kept import rules; raise SystemExit(rules.answer() != 42)"
    assert subprocess.call([sys.executable, "-c", code], cwd=tmp_path) == 0
"""


@pytest.fixture(scope="module", autouse=True)
def _few_plugins() -> Iterator[None]:
    """The pytest of a trial starts with what it needs: all that is installed takes seconds."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        environment.setenv("PYTEST_PLUGINS", "pytest_timeout")
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with rules and tests, and one file that git does not know."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "kept").mkdir()
    (folder / "kept" / "rules.py").write_text(RULES, encoding="utf-8")
    (folder / "test_rules.py").write_text(TESTS, encoding="utf-8")
    (folder / "pyproject.toml").write_text('[tool.mutmut]\nsource_paths = ["kept"]\n', encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    (folder / "mine.txt").write_text("of nobody else", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def copy(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copy that is changed."""
    folder = tmp_path_factory.mktemp("mutants") / "kept"
    mutant_files.copied(project, folder)
    return folder


@pytest.fixture(scope="module")
def mutants(copy: Path) -> list[Mutant]:
    """All mutants of the rules."""
    return mutant_files.made(copy, ["kept/rules.py"])["kept/rules.py"]


@pytest.fixture(scope="module")
def ends(copy: Path, mutants: list[Mutant]) -> dict[str, set[tuple[str, str]]]:
    """How the mutants of each function ended: the outcome, and by which test."""
    found: dict[str, set[tuple[str, str]]] = {}
    for mutant, end in mutation.tried(copy, "kept", ["test_rules.py"], mutants, grace_s=0.5):
        function = mutant.name.rpartition(".x_")[2].partition(mutant_files.MARK)[0]
        found.setdefault(function, set()).add((end["outcome"], end["by"].rpartition("::")[2]))
    return found


@pytest.mark.parametrize(
    ("function", "outcome", "test"),
    [
        ("double", "killed", "test_double"),
        ("is_loose", "survived", ""),
        ("unused", "uncalled", ""),
        ("table", "killed", ""),
        ("read", "killed", "test_what_is_remembered"),
        ("answer", "killed", "test_in_a_process_of_its_own"),
    ],
)
def test_a_mutant_ends_as_its_tests_do(
    ends: dict[str, set[tuple[str, str]]], function: str, outcome: str, test: str
) -> None:
    """Also one that works while it is imported, whose work is remembered, or in a process of its own."""
    assert ends[function] == {(outcome, test)}


def test_a_mutant_that_loops_and_listens_to_no_signal_is_overdue(
    ends: dict[str, set[tuple[str, str]]], copy: Path
) -> None:
    """It is ended with what it has started, and those after it are tried."""
    test = "test_a_loop_that_listens_to_nothing_and_has_started_a_program"
    assert ("overdue", test) in ends["countdown"]
    assert "answer" in ends
    pids = (copy / "started.txt").read_text(encoding="utf-8").replace("\n", ",").rstrip(",")
    states = subprocess.run(["ps", "-o", "stat=", "-p", pids], capture_output=True, text=True, check=False)
    assert all(state.startswith("Z") for state in states.stdout.split())  # those that nobody has waited for


def test_the_project_itself_stays_as_it_is(project: Path, copy: Path, mutants: list[Mutant]) -> None:
    """Only the copy is changed, and has what git knows."""
    assert (project / "kept" / "rules.py").read_text(encoding="utf-8") == RULES
    assert len(mutants) > 10
    assert not (copy / "mine.txt").exists()


def test_a_mutant_says_what_was_and_what_it_makes_of_it(mutants: list[Mutant]) -> None:
    """The lines that differ, without what stands around them."""
    name = "kept.rules.x_double__mutmut_1"
    assert mutants[0] == Mutant(name, "kept/rules.py", "return n + n", "return n - n")


def test_the_same_seed_draws_the_same_mutants(mutants: list[Mutant]) -> None:
    """So many of each file, or all that there are."""
    by_file = {"a.py": mutants, "b.py": mutants[:2]}
    drawn = mutant_files.drawn(by_file, 3, seed=1)
    assert len(drawn) == 5
    assert drawn == mutant_files.drawn(by_file, 3, seed=1)
    assert drawn != mutant_files.drawn(by_file, 3, seed=2)


def test_tests_that_fail_without_a_mutant_try_none(project: Path, tmp_path: Path) -> None:
    """Else every mutant would count as killed."""
    mutant_files.copied(project, tmp_path / "copy")
    (tmp_path / "copy" / "test_rules.py").write_text("def test_it():\n    assert 'so' == 'not so'\n")
    mutants = mutant_files.made(tmp_path / "copy", ["kept/rules.py"])["kept/rules.py"]
    with pytest.raises(mutation.TestsFail, match="'so' == 'not so'"):
        list(mutation.tried(tmp_path / "copy", "kept", ["test_rules.py"], mutants))


def test_survivors_are_printed_but_for_those_that_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its lines; how every one ended is kept in a file."""
    (file, was, now), _ = next(iter(mutation.reasons().items()))
    same = Mutant("a.x_f__mutmut_1", file, was, now)
    other = replace(same, name="a.x_f__mutmut_2", now="pass")
    ends = [
        (same, {"outcome": "survived", "by": ""}),
        (other, {"outcome": "survived", "by": ""}),
        (replace(other, name="a.x_g__mutmut_1"), {"outcome": "uncalled", "by": ""}),
        (replace(other, name="a.x_h__mutmut_1"), {"outcome": "killed", "by": "test_h.py::test_h"}),
    ]
    counts = mutation.reported(iter(ends), tmp_path / "kept.jsonl")
    assert counts == {"equivalent": 1, "survived": 1, "uncalled": 1, "killed": 1}
    lines = f"\n  - {was}\n  + pass\n"
    assert capsys.readouterr().out == f"a.x_f__mutmut_2{lines}a.x_g__mutmut_1: no test calls it{lines}"
    kept = [json.loads(line) for line in (tmp_path / "kept.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["outcome"] for line in kept] == ["equivalent", "survived", "uncalled", "killed"]
    assert kept[3]["by"] == "test_h.py::test_h"


def test_mutants_that_change_nothing_are_of_files_that_there_are() -> None:
    """What is named there is told from what is tried by file and lines, so the line has to be there still."""
    for file, was, _ in mutation.reasons():
        source = (mutation.ROOT / file).read_text(encoding="utf-8")
        assert was in " ".join(line.strip() for line in source.splitlines())


@pytest.mark.parametrize("what", ["ib_kernel/errors.py", "ib_kernel.errors.x_f__mutmut_1"])
def test_what_is_in_no_room_is_one_line(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the rooms that there are."""
    assert mutation.main([what]) == 2
    assert capsys.readouterr().out == "not a file of ib_kernel/{budget,counting,turn}/: ib_kernel/errors.py\n"


def test_a_mutant_is_asked_for_by_its_name() -> None:
    """Whether it is of a module or of a package's own file."""
    name = "ib_kernel.turn.patience.xǁPatienceǁ_look__mutmut_9"
    assert mutation.wanted([name]) == {"turn": ["ib_kernel/turn/patience.py"]}
    assert mutation.file_of("ib_kernel.counting.x_f__mutmut_1") == "ib_kernel/counting/__init__.py"
