"""What is shipped: the wheel holds everything that runs, and nothing that only tests it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import ib_kernel

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OTHER = "ib_challenges"  # a distribution of its own
PLUGINS = {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")} - {OTHER}
PACKAGES = ["ib_kernel", *sorted(PLUGINS)]


def source(package: str) -> Path:
    """Return the folder of a package in the repository."""
    return ROOT / ("" if package == "ib_kernel" else "plugins") / package


def build(folder: Path, out: Path, *targets: str) -> None:
    """Build with hatchling as pip does, but in this environment and without the network."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.fail("hatchling is missing; install the dev extra again: pip install -e '.[dev]'")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    for target in targets:
        command += ["-t", target]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr


def names_in(wheel: Path) -> set[str]:
    """Return the names of all files in *wheel*."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist and the wheel, built once."""
    out = tmp_path_factory.mktemp("dist")
    build(ROOT, out, "sdist", "wheel")
    return out


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    """Return the wheel's path."""
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what `pip install` of the wheel puts there."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def metadata(wheel: Path, name: str) -> str:
    """Return a file of the wheel's dist-info folder."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [n for n in archive.namelist() if re.fullmatch(rf"[^/]+\.dist-info/{name}", n)]
        return archive.read(path).decode()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_holds_every_file_of_every_package(package: str, wheel: Path) -> None:
    """Code, data and py.typed of the core and of each plugin in the repository are in the wheel."""
    files = {
        f"{package}/{path.relative_to(source(package)).as_posix()}"
        for path in source(package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert f"{package}/py.typed" in files
    assert files - names_in(wheel) == set()


@pytest.mark.parametrize(
    ("pattern", "at_least"),
    [
        (r"ib_kernel/models/models\.toml", 1),
        (r"ib_kernel/interview/data/prompts/(interviewer|assistant)\.md", 2),
        (r"ib_kernel/interview/data/challenges/[\w-]+/challenge\.md", 16),
        (r"ib_kernel/interview/data/challenges/[\w-]+/tests/visible\.py", 10),
        (r"ib_kernel/interview/data/challenges/[\w-]+/data/.+\.csv", 1),
        (r"ib_kernel/counting/rules\.toml", 1),
        (r"ib_tiktoken/ranks/(o200k|cl100k)_base\.xz", 2),
        (r"ib_duckdb/\w+\.sql", 2),
        (r"ib_demo/data/.+", 1),
    ],
)
def test_the_wheel_holds_the_data(pattern: str, at_least: int, wheel: Path) -> None:
    """The files that are no code are there by kind, so that deleting one is noticed as well."""
    assert len([name for name in names_in(wheel) if re.fullmatch(pattern, name)]) >= at_least


def test_the_wheel_holds_nothing_else(wheel: Path, dist: Path) -> None:
    """Neither tests nor notebooks nor caches are in the wheel or the sdist."""
    tops = {name.split("/")[0] for name in names_in(wheel)}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == set(PACKAGES)
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = names_in(wheel) | {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    unwanted = re.compile(
        r"(^|/)(tests?|notebooks|benchmarks|__pycache__|\.ci)/|(^|/)(test_|conftest)|\.pyc$"
    )
    of_challenges = re.compile(r"ib_kernel/interview/data/challenges/[\w-]+/tests/visible\.py")
    assert [name for name in names if unwanted.search(name) and not of_challenges.fullmatch(name)] == []


def test_the_wheel_holds_only_the_candidates_part_of_challenges(wheel: Path, dist: Path) -> None:
    """No file of the interviewer's part, and no line of one, is in what a candidate installs."""
    private = ROOT / "plugins" / OTHER / "private"
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = names_in(wheel) | set(archive.getnames())
    forbidden = re.compile(
        r"challenges/.*(notes\.md|rubric\.toml|hints\.toml|solution\.py|hidden\.py)$|ib_challenges"
    )
    assert [name for name in names if forbidden.search(name)] == []
    telling = [
        line.strip()
        for file in [*private.rglob("notes.md"), *private.rglob("rubric.toml"), *private.rglob("hints.toml")]
        for line in file.read_text(encoding="utf-8").split("\n")
        if len(line.strip()) > 60
    ]
    assert len(telling) > 200
    with zipfile.ZipFile(wheel) as archive:
        everything = b"\0".join(archive.read(name) for name in archive.namelist()).decode("utf-8", "replace")
    assert [line for line in telling if line in everything] == []


def test_the_interviewers_part_is_a_wheel_of_its_own(tmp_path: Path) -> None:
    """Whoever holds interviews installs it beside the base package; it brings no code but its hook."""
    build(ROOT / "plugins" / OTHER, tmp_path, "wheel")
    (path,) = tmp_path.glob("*.whl")
    names = {name for name in names_in(path) if ".dist-info/" not in name}
    assert {"ib_challenges/__init__.py", "ib_challenges/private/lru-cache/solution.py"} <= names
    assert [name for name in names if not name.startswith("ib_challenges/")] == []
    assert "challenges = ib_challenges" in metadata(path, "entry_points.txt")


EXTENSION = Path("ib_kernel", "notebook", "lab", "labextensions", "interview-buddy")


def test_the_wheel_brings_the_jupyterlab_extension_where_jupyterlab_looks(
    wheel: Path, tmp_path: Path
) -> None:
    """Every file of it lands in share/jupyter/labextensions, and JupyterLab lists it there by our version."""
    config = pytest.importorskip(
        "jupyterlab_server.config", reason="install it with: pip install -e '.[lab]'"
    )
    at = next(name.split("share/")[0] for name in names_in(wheel) if ".data/data/share/" in name)
    here = "share/jupyter/labextensions/interview-buddy/"
    files = {
        path.relative_to(ROOT / EXTENSION).as_posix()
        for path in (ROOT / EXTENSION).rglob("*")
        if path.is_file()
    }
    assert "static/remoteEntry.js" in files
    assert {n.removeprefix(at + here) for n in names_in(wheel) if n.startswith(at)} == files
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    found = config.get_federated_extensions([str(tmp_path / at / "share/jupyter/labextensions")])
    assert found["interview-buddy"]["version"] == ib_kernel.__version__
    assert found["interview-buddy"]["jupyterlab"]["_build"]["load"] in files
    assert found["interview-buddy"]["install"]["packageName"] == PROJECT["name"]


def test_make_lab_finds_the_extension_in_the_working_tree() -> None:
    """The folder that `make lab` names holds a folder labextensions, as JUPYTER_PATH wants it."""
    (line,) = [x for x in (ROOT / "Makefile").read_text("utf-8").splitlines() if "JUPYTER_PATH=" in x]
    folder = re.search(r'JUPYTER_PATH="\$\(CURDIR\)/([\w/]+)', line)
    assert folder is not None
    assert ROOT / folder[1] / "labextensions" / "interview-buddy" == ROOT / EXTENSION


def test_a_wheel_from_the_sdist_is_the_same(dist: Path, wheel: Path, tmp_path: Path) -> None:
    """The sdist alone is enough to build every file of the wheel."""
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    build(folder, tmp_path / "out", "wheel")
    (again,) = (tmp_path / "out").glob("*.whl")
    assert names_in(again) == names_in(wheel)


def test_the_metadata_is_right(wheel: Path) -> None:
    """Name, version, licence, Python version and dependencies are what pyproject and the package say."""
    found = Parser().parsestr(metadata(wheel, "METADATA"))
    assert found["Name"] == PROJECT["name"]
    assert found["Version"] == PROJECT["version"] == ib_kernel.__version__
    assert found["License-Expression"] == "MIT"
    assert found["Requires-Python"] == ">=3.11"
    required = [line for line in found.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(required) == sorted(PROJECT["dependencies"])


def test_the_licence_is_shipped(wheel: Path) -> None:
    """The MIT licence of the repository is in the wheel, word for word."""
    assert metadata(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "MIT License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_default_plugins_register_like_anyones(wheel: Path) -> None:
    """The wheel's entry points are the ones of pyproject, and each plugin package has one."""
    lines = metadata(wheel, "entry_points.txt").splitlines()
    section = lines[lines.index("[ib_kernel]") + 1 :]
    entries = dict(line.split(" = ") for line in section if " = " in line)
    assert entries == PROJECT["entry-points"]["ib_kernel"]
    assert {value.split(":")[0] for value in entries.values()} == set(PACKAGES) - {"ib_kernel"}


def test_every_dependency_has_its_reason() -> None:
    """CONTRIBUTING.md gives one line of justification for each runtime dependency, and for no other."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Runtime dependencies")[1]
    table = table.split("\n\n|")[0].split("\n## ")[0]
    reasons = re.findall(r"^\| ([\w-]+) \| \S.*\|$", table, re.MULTILINE)
    needed = [re.split(r"[^\w-]", line)[0] for line in PROJECT["dependencies"]]
    assert sorted(set(reasons) - {"package"}) == sorted(needed)


FIRST_USE = """
import pathlib, sys
import ib_kernel
from ib_kernel import Plugins, Settings, TokenService, count_tokens, get_model_limit
from ib_kernel.interview.challenges import list_challenges
site = pathlib.Path(sys.argv[1])
assert pathlib.Path(ib_kernel.__file__).is_relative_to(site), ib_kernel.__file__
mine, settings = Plugins(), Settings(data_dir=sys.argv[2])
mine.load()
print([info.name for info in mine.infos.values() if info.problem])
for product in (mine.counter(settings), mine.client(settings), mine.store(settings)):
    assert pathlib.Path(sys.modules[type(product).__module__].__file__).is_relative_to(site), product
    print(product.name)
service = TokenService(settings, plugins=mine)
session = service.create_session(candidate="Ada", token_budget=100)
print(service.get_remaining_budget(session.session_id), count_tokens("hello world"))
print(len(list_challenges()) >= 5, get_model_limit("gpt-4"))
service.close()
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "ib_kernel")
print(shell.find_line_magic("interview") is not None)
"""


def test_the_wheel_works_without_the_repository(unpacked: Path, tmp_path: Path) -> None:
    """A fresh process that finds the unpacked wheel first runs every default plugin from its own files."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_USE, str(unpacked), str(tmp_path / "ledger")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked), "IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["[]", "tiktoken", "demo", "duckdb", "100 2", "True 8192", "True", ""]


def test_the_front_end_s_lock_file_names_no_index() -> None:
    """npm takes packages from the index that the reader has configured; nothing of them is shipped."""
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert all(entry["integrity"] and "resolved" not in entry for entry in packages.values())
    assert all(entry["dev"] for entry in packages.values())
