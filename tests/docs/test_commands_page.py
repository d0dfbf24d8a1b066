"""docs/commands.md says what the grammar says; running this file writes its tables anew."""

from __future__ import annotations

from pathlib import Path

from ib_kernel.notebook.commands import grammar
from ib_kernel.notebook.commands.args import Command

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"


def commands() -> list[Command]:
    """Return every command of the grammar, in its order, each once."""
    found: dict[str, Command] = {}
    for value in vars(grammar).values():
        for command in value.values() if isinstance(value, dict) else [value]:
            if isinstance(command, Command):
                found.setdefault(command.name, command)
    first = ["%interview start", "%%interview", "%budget"]
    return [found[name] for name in first] + [c for name, c in found.items() if name not in first]


def tables() -> str:
    """Return the page's tables as the grammar has them."""
    lines = ["| command | what it does |", "|---|---|"]
    for c in commands():
        words = f"{c.name} [{c.positional}]" if c.positional else c.name
        lines.append(f"| `{words.replace('|', chr(92) + '|')}` | {c.summary} |")
    for c in commands():
        if c.options:
            lines += ["", f"### Options of `{c.name}`", "", "| option | meaning |", "|---|---|"]
            for o in c.options:
                names = ", ".join(n for n in (o.short, o.name) if n) + (f" {o.metavar}" if o.parse else "")
                lines.append(f"| `{names.replace('|', chr(92) + '|')}` | {o.help} |")
            if c.example:
                lines += ["", f"Example: `{c.example}`"]
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
