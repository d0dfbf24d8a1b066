"""`ib challenge`: a new challenge is sound, a packed one is split, and a probe says what a prompt solves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ib_kernel.cli import main
from ib_kernel.errors import ConfigError
from ib_kernel.evidence.authoring import new_challenge, pack
from ib_kernel.evidence.hidden import HiddenChecks
from ib_kernel.evidence.lint import lint
from ib_kernel.interview.challenges import load_challenge


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    new_challenge(tmp_path / "quiet-stretch")
    return tmp_path / "quiet-stretch"


def test_a_new_challenge_has_no_fault(folder: Path, checks: HiddenChecks) -> None:
    """What one begins with is complete: every later finding is the author's own."""
    challenge = load_challenge(folder)
    assert challenge.name == "quiet-stretch"
    assert lint(challenge, checks) == []


@pytest.mark.parametrize("name", ["Upper", "two words", "-dash", "a" * 61, "dots.."])
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    """The line says what a name is made of, and nothing is written."""
    with pytest.raises(ConfigError, match="no name for a challenge"):
        new_challenge(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(folder: Path) -> None:
    """A folder that is there stays as it is."""
    (folder / "solution.py").write_text("mine = 1\n")
    with pytest.raises(ConfigError, match="there already"):
        new_challenge(folder)
    assert (folder / "solution.py").read_text() == "mine = 1\n"


def test_lint_has_a_line_for_each_finding_and_status_1(
    folder: Path, checks: HiddenChecks, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of the working directory is meant by its bare name."""
    monkeypatch.chdir(folder.parent)
    assert main(["challenge", "lint", "quiet-stretch"]) == 0
    assert "1 challenge, 0 findings" in capsys.readouterr().out
    (folder / "hints.toml").unlink()
    assert main(["challenge", "lint", "quiet-stretch"]) == 1
    assert "quiet-stretch: hints: it has 0 hints" in capsys.readouterr().out


def test_pack_splits_so_that_nothing_private_is_published(folder: Path, tmp_path: Path) -> None:
    """The two parts are the challenge again, and the public one alone has nothing of the interviewer's."""
    public, private = pack(folder, tmp_path / "out")
    names = {path.name for path in public.rglob("*") if path.is_file()}
    assert names == {"pyproject.toml", "__init__.py", "challenge.md", "starter.py", "visible.py"}
    program = (
        "import sys\nfrom ib_kernel.interview.challenges import load_challenge\n"
        "from ib_kernel.plugin.manager import Plugins\nimport importlib\n"
        "plugins = Plugins([importlib.import_module(name) for name in sys.argv[1:]])\n"
        "found = load_challenge('quiet-stretch', plugins)\n"
        "print(found.candidate_sha, found.challenge_sha, bool(found.solution))"
    )
    whole = load_challenge(folder)

    def read(*modules: str) -> list[str]:
        search = [str(public), str(private), *sys.path]
        start = f"import sys; sys.path[:] = {search!r}\n{program}"
        done = subprocess.run(
            [sys.executable, "-c", start, *modules], capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    both = read("challenge_quiet_stretch", "challenge_quiet_stretch_private")
    assert both == [whole.candidate_sha, whole.challenge_sha, "True"]
    alone = read("challenge_quiet_stretch")
    assert (alone[0], alone[2]) == (whole.candidate_sha, "False")


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("challenge.md", "<!-- interviewer -->\nListen for generators.\n", "move them to notes.md"),
        ("starter.py", "# best = (start, place - start + 1)\n", "is not packed"),
    ],
)
def test_pack_refuses_what_would_give_away_the_private_part(
    folder: Path, tmp_path: Path, file: str, text: str, line: str
) -> None:
    """Notes in the task's file and lines of the solution are named, and nothing is written."""
    with (folder / file).open("a") as out:
        out.write(text)
    with pytest.raises(ConfigError, match=line):
        pack(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pack_keeps_the_version(folder: Path, tmp_path: Path) -> None:
    """The private part says which version it belongs to, also where its author did not."""
    task, rubric = folder / "challenge.md", folder / "rubric.toml"
    task.write_text(task.read_text().replace('version = "1"', 'version = "4"'))
    with pytest.raises(ConfigError, match="is for version 1"):
        pack(folder, tmp_path / "out")
    rubric.write_text(rubric.read_text().replace('version = "1"\n', ""))
    _, private = pack(folder, tmp_path / "out")
    assert next(private.rglob("rubric.toml")).read_text().startswith('version = "4"')


def test_a_packed_challenge_is_built_and_installed_without_a_network(folder: Path, tmp_path: Path) -> None:
    """Two wheels from pip; installed, their entry points give a host both parts and a candidate one."""
    pytest.importorskip("pip", reason="this environment has no pip")
    pytest.importorskip("hatchling", reason="install it with: pip install -e '.[dev]'")
    wheels, quiet = tmp_path / "wheels", ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip"]
    parts = [str(part) for part in pack(folder, tmp_path / "out")]
    command = [*pip, "wheel", *quiet, "--no-build-isolation", "--no-cache-dir", "-w", str(wheels), *parts]
    subprocess.run(command, check=True, capture_output=True)
    public, private = sorted(wheels.glob("*.whl"), key=lambda wheel: "private" in wheel.name)
    whole = load_challenge(folder)

    def read(site: str, *installed: Path) -> list[str]:
        target = ["--target", str(tmp_path / site), *map(str, installed)]
        subprocess.run([*pip, "install", *quiet, *target], check=True, capture_output=True)
        program = (
            f"import sys; sys.path[:] = {[str(tmp_path / site), *sys.path]!r}\n"
            "from ib_kernel.interview.challenges import load_challenge\n"
            "from ib_kernel.plugin.manager import Plugins\n"
            "found = load_challenge('quiet-stretch', Plugins())\n"
            "print(found.candidate_sha, found.challenge_sha, len(found.hints), bool(found.solution))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        return done.stdout.split()

    hints = str(len(whole.hints))
    assert read("host", public, private) == [whole.candidate_sha, whole.challenge_sha, hints, "True"]
    candidate = read("candidate", public)
    assert (candidate[0], candidate[2:]) == (whole.candidate_sha, ["0", "False"])
