"""docs/ib.md says what `ib` takes; running this file writes its tables anew."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ib_kernel import cli

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ib.md"
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"
EVERYWHERE = {"-h", "--help", "--data", "--store"}


def commands(
    parser: argparse.ArgumentParser, name: str = "ib"
) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    """Yield each command's name, its parser and its summary, commands below others too."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        told = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for word, made in action.choices.items():
            below = list(commands(made, f"{name} {word}"))
            yield from below or [(f"{name} {word}", made, told[word])]


def words(action: argparse.Action) -> str:
    """Return an option or argument as it is typed."""
    shown = action.metavar or action.dest.upper()
    if action.choices and not action.metavar:
        shown = "|".join(map(str, action.choices))
    value = "" if action.nargs == 0 else f" {shown}"
    return ", ".join(action.option_strings) + value if action.option_strings else str(shown)


def tables() -> str:
    """Return the page's tables as the parser has them."""
    found = list(commands(cli._parser()))
    lines = ["| command | what it does |", "|---|---|"]
    lines += [f"| `{name}` | {summary[:1].upper()}{summary[1:]}. |" for name, _, summary in found]
    for name, parser, _ in found:
        options = [a for a in parser._actions if EVERYWHERE.isdisjoint(a.option_strings)]
        if options:
            lines += ["", f"## `{name}`", "", "| option | meaning |", "|---|---|"]
        for action in options:
            cells = [f"`{words(action)}`", action.help or ""]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def test_the_page_lists_every_command_and_option() -> None:
    """A command or option that is added, renamed or explained anew shows up in the page."""
    page = PAGE.read_text(encoding="utf-8")
    written = page[page.index(BEGIN) + len(BEGIN) : page.index(END)]
    assert written == tables(), f"write it anew: python {Path(__file__).name}"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(
        text[: text.index(BEGIN) + len(BEGIN)] + tables() + text[text.index(END) :], encoding="utf-8"
    )
