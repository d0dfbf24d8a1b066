"""docs/howto/budget.md says how many turns a budget carries; running this file writes its table anew."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ib_kernel import Interview, Settings
from ib_kernel.budget.forecast import QUESTION, REPLY
from ib_kernel.errors import BudgetRefused

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "budget.md"
BEGIN, END = "<!-- turns: begin -->\n", "<!-- turns: end -->\n"
BUDGETS = (5_000, 10_000, 20_000, 50_000, 100_000)
MODELS = ("gpt-5.4-mini", "gpt-4.1-mini", "gpt-4", "llama3.2")
"""Two with a wide window, one with 8,192 tokens, one that our table of models does not have."""


def turns(buddy: Interview, model: str, charge: str, budget: int) -> str:
    """Return about how many turns a session carries, as its start says."""
    try:
        session = buddy.start(
            "Backend engineer", challenge="rate-limiter", model=model, charge=charge, token_budget=budget,
            client="openai",
        )  # fmt: skip
    except BudgetRefused:
        return "–"
    return f"{buddy.service.estimate_turns_left(session.session_id):,}"


def table(folder: Path) -> str:
    """Return the page's table as the engine foretells it."""
    lines = ["| model | charge | " + " | ".join(f"{budget:,}" for budget in BUDGETS) + " |"]
    lines.append("|---|---|" + "---:|" * len(BUDGETS))
    unknown = {"llama3.2": {"context_window": 131_072, "max_output": 4_096}}
    settings = Settings(data_dir=folder, api_key="sk-nobody-0123456789abcdef", models=unknown)
    with Interview(settings) as buddy:
        for model in MODELS:
            for charge in ("billed", "new"):
                cells = " | ".join(turns(buddy, model, charge, budget) for budget in BUDGETS)
                lines.append(f"| `{model}` | {charge} | {cells} |")
    return "\n".join(lines) + "\n"


def test_the_page_says_what_a_start_would_say(tmp_path: Path) -> None:
    """The figures are the engine's; prompts, sizes or limits that change show up in the page."""
    page = PAGE.read_text(encoding="utf-8")
    written = page[page.index(BEGIN) + len(BEGIN) : page.index(END)]
    assert written == table(tmp_path), f"write it anew: python {Path(__file__).name}"
    assert f"questions of {QUESTION} and replies of {REPLY} tokens" in page


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as made:
        new = table(Path(made))
    PAGE.write_text(text[: text.index(BEGIN) + len(BEGIN)] + new + text[text.index(END) :], encoding="utf-8")
