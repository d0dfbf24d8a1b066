"""`%interview score`, `note`, `scorecard`, `rubric`, `compare`, `agreement`: what people conclude.

With ``--host`` all of it is done at a host, under the person's own name there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ib_kernel.assessment.compared import Viewer
from ib_kernel.assessment.comparison import compare as compare_sessions
from ib_kernel.assessment.comparison import compared_challenges
from ib_kernel.assessment.rubric import read_rubric
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.errors import ConfigError
from ib_kernel.notebook.commands.words import UsageError
from ib_kernel.notebook.output.assessment import (
    card_output,
    comparison_output,
    rubric_output,
    scored_line,
)
from ib_kernel.notebook.output.show import Output, show_lines
from ib_kernel.text import plain
from ib_kernel.values.table import table_html, table_text

if TYPE_CHECKING:
    from ib_kernel.notebook.commands.args import Parsed
    from ib_kernel.notebook.engine import Engine
    from ib_kernel.remote.desk import Desk

_SCORE = '%interview score CRITERION LEVEL "why", such as %interview score races 2 "names the lost update"'


def score(engine: Engine, parsed: Parsed) -> Output:
    """Give a level for a criterion."""
    words = parsed.positional.split(maxsplit=2)
    if len(words) < 2 or not words[1].isdigit():
        raise UsageError(f"a level is given as {_SCORE}; levels are 0, 1, 2 and 3")
    criterion, level, why = words[0], int(words[1]), words[2] if len(words) > 2 else ""
    turns = parsed.get("turns", ())
    with _desk(engine, parsed) as desk:
        if desk is not None:
            card = desk.score(_named(engine, parsed), criterion, level, why, turns=turns)
            return show_lines(scored_line(card, criterion))
        cards, session_id, key = _local(engine, parsed)
        rater = parsed.get("rater", "")
        cards.score(session_id, criterion, level, why, turns=turns, rater=rater, passphrase=key)
        return show_lines(scored_line(cards.card(session_id, rater, passphrase=key), criterion))


def note(engine: Engine, parsed: Parsed) -> Output:
    """Keep a private note."""
    with _desk(engine, parsed) as desk:
        if desk is not None:
            desk.note(_named(engine, parsed), parsed.positional)
            return show_lines("Kept; no candidate's token reads it.")
        cards, session_id, key = _local(engine, parsed)
        cards.note(session_id, parsed.positional, parsed.get("rater", ""), passphrase=key)
        return show_lines("Kept. %interview scorecard shows it.")


def scorecard(engine: Engine, parsed: Parsed) -> Output:
    """Show the scorecard, or a widget to rate in."""
    blind, rater = bool(parsed.get("blind")), parsed.get("rater", "")
    if parsed.get("live"):
        return _live(engine, parsed)
    with _desk(engine, parsed) as desk:
        if desk is not None:
            session_id = _named(engine, parsed)
            if parsed.get("unfold"):
                desk.unfold(session_id)
            return card_output(desk.scorecard(session_id, blind=blind))
        cards, session_id, key = _local(engine, parsed)
        if parsed.get("unfold"):
            cards.unfold(session_id, rater, passphrase=key)
        return card_output(cards.card(session_id, rater, blind=blind, passphrase=key))


def rubric(engine: Engine, parsed: Parsed) -> Output:
    """Show the criteria, or give the session those of a file."""
    criteria = read_rubric(parsed.positional) if parsed.positional else None
    with _desk(engine, parsed) as desk:
        if desk is not None:
            session_id = _named(engine, parsed)
            if criteria is not None:
                desk.give_rubric(session_id, criteria)
            return rubric_output(desk.scorecard(session_id).rubric, given=criteria is not None)
        cards, session_id, key = _local(engine, parsed)
        if criteria is not None:
            return rubric_output(cards.give_rubric(session_id, criteria, passphrase=key), given=True)
        return rubric_output(cards.card(session_id, passphrase=key).rubric)


def compare(engine: Engine, parsed: Parsed) -> Output:
    """Set the sessions on one challenge side by side."""
    blind = bool(parsed.get("blind"))
    with _desk(engine, parsed) as desk:
        if desk is not None:
            if not parsed.positional:
                return _challenges(desk.compared())
            return comparison_output(desk.compare(parsed.positional, blind=blind))
        store = engine.interview.service.store
        if not parsed.positional:
            return _challenges(compared_challenges(store))
        key = None
        if parsed.get("unlock"):
            from ib_kernel.notebook.commands.passphrase import ask_passphrase

            key = ask_passphrase()
        viewer = Viewer(parsed.get("rater", ""), coordinator=True, blind=blind, passphrase=key)
        return comparison_output(compare_sessions(engine.interview, parsed.positional, viewer))


def agreement(engine: Engine, parsed: Parsed) -> Output:
    """Show how far raters agree, with intervals."""
    from ib_kernel.assessment.agreement import agreement as agreement_of
    from ib_kernel.assessment.comparison import all_scores

    found = agreement_of(all_scores(engine.interview, parsed.positional))
    if not found:
        return show_lines("No two raters have rated the same criterion of one session yet.")
    head = ["criterion", "raters", "sessions", "equal", "kappa", "95 % interval"]
    rows = [
        [
            a.criterion,
            f"{a.rater_a} and {a.rater_b}",
            f"{a.n:,}",
            f"{a.equal_share:.0%}",
            "one session only" if a.n == 1 else "not defined" if a.kappa is None else f"{a.kappa:.2f}",
            "too few sessions" if a.low is None or a.high is None else f"{a.low:.2f} to {a.high:.2f}",
        ]
        for a in found
    ]
    return Output(table_html(head, rows), table_text(head, rows))


def completions(engine: Engine, kind: str) -> Iterable[str]:
    """Return what Tab offers: the criteria of the session in use, or challenges that can be compared.

    Args:
        engine: The notebook's engine.
        kind: "criteria" or "compared".
    """
    interview = engine.interview
    if kind == "compared":
        return compared_challenges(interview.service.store)
    if interview.service.is_locked(interview.session.session_id):
        return ()
    return [c.name for c in Scorecards(interview).rubric(interview.session).criteria]


def _live(engine: Engine, parsed: Parsed) -> Output:
    from IPython.display import display

    from ib_kernel.notebook.widgets.scorecard import ScorecardWidget

    host = parsed.get("host")
    session_id = _named(engine, parsed) if host else _session_id(engine, parsed)
    rater, blind = parsed.get("rater", ""), bool(parsed.get("blind"))
    display(ScorecardWidget(session_id, rater=rater, host=host, blind=blind))  # type: ignore[no-untyped-call]
    return show_lines("Each level is kept as you give it.")


def _challenges(known: dict[str, int]) -> Output:
    if not known:
        return show_lines("There is nothing to compare: no session had a challenge, or only practice.")
    head = ["challenge", "sessions"]
    rows = [[plain(name), f"{count:,}"] for name, count in known.items()]
    return Output(table_html(head, rows), table_text(head, rows))


def _local(engine: Engine, parsed: Parsed) -> tuple[Scorecards, str, str | None]:
    """Return the scorecards of this ledger, the session that is meant, and its passphrase if it is locked."""
    from ib_kernel.notebook.commands.passphrase import passphrase_for

    cards = Scorecards(engine.interview)
    session_id = _session_id(engine, parsed)
    return cards, session_id, passphrase_for(engine.interview.service, session_id)


def _session_id(engine: Engine, parsed: Parsed) -> str:
    typed = parsed.get("session")
    if not typed:
        return engine.interview.session.session_id
    from ib_kernel.interview.resume import find_session

    return find_session(engine.interview.service, typed).session_id


@contextlib.contextmanager
def _desk(engine: Engine, parsed: Parsed) -> Iterator[Desk | None]:
    """Yield this person's place at the host that was named; None without one."""
    host = parsed.get("host")
    if not host:
        yield None
        return
    if parsed.get("rater"):
        raise ConfigError("at a host you rate under your own name there; leave --rater out")
    from ib_kernel.remote.desk import Desk

    with Desk.at(host, engine.settings()) as desk:
        yield desk


def _named(engine: Engine, parsed: Parsed) -> str:
    typed: str | None = parsed.get("session")
    if not typed:
        raise UsageError("which session of the host? Add --session ID; the host's page shows it")
    return typed
