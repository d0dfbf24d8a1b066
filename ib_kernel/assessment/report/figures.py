"""What is computed of an interview without any model, each figure with what it does not say.

The figures are those of the ledger's views, so that a report says what SQL says.
"""

from __future__ import annotations

import contextlib
import statistics
from typing import Any

from ib_kernel.assessment.report.values import Line
from ib_kernel.errors import NotHere, QueryError, StoreError
from ib_kernel.text import several
from ib_kernel.values import Cell, LedgerEvent

_Row = tuple[Any, ...]

_QUERY = """
SELECT 'think' AS what, CAST(think_s AS DOUBLE PRECISION) AS a, NULL AS b, NULL AS c, NULL AS said
FROM think_time WHERE session_id = '{id}' AND turn > 1
UNION ALL
SELECT 'facts', words, CASE WHEN has_code THEN 1 ELSE 0 END, CASE WHEN has_attachment THEN 1 ELSE 0 END, NULL
FROM prompt_facts WHERE session_id = '{id}'
UNION ALL
SELECT 'again', turn, earlier_turn, NULL, NULL FROM re_asks WHERE session_id = '{id}'
UNION ALL
SELECT 'checked', verified, replies, NULL, NULL FROM verification WHERE session_id = '{id}'
UNION ALL
SELECT 'phases', charged_tokens, row_number() OVER (ORDER BY began_at), NULL, phase
FROM tokens_by_phase WHERE session_id = '{id}'
"""
"""One query for all of them: each one costs a look at the whole ledger's views."""


def figures(
    store: Any, session_id: str, cells: list[Cell], events: list[LedgerEvent], *, questions: int
) -> list[Line]:
    """Return the figures of a session, those that its ledger can tell.

    Args:
        store: The ledger.
        session_id: The session.
        cells: What was run.
        events: All of its events.
        questions: How many questions were asked.
    """
    rows = _ask(store, _QUERY.format(id=session_id.replace("'", "''")))
    found = [_questions(questions, rows["facts"]), _think(rows["think"]), _again(rows["again"])]
    found += [_checked(rows["checked"]), _cells(cells), _phases(rows["phases"]), *_counted(events)]
    return [line for line in found if line is not None]


def _ask(store: Any, query: str) -> dict[str, list[_Row]]:
    """Return the rows of each view; nothing of a ledger that has none, or while another tool keeps it."""
    found: dict[str, list[_Row]] = {name: [] for name in ("think", "facts", "again", "checked", "phases")}
    with contextlib.suppress(StoreError, QueryError, NotHere, TypeError, NotImplementedError):
        for what, *row in store.sql(query).rows:
            found[str(what)].append(tuple(row))
    return found


def _questions(questions: int, facts: list[_Row]) -> Line | None:
    if not facts:
        return None
    words = statistics.median(int(row[0] or 0) for row in facts)
    code, attached = sum(bool(row[1]) for row in facts), sum(bool(row[2]) for row in facts)
    value = f"{several(questions, 'question')}, {words:g} words in the middle; {code} with code"
    value += f", {attached} with something attached" if attached else ""
    return Line("Questions", value, "How long a question is says nothing about how good it is.")


def _think(rows: list[_Row]) -> Line | None:
    seconds = [float(row[0]) for row in rows if row[0] is not None]
    if not seconds:
        return None
    value = f"{statistics.median(seconds):,.0f} s in the middle, {max(seconds):,.0f} s at the most"
    note = "Reading, coding, running and pauses are in it; it is no measure of thinking."
    return Line("Between a reply and the next question", value, note)


def _again(rows: list[_Row]) -> Line | None:
    if not rows:
        return None
    ordered = sorted((int(row[0]), int(row[1])) for row in rows)
    pairs = ", ".join(f"turn {turn} as turn {earlier}" for turn, earlier in ordered[:5])
    note = "The same words may ask another thing, and other words the same."
    return Line("Asked again in much the same words", f"{several(len(rows), 'time')}: {pairs}", note)


def _checked(rows: list[_Row]) -> Line | None:
    if not rows or not rows[0][1]:
        return None
    verified, replies = int(rows[0][0]), int(rows[0][1])
    note = "What was run need not have had to do with the reply; what was tried elsewhere is not seen."
    of = "1 reply" if replies == 1 else f"{replies:,} replies"
    return Line("Something was run before asking on", f"after {verified} of {of}", note)


def _cells(cells: list[Cell]) -> Line | None:
    ran = [cell for cell in cells if cell.kind != "magic"]
    if not ran:
        return None
    failed = sum(not cell.ok for cell in ran)
    return Line("Cells run", f"{len(ran):,}, {failed:,} ended with an error", "Errors are part of working.")


def _phases(rows: list[_Row]) -> Line | None:
    parts = [f"{int(row[0] or 0):,} {row[3]}" for row in sorted(rows, key=lambda row: int(row[1]))]
    note = "The phases are cut at the first cell and at the first check that passed in full."
    return Line("Tokens", ", ".join(parts), note) if len(parts) > 1 else None


def _counted(events: list[LedgerEvent]) -> list[Line]:
    found = []
    hints = [event for event in events if event.kind == "hint"]
    if hints:
        of = hints[-1].detail.get("of")
        found.append(Line("Hints taken", f"{len(hints)}" + (f" of {of}" if of else "")))
    refused = sum(event.kind == "refused" for event in events)
    if refused:
        found.append(Line("Turns not sent", f"{refused:,}", "No tokens or no time was left for them."))
    return found
