"""Simulated candidates against the prompts, in a table: what held, and what did not.

    make eval-prompts ARGS="--client openai --model gpt-5.4-mini --as socratic.md --out prompts.md"

Each candidate is a script of messages: a strong one, a silent one, one who is wrong, one who asks for the
solution, one who gives orders, one who writes German. Every reply is looked at by rules that need no model,
so that the table says the same of the same replies. Without --client the small local model answers where it
is installed, else the demo: a smoke test then, no measurement.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval_rules import CANDIDATES, NOTES, RUBRIC, RULES, TASK, Candidate, Reply

from ib_kernel.errors import BuddyError
from ib_kernel.interview.interview import Interview
from ib_kernel.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Row:
    """What held of one candidate's replies: by rule, how many did, and of how many."""

    persona: str
    candidate: str
    replies: int = 0
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RULES, 0))
    broken: list[tuple[str, Reply]] = field(default_factory=list)
    problem: str = ""


def looked_at(persona: str, candidate: Candidate, replies: Sequence[Reply]) -> Row:
    """Return what held of some replies."""
    row = Row(persona, candidate.name, len(replies))
    for reply in replies:
        for name, rule in RULES.items():
            if rule(reply):
                row.held[name] += 1
            else:
                row.broken.append((name, reply))
    return row


@dataclass
class Judged:
    """What the judge's prompt has made of one candidate's words."""

    candidate: str
    level: str = ""
    quotes: str = ""
    held: str = ""


def judged(buddy: Interview, candidate: Candidate) -> Judged:
    """Ask the judge about the session in use: its level and quotes, and whether they are what they may be.

    Who said nothing, or only orders, has shown nothing, whatever they asked for.
    """
    from ib_kernel.assessment.judge.find import find_judge
    from ib_kernel.assessment.judging import Judging
    from ib_kernel.assessment.scores import Scorecards

    session = buddy.session
    try:
        rubric = Scorecards(buddy).rubric(session)
        judge = find_judge(buddy.plugins, buddy.settings, "", session.client)
        made = Judging(buddy, session, rubric, judge).run()
    except BuddyError as error:
        return Judged(candidate.name, "", "", f"not asked: {str(error)[:80]}")
    finally:
        buddy.use(session.session_id)
    (found,) = made.levels.values()
    highest = found.high if found.level is None else found.level
    level = (
        "not shown"
        if highest is None
        else f"{found.low}-{found.high}"
        if found.level is None
        else str(highest)
    )
    empty = candidate.name in ("silent", "injects")
    right = not highest if empty else True
    unusable = sum(bool(look.problem) for look in made.looks)
    quotes = f"{made.kept} kept, {made.dropped} dropped" + (f", {unusable} unusable" if unusable else "")
    return Judged(candidate.name, level, quotes, "held" if right else "raised without being shown")


def talk(buddy: Interview, persona: str, candidate: Candidate, challenge: Path, turns: int) -> Row:
    """Let one candidate talk to one persona."""
    replies: list[Reply] = []
    problem = ""
    try:
        session = buddy.start(
            "Backend engineer",
            candidate="Robin",
            persona=persona,
            challenge=str(challenge),
            token_budget=60_000,
        )
        kind = "assistant" if "assistant" in system_of(buddy) else "interviewer"
        for turn, text in enumerate(candidate.says[:turns], 1):
            said = buddy.say_sync(text, max_tokens=400)
            replies.append(Reply(candidate, turn, said.text, kind))
        buddy.service.complete(session.session_id)
    except BuddyError as error:
        problem = str(error)
    row = looked_at(persona, candidate, replies)
    row.problem = problem
    return row


def system_of(buddy: Interview) -> str:
    """Return the first line of what the persona in use is told."""
    from ib_kernel.interview.prompts import system_prompt

    parts: Any = buddy._parts
    session = buddy.session
    text, _ = system_prompt(session, buddy.whole_challenge(session), parts.instructions.persona(session))
    return next(line for line in text.splitlines() if line.startswith("Persona:"))


def table(rows: Sequence[Row], asked: str) -> str:
    """Return the rows as a Markdown table."""
    head = ["persona", "candidate", "replies", *RULES]
    lines = [f"Prompts against simulated candidates, {asked}.", "", f"| {' | '.join(head)} |"]
    lines.append("|" + "---|" * len(head))
    for row in rows:
        cells = [f"{n} of {row.replies}" if n < row.replies else "held" for n in row.held.values()]
        if row.problem:
            cells = [f"not asked: {row.problem[:80]}", *[""] * (len(RULES) - 1)]
        lines.append(f"| {' | '.join([row.persona, row.candidate, str(row.replies), *cells])} |")
    return "\n".join(lines) + "\n"


def judge_table(rows: Sequence[Judged]) -> str:
    """Return what the judge made of it as a Markdown table."""
    lines = [
        "The judge's prompt, about the interviews above.",
        "",
        "| candidate | level | quotes | |",
        "|---|---|---|---|",
    ]
    lines += [f"| {row.candidate} | {row.level} | {row.quotes} | {row.held} |" for row in rows]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def answering(given: argparse.Namespace, folder: Path) -> Iterator[tuple[Settings, str]]:
    """Yield settings whose client answers, and how it is called."""
    if given.client:
        model = {"model": given.model} if given.model else {}
        settings = Settings(data_dir=folder, client=given.client, **model)
        yield settings, f"client {given.client}, model {settings.model}"
        return
    sys.path.insert(0, str(ROOT / "tests"))
    import local_model

    if given.demo or local_model.missing():
        yield Settings(data_dir=folder, client="demo"), "the demo client (a script: a smoke test only)"
        return
    name = "smollm2-135m"
    with local_model.serving(context=4_096) as url:
        settings = Settings(
            data_dir=folder, client="openai", base_url=url, dialect="llama.cpp", model=name, temperature=0.0,
            first_piece_s=300.0, gap_s=120.0, deadline_s=600.0,
            models={name: {"context_window": 4_096, "max_output": 400}},
        )  # fmt: skip
        yield settings, f"the local model {name} (a smoke test only)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the table and print it; return 0 whatever held: people read it."""
    given = parser().parse_args(argv)
    rows: list[Row] = []
    judgements: list[Judged] = []
    with tempfile.TemporaryDirectory() as place:
        challenge = write_challenge(Path(place) / "short-links")
        with answering(given, Path(place) / "data") as (settings, asked), Interview(settings) as buddy:
            for persona in given.persona or ["interviewer", "assistant"]:
                for candidate in CANDIDATES:
                    rows.append(talk(buddy, persona, candidate, challenge, given.turns))
                    print(f"{persona}, {candidate.name}: {rows[-1].replies} replies", file=sys.stderr)
                    if (
                        persona == (given.persona or ["interviewer"])[0]
                        and rows[-1].replies
                        and not given.no_judge
                    ):
                        judgements.append(judged(buddy, candidate))
    text = table(rows, asked) + ("\n" + judge_table(judgements) if judgements else "")
    print(text)
    if given.show:
        for row in rows:
            for rule, reply in row.broken:
                print(f"--- {row.persona}, {row.candidate}, turn {reply.turn}: {rule}\n{reply.text}\n")
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    return 0


def write_challenge(folder: Path) -> Path:
    """Write the task with its private part; return its folder."""
    folder.mkdir()
    for name, text in (("challenge.md", TASK), ("notes.md", NOTES), ("rubric.toml", RUBRIC)):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def parser() -> argparse.ArgumentParser:
    """Return what may be typed."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--client", help="a client plugin; default: the local model, else the demo")
    made.add_argument("--model", help="the model; default: the settings'")
    made.add_argument("--demo", action="store_true", help="the demo, whatever is installed")
    made.add_argument("--as", dest="persona", action="append", help="a persona; may be repeated")
    made.add_argument("--turns", type=int, default=3, help="turns with each candidate at most; 3")
    made.add_argument("--no-judge", action="store_true", help="leave the judge's prompt out")
    made.add_argument("--show", action="store_true", help="print the replies that broke a rule")
    made.add_argument("--out", type=Path, help="write the table to a file")
    return made


if __name__ == "__main__":
    sys.exit(main())
