"""A page of results: lines, tables, and whether targets were met."""

from __future__ import annotations


class Report:
    """Lines of the page, and the targets that were missed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.missed: list[str] = []

    def add(self, *lines: str) -> None:
        """Add lines, and show them."""
        self.lines += lines
        print("\n".join(lines), flush=True)

    def table(self, headers: list[str], rows: list[list[str]]) -> None:
        """Add a table."""
        self.add("", "| " + " | ".join(headers) + " |", "|---" * len(headers) + "|")
        self.add(*("| " + " | ".join(row) + " |" for row in rows), "")

    def target(self, what: str, seen: float, limit: float, *, at_least: bool = False, unit: str = "") -> None:
        """Add a line that says whether a target was met."""
        met = seen >= limit if at_least else seen <= limit
        words = "at least" if at_least else "at most"
        shown, verdict = f"{seen:,.0f}" if seen >= 100 else f"{seen:.3g}", "met" if met else "MISSED"
        self.add(f"- {what}: **{shown}{unit}** (target: {words} {limit:g}{unit}), {verdict}")
        if not met:
            self.missed.append(what)
