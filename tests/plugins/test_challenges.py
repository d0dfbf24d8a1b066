"""The challenges we ship: each is complete, its solution right, its private part apart."""

from __future__ import annotations

import re

import pytest

import ib_challenges
from ib_kernel.evidence import inside
from ib_kernel.evidence.hidden import HiddenChecks, run_names
from ib_kernel.evidence.lint import lint
from ib_kernel.evidence.sandbox import Sandbox
from ib_kernel.interview.challenges import Challenge, list_challenges, load_challenge, offered_challenges
from ib_kernel.plugin.manager import Plugins

PLUGINS = Plugins([ib_challenges])
CHALLENGES = {challenge.name: challenge for challenge in list_challenges(PLUGINS)}
CODED = [name for name, challenge in CHALLENGES.items() if challenge.hidden]
PACKAGES = ("duckdb", "numpy", "pandas")


@pytest.fixture(scope="module")
def checks() -> HiddenChecks:
    sandbox = Sandbox()
    if sandbox.problem():
        pytest.skip(sandbox.problem())
    return HiddenChecks(sandbox)


def skip_without_packages(challenge: Challenge) -> None:
    """Skip the test where the sandbox has no package that the challenge's solution or runs import."""
    code = challenge.solution + challenge.hidden
    wanted = {name for name in PACKAGES if re.search(rf"^\s*(import|from) {name}\b", code, re.MULTILINE)}
    if wanted - {name for name, _ in inside.interpreter().packages}:
        pytest.skip(f"the challenge needs {', '.join(sorted(wanted))} in the sandbox; {inside.importable()}")


@pytest.mark.parametrize("name", CHALLENGES)
def test_lint_finds_nothing(name: str, checks: HiddenChecks) -> None:
    """Solutions pass, starters fail, runs are stable and say enough, nothing leaks, anchors are complete."""
    skip_without_packages(CHALLENGES[name])
    assert [f"{finding.rule}: {finding.text}" for finding in lint(CHALLENGES[name], checks)] == []


def test_there_are_enough_of_each_kind() -> None:
    """Sixteen or more, ten or more with tests, over topics and levels."""
    assert len(CHALLENGES) >= 16
    assert len([c for c in CHALLENGES.values() if c.hidden and c.visible]) >= 10
    tags = {tag for challenge in CHALLENGES.values() for tag in challenge.tags}
    assert tags >= {
        "algorithms",
        "data",
        "pandas",
        "sql",
        "debugging",
        "testing",
        "api design",
        "system design",
    }
    levels = " ".join(challenge.level for challenge in CHALLENGES.values())
    assert all(word in levels for word in ("junior", "mid", "senior"))


def test_every_private_part_has_its_challenge() -> None:
    """Nothing that we ship is left without its other half."""
    assert offered_challenges(PLUGINS)[1] == {}
    assert all(challenge.notes and challenge.criteria for challenge in CHALLENGES.values())


def test_without_the_private_distribution_nothing_private_is_there() -> None:
    """What a candidate's installation knows of a challenge is the candidate's part."""
    for challenge in list_challenges(Plugins(entry_points=False)):
        assert challenge == challenge.candidates_part()


@pytest.mark.parametrize("name", CODED)
def test_a_wrong_answer_fails_some_run(name: str, checks: HiddenChecks) -> None:
    """Code that defines what is asked for and does nothing passes no run, or not all."""
    challenge = CHALLENGES[name]
    skip_without_packages(challenge)
    lazy = "\n".join(f"def {entry}(*a, **k):\n    return None\n" for entry in challenge.entry)
    assert not all(outcome.passed for outcome in checks.check(challenge, lazy))
    assert len(run_names(challenge)) >= 3


def test_the_names_of_the_first_edition_are_still_there() -> None:
    """Sessions that were given one of them by name find it again."""
    known = "dedupe-stream feature-flags log-search lru-cache rate-limiter sql-slow-query url-shortener"
    found: list[Challenge] = [load_challenge(name, PLUGINS) for name in known.split()]
    assert all(challenge.text for challenge in found)
