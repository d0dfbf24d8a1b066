"""The documents stay true: links resolve, and what they name exists."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from ib_kernel.settings import FIELD_NAMES, Settings

ROOT = Path(__file__).resolve().parents[2]
BUILT = {"_build", "jupyter_execute", "node_modules"}
"""Folders that tools fill."""

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if not BUILT & set(path.parts)
}
"""Every document by its name."""

VARIABLES = {f"IB_{name.upper()}" for name in FIELD_NAMES} | {
    "IB_CONFIG",
    "IB_HOST",
    "IB_HOST_TOKEN",
    "IB_COUNTING_CORPUS",
    "IB_DEMO_DELAY_S",
    "IB_POSTGRES_URL",
    "IB_ACME_URL",
}
"""The variables that users set, one that only the tests read, and plugins', ours and an example's."""

NOT_CONFIG = {"project", "build-system", "tool", "criteria"}
"""Tables of a plugin's pyproject.toml."""

FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*$", re.M | re.S)


def prose(text: str) -> str:
    """Return a page's text without its code, where brackets mean something else."""
    return re.sub(r"`[^`\n]*`", "", FENCED.sub("", text))


def links(text: str) -> list[str]:
    """Return the targets of a page's links and images that lie in this repository."""
    text = prose(text)
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)", text)
    targets += re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, re.M)
    targets += re.findall(r"<(?:img|a)\b[^>]*?(?:src|href)=\"([^\"]+)\"", text)
    return [target for target in targets if not re.match(r"[a-z][a-z0-9+.-]*:", target)]


def variables(text: str) -> list[str]:
    """Return the names of our environment variables in a page."""
    return re.findall(r"\bIB_[A-Z][A-Z_]*[A-Z]\b", text)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+\s+(.*)$", FENCED.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def config_examples(text: str) -> list[str]:
    """Return a page's TOML examples that set our settings (not a plugin's pyproject)."""
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    return [block for block in blocks if not NOT_CONFIG & set(tomllib.loads(block))]


def make_targets(text: str) -> list[str]:
    """Return the targets of each `make x` in a page."""
    fenced = "".join(match[0] for match in FENCED.finditer(text))
    code = re.findall(r"`make ([^`\n]+)`", FENCED.sub("", text))
    code += re.findall(r"^\s*(?:\$ )?make ([^#\n]+)", fenced, re.M)
    return [word for line in code for word in line.split() if re.fullmatch(r"[a-z][\w-]*", word)]


def found(kind: Callable[[str], list[str]]) -> pytest.MarkDecorator:
    """Parametrize a test with the page and what *kind* finds there, each once; finding none is an error."""
    cases = [(name, value) for name, text in PAGES.items() for value in dict.fromkeys(kind(text))]
    assert cases, f"no document has any {kind.__name__}"
    ids = [f"{name}: {value[:40].splitlines()[0]}" for name, value in cases]
    return pytest.mark.parametrize(("name", "value"), cases, ids=ids)


@found(links)
def test_a_local_link_resolves(name: str, value: str) -> None:
    """A link or image leads to a file of the repository, and its fragment to a heading there."""
    path, _, fragment = unquote(value).partition("#")
    there = ((ROOT / name).parent / path).resolve() if path else ROOT / name
    assert there.exists()
    assert there.is_relative_to(ROOT), "it leads out of the repository"
    if fragment and there.suffix == ".md":
        assert fragment in anchors(there.read_text(encoding="utf-8"))


@found(variables)
def test_a_variable_that_is_named_exists(name: str, value: str) -> None:
    """An IB_ variable in a document is one that is read."""
    assert value in VARIABLES


@found(config_examples)
def test_a_config_example_is_accepted(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TOML example that sets our settings is read as a config.toml without a complaint."""
    monkeypatch.setenv("IB_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text(value, encoding="utf-8")
    Settings()


@found(make_targets)
def test_a_make_target_that_is_named_exists(name: str, value: str) -> None:
    """`make x` in a document is a target of the Makefile."""
    assert value in re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


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
