"""The documents stay true: links resolve, and what they name exists."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from ib_kernel.settings import FIELD_NAMES, Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda path: path.relative_to(ROOT).as_posix()
)
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]

VARIABLES = {f"IB_{name.upper()}" for name in FIELD_NAMES} | {"IB_CONFIG"}
"""The variables that users set."""


def prose(page: Path) -> str:
    """Return a page without its code, where brackets mean something else."""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1\s*$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links and images that lie in this repository."""
    text = prose(page)
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)", text)
    targets += re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, re.M)
    targets += re.findall(r"<(?:img|a)\b[^>]*?(?:src|href)=\"([^\"]+)\"", text)
    yield from (target for target in targets if not re.match(r"[a-z][a-z0-9+.-]*:", target))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1\s*$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+\s+(.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", NAMES)
def test_every_local_link_resolves(name: str) -> None:
    """A link or image leads to a file of the repository, and its fragment to a heading there."""
    page = ROOT / name
    for target in links(page):
        path, _, fragment = unquote(target).partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name} links to {target}"
        assert there.is_relative_to(ROOT), f"{name} links out of the repository: {target}"
        if fragment and there.suffix == ".md":
            assert fragment in anchors(there), f"{name} links to {target}"


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_that_is_named_exists(name: str) -> None:
    """An IB_ variable in a document is one that is read (IB_COUNTING_CORPUS only by the tests)."""
    text = (ROOT / name).read_text(encoding="utf-8")
    named = set(re.findall(r"\bIB_[A-Z][A-Z_]*[A-Z]\b", text)) - {"IB_COUNTING_CORPUS"}
    assert named - VARIABLES == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_config_example_is_accepted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TOML example that sets our settings is read as a config.toml without a complaint."""
    blocks = re.findall(r"^```toml\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.M | re.S)
    monkeypatch.setenv("IB_CONFIG", str(tmp_path / "config.toml"))
    for block in blocks:
        if not {"project", "build-system", "tool"} & set(tomllib.loads(block)):  # a plugin's pyproject
            (tmp_path / "config.toml").write_text(block, encoding="utf-8")
            Settings()


@pytest.mark.parametrize("name", NAMES)
def test_every_make_target_that_is_named_exists(name: str) -> None:
    """`make x` in a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    text = (ROOT / name).read_text(encoding="utf-8")
    code = re.findall(r"`make ([^`\n]+)`", text) + re.findall(r"^\s*(?:\$ )?make ([^#\n]+)", text, re.M)
    named = {word for line in code for word in line.split() if re.fullmatch(r"[a-z][\w-]*", word)}
    assert named - targets == set()


def test_every_decision_is_in_the_index() -> None:
    """The index lists each record once, in order, under the title that the record has."""
    folder = ROOT / "docs" / "decisions"
    rows = re.findall(
        r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", (folder / "README.md").read_text("utf-8"), re.M
    )
    records = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    assert [file for _, file, _ in rows] == [path.name for path in records]
    for number, file, title in rows:
        heading = (folder / file).read_text(encoding="utf-8").splitlines()[0]
        assert file.startswith(f"{number}-")
        assert heading.startswith(f"# {number} ")
        assert title


def test_the_settings_page_lists_every_setting() -> None:
    """A setting that is added or renamed shows up in docs/settings.md."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.M)
    assert listed == list(FIELD_NAMES)
