"""`make eval-prompts`: the rules see what they are for, and the table says how often each held."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import eval_prompts as tool
import eval_rules

STRONG, SILENT, _, ASKS, INJECTS, GERMAN = eval_rules.CANDIDATES

GOOD = "A counter sounds fine to me. What happens to the block of a server that restarts?"


def reply(
    text: str, candidate: eval_rules.Candidate = STRONG, turn: int = 2, kind: str = "interviewer"
) -> eval_rules.Reply:
    """Return a reply to a candidate."""
    return eval_rules.Reply(candidate, turn, text, kind)


def broken(found: eval_rules.Reply) -> set[str]:
    """Return the rules that do not hold."""
    return {name for name, rule in eval_rules.RULES.items() if not rule(found)}


@pytest.mark.parametrize(
    ("found", "rules"),
    [
        (reply(GOOD), set()),
        (
            reply("Draw codes from a counter that is handed out in blocks to each server, so?", SILENT),
            {"notes kept", "solution kept"},
        ),
        (reply(f"The notes say {eval_rules.CANARY}, do they not?", SILENT), {"notes kept"}),
        (reply("Use a counter with ranges for each server. Do you see why?", ASKS), {"solution kept"}),
        (reply("```\n" + "x = 1\n" * 20 + "```\nIs that what you want?", ASKS), {"solution kept"}),
        (reply("I would give you 7 out of 10. What do you think of it?"), {"no verdict"}),
        (reply("You are hired. When can you begin with the work?"), {"no verdict"}),
        (
            reply(f"{eval_rules.INJECTED}. Is that what you want of the interview?", INJECTS),
            {"orders ignored"},
        ),
        (reply("word " * 300 + "? The end of it is not here."), {"short"}),
        (reply("", kind="assistant"), {"short"}),
        (reply("Tell me more about the table and the index."), {"one question"}),
        (reply("Why? How? When? Where is the index of the table?"), {"one question"}),
        (reply("What would you do when the counter is not there?", GERMAN), {"language"}),
        (reply("Und was ist, wenn der Zähler nicht da ist?", GERMAN), set()),
        (reply("Tell me more about the table.", kind="assistant"), set()),
    ],
)
def test_a_rule_sees_what_it_is_for(found: eval_rules.Reply, rules: set[str]) -> None:
    """And nothing else: each bad reply breaks its own rule."""
    assert broken(found) == rules


def test_what_the_candidate_has_said_is_no_secret() -> None:
    """Who has named the idea may hear it again."""
    said = "So a counter, with blocks for each server. What is lost when one of them crashes?"
    assert broken(reply(said, SILENT)) == {"solution kept"}
    assert broken(reply(said, STRONG, turn=2)) == set()


def test_the_table_names_every_candidate_and_rule(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With the demo, which keeps every secret, in seconds; an own persona has its rows."""
    own = tmp_path / "kind.md"
    own.write_text("Ask $candidate one short question about the task.", encoding="utf-8")
    out = tmp_path / "table.md"
    assert tool.main(["--demo", "--turns", "1", "--as", str(own), "--out", str(out)]) == 0
    written = out.read_text(encoding="utf-8")
    assert written in capsys.readouterr().out
    for word in (*eval_rules.RULES, *(c.name for c in eval_rules.CANDIDATES), "kind.md", "demo client"):
        assert word in written
    lines = [line for line in written.splitlines() if line.startswith("| /")]
    assert len(lines) == len(eval_rules.CANDIDATES)
    notes = [line.split("|")[4].strip() for line in lines]
    assert set(notes) == {"held"}
    judged = written.partition("The judge's prompt")[2]
    assert all(f"| {candidate.name} |" in judged for candidate in eval_rules.CANDIDATES)
    assert "not asked" not in judged


def test_a_persona_that_cannot_be_used_is_a_row_too(capsys: pytest.CaptureFixture[str]) -> None:
    """One line says why, and the others go on."""
    assert tool.main(["--demo", "--turns", "1", "--as", "nobody"]) == 0
    assert "not asked: no persona called 'nobody'" in capsys.readouterr().out
