"""The documentation site covers the public names, its examples can be typed, its map leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from notebook_shell import notebook

import ib_kernel
import ib_kernel.testing

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GUIDES = [*DOCS.glob("*.md"), *(DOCS / "howto").glob("*.md"), ROOT / "README.md"]


def described(page: str) -> set[str]:
    """Return the objects that a page's autodoc directives describe."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return set(re.findall(r"^\.\. auto(?:class|function|data|module):: (\S+)", text, re.M))


def test_the_api_pages_describe_every_public_name() -> None:
    """What can be imported from `ib_kernel` is in the reference, and so are the contracts."""
    found = described("api.md") | described("api-plugins.md")
    assert {f"ib_kernel.{name}" for name in ib_kernel.__all__} - found == set()
    contracts = {name for name in ib_kernel.testing.__all__ if name.endswith(("Contract", "Server"))}
    assert {f"ib_kernel.testing.{name}" for name in contracts} - found == set()


def test_the_plugin_reference_describes_the_border() -> None:
    """Hooks, events, protocols and values are described whole."""
    border = {
        f"ib_kernel.{name}" for name in ("plugin.hookspecs", "plugin.events", "plugin.commands", "values")
    }
    assert border <= described("api-plugins.md")
    assert "ib_kernel.errors" in described("errors.md")


def options() -> dict[str, set[str]]:
    """Return the options of each command, as docs/commands.md lists them."""
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### Options of `([^`]+)`\n(.*?)(?=^#|\Z)", page, re.M | re.S)
    return {name: set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", rows)) for name, rows in sections}


def typed() -> list[tuple[str, str]]:
    """Return every line with one of our magics in the pages' code blocks, with its page."""
    lines = []
    for page in GUIDES:
        blocks = re.findall(r"^```[\w]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
        for line in re.findall(r"^%{1,2}(?:interview|budget|usage)\b.*", "\n".join(blocks), re.M):
            lines.append((page.name, line.split("  #")[0]))
    return lines


@pytest.mark.parametrize(("page", "line"), typed())
def test_a_command_in_the_pages_has_options_that_exist(page: str, line: str) -> None:
    """An option that is renamed is renamed in every example."""
    words, known = line.split(), options()
    name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
    used = set(re.findall(r"(?<!\S)--?[a-z][\w-]*", line))
    assert used - known.get(name, set()) == set(), f"{page}: {line}"


def test_the_guides_have_commands_to_check() -> None:
    """The test above sees the commands of the tutorial and of the guides."""
    assert {"tutorial.md", "interview.md", "budget.md", "index.md"} <= {page for page, _ in typed()}


def test_the_tutorial_runs_as_it_is_printed() -> None:
    """Each cell works in this order, and the line of figures looks like the one that is shown."""
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    cells = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    (footer,) = re.findall(r"^demo · turn 1 .*", text, re.M)
    assert cells[0] == "%load_ext ib_kernel\n"
    with notebook() as shell:
        shown = "\n".join(shell.ok(cell).text for cell in cells[1:])
    figures = re.escape(re.sub(r"[\d,]+", "0", footer)).replace("0", r"[\d,]+")
    assert re.search(figures, shown)
    assert "source" in shown


def changes() -> list[tuple[str, str, str]]:
    """Return the rows of the map: what is wanted, where it is changed, what tests it."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8").split("## Where do I change …")[1]
    return re.findall(r"^\| (?!I want|-)(.+?) \| (.+) \| (.+) \|$", text.split("\n## ")[0], re.M)


def test_the_map_has_twenty_changes() -> None:
    """Who takes this over finds the place of the usual changes."""
    assert len(changes()) >= 20


@pytest.mark.parametrize(("want", "where", "tests"), changes(), ids=[row[0] for row in changes()])
def test_the_map_of_changes_leads_to_what_exists(want: str, where: str, tests: str) -> None:
    """Each change names files that are there, the first by its path, and at least one test."""
    named = re.findall(r"`([\w./-]+[./][\w./-]*)`", where)
    folder = Path(named[0]) if named[0].endswith("/") else Path(named[0]).parent
    for name in named:
        path = ROOT / name
        assert path.exists() or ("/" not in name and (ROOT / folder / name).exists()), name
    checks = re.findall(r"`(tests/[\w./-]+)`", tests)
    assert checks
    assert [path for path in checks if not (ROOT / path).exists()] == []
