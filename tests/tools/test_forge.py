"""What the forge reads is valid, pinned, and names the Pythons, commands and packages that there are."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKED = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")


def ran(command: str, *arguments: str) -> str:
    """Run a tool that stands beside this Python; return what it printed if it failed, else nothing."""
    tool = Path(sys.executable).parent / command
    done = subprocess.run([tool, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr or f"exit {done.returncode}"


def steps(path: Path) -> list[dict[str, Any]]:
    """Return the steps of every job of a workflow."""
    return [step for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values() for step in job["steps"]]


def test_workflows_are_valid() -> None:
    """actionlint finds nothing."""
    assert ran("actionlint") == ""


def test_workflows_are_safe() -> None:
    """zizmor finds nothing, without the network."""
    assert ran("zizmor", "--offline", "--no-progress", ".github") == ""


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_to_a_commit_and_says_its_version(path: Path) -> None:
    """A tag can be moved, a commit cannot; the comment is what dependabot reads."""
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert len(used) == sum("uses" in step for step in steps(path)) > 0
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_ci_runs_every_python_that_the_package_names_on_three_systems() -> None:
    """From the oldest on; newer ones that the package does not name yet are tried too."""
    (ci,) = (path for path in WORKFLOWS if path.stem == "ci")
    matrix = yaml.safe_load(ci.read_text(encoding="utf-8"))["jobs"]["tests"]["strategy"]["matrix"]
    classifiers = PROJECT["project"]["classifiers"]
    named = [c.rpartition(" ")[2] for c in classifiers if re.fullmatch(r".* :: 3\.\d+", c)]
    assert matrix["python"][: len(named)] == named
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]


def test_a_release_needs_no_stored_token() -> None:
    """Only the publishing job may prove who it is, and no workflow reads a secret."""
    jobs = {path.stem: yaml.safe_load(path.read_text("utf-8"))["jobs"] for path in WORKFLOWS}
    allowed = [
        (w, j)
        for w, all_jobs in jobs.items()
        for j, job in all_jobs.items()
        if "id-token" in job["permissions"]
    ]
    assert allowed == [("release", "publish")]
    assert not any("secrets." in path.read_text(encoding="utf-8") for path in WORKFLOWS)


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.stem)
def test_every_file_for_the_forge_is_a_mapping(path: Path) -> None:
    """Templates and settings are YAML that the forge can read."""
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_hooks_for_git_are_valid_and_local() -> None:
    """Nothing is cloned, and what each hook runs is a tool of the dev extra or a file here."""
    config = ROOT / ".pre-commit-config.yaml"
    assert ran("pre-commit", "validate-config", str(config)) == ""
    repositories = yaml.safe_load(config.read_text(encoding="utf-8"))["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    for hook in repositories[0]["hooks"]:
        command, *rest = hook["entry"].split()
        assert hook["language"] == "system"
        assert command == "make" or (Path(sys.executable).parent / Path(command).name).exists()
        assert all((ROOT / word).exists() for word in rest if word.endswith(".py"))


def wanted() -> list[str]:
    """Return every package that the project or its dev extra names."""
    extras = PROJECT["project"]["optional-dependencies"]
    self = next(Requirement(line) for line in extras["dev"] if line.startswith(PROJECT["project"]["name"]))
    lines = (
        PROJECT["project"]["dependencies"] + extras["dev"] + [x for name in self.extras for x in extras[name]]
    )
    return sorted(
        {canonicalize_name(Requirement(line).name) for line in lines} - {PROJECT["project"]["name"]}
    )


def test_every_package_for_development_is_locked_with_hashes() -> None:
    """`make requirements` was run after the last change of dependencies."""
    locked = re.findall(r"^([a-z0-9._-]+)(?:\[\S+\])?==.*\\\n +--hash=sha256:[0-9a-f]{64}", LOCKED, re.M)
    assert len(locked) == len(re.findall(r"^\S+==", LOCKED, re.M))
    assert [name for name in wanted() if name not in locked] == []


def test_a_package_that_is_asked_for_with_extras_is_locked_with_them() -> None:
    """Otherwise pip looks first at the newest release, finds no hash for it, and stops."""
    locked = re.findall(r"^([a-z0-9._-]+)(\[\S+\])?==", LOCKED, re.M)
    names, with_extras = {name for name, _ in locked}, {name for name, extras in locked if extras}
    packages = [p for p in metadata.distributions() if canonicalize_name(p.metadata["Name"]) in names]
    needed = [Requirement(line) for package in packages for line in package.requires or []]
    asked = {
        canonicalize_name(one.name)
        for one in needed
        if one.extras and (one.marker is None or one.marker.evaluate({"extra": ""}))
    }
    assert "coverage" in asked
    assert (asked & names) - with_extras == set()


def test_the_locked_packages_name_no_index_and_no_folder() -> None:
    """They can be installed from whatever index the installer knows."""
    assert not re.search(r"://|^-|^\.|@ |" + PROJECT["project"]["name"] + r"==", LOCKED, re.M)


def test_every_changelog_fragment_has_a_kind() -> None:
    """A fragment whose name has no known kind would be left out of the changelog without a word."""
    kinds = {kind["directory"] for kind in PROJECT["tool"]["towncrier"]["type"]}
    fragments = [
        p for p in (ROOT / "changelog.d").iterdir() if p.name not in ("README.md", "_template.md.jinja")
    ]
    name = re.compile(rf"[a-z0-9-]+\.({'|'.join(sorted(kinds))})\.md")
    wrong = [path.name for path in fragments if not name.fullmatch(path.name)]
    assert wrong == []
    assert all(path.read_text(encoding="utf-8").strip() for path in fragments)
