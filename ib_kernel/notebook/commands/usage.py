"""`%usage` and `%%usage`: what was spent, as a summary, and as the answer to any SQL question."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from htpy import div

from ib_kernel.assessment.hiding import owner_reader
from ib_kernel.assessment.sight import opened_by
from ib_kernel.budget.access import actor
from ib_kernel.errors import NoSession, QueryError
from ib_kernel.evidence.origins import compute_for
from ib_kernel.notebook.output.show import Output, markup, show_lines
from ib_kernel.show.figures import cost_line, read_budget
from ib_kernel.values.judging import is_judges
from ib_kernel.values.table import table_html, table_text

if TYPE_CHECKING:
    from ib_kernel.notebook.engine import Engine
    from ib_kernel.values.results import QueryResult

ACCURACY = {
    "Counted against billed, per model (the view count_accuracy)": (
        "SELECT * FROM count_accuracy ORDER BY model"
    ),
    "Per construct of the prompts (the view count_accuracy_by_construct)": (
        "SELECT * FROM count_accuracy_by_construct ORDER BY n DESC, 1"
    ),
}
"""The tables of `%usage accuracy`: heading and query."""

SHOWN = 20
"""Sessions that the summary of all sessions lists."""


def summary(engine: Engine) -> Output:
    """Return what the session in use has spent; of all sessions when none is in use."""
    if engine.interview.session_id is None:
        return everything(engine)
    service = engine.service
    view = read_budget(service, engine.interview.session.session_id)
    s, t = view.session, view.totals
    rows = [
        ["input tokens", f"{t.input_tokens:,}"],
        ["output tokens", f"{t.output_tokens:,}"],
        ["together", f"{t.billed:,}"],
        ["charged", f"{t.used:,} of {t.token_budget:,}"],
        ["held", f"{t.held:,}"],
        ["in doubt", f"{t.in_doubt:,}"],
        ["left", f"{t.left:,}"],
        ["turns", f"{t.turns:,}"],
        ["calls", f"{t.calls:,}"],
        ["cost", view.cost],
    ]
    head = f"{s.candidate} · {s.model} · {s.status}"
    return _with_head(head, ["", "session in use"], rows)


def everything(engine: Engine) -> Output:
    """Return one line per session, newest first."""
    store = engine.service.store
    rows = []
    for s in store.sessions(limit=SHOWN):
        t = store.totals(s.session_id)
        rows.append(
            [
                s.session_id,
                _day(s.created_at),
                s.candidate,
                s.challenge,
                s.model,
                str(s.status),
                f"{t.turns:,}",
                f"{t.input_tokens:,}",
                f"{t.output_tokens:,}",
                f"{t.left:,} of {t.token_budget:,}",
                cost_line(s, t, engine.service),
            ]
        )
    if not rows:
        line = 'nothing was used yet. Type %interview start "Backend engineer" to begin.'
        return show_lines(line)
    headers = [
        *(
            "session",
            "began",
            "candidate",
            "challenge",
            "model",
            "state",
            "turns",
            "in",
            "out",
            "left",
            "cost",
        )
    ]
    return _with_head(f"the last {len(rows)} sessions" if len(rows) > 1 else "one session", headers, rows)


def query(engine: Engine, sql: str, host: str | None = None, *, unlock: bool = False) -> QueryResult:
    """Answer one SQL query over all calls, those settled a moment ago included.

    Args:
        engine: The notebook's engine.
        sql: The query.
        host: The address of a host to ask instead.
        unlock: Whether to ask for the passphrase of locked sessions, whose levels and notes are else left
            out.
    """
    if not sql.strip():
        raise QueryError(
            "there is no query; type it below the magic's line, such as "
            "SELECT model, sum(input_tokens), sum(output_tokens) FROM calls GROUP BY model"
        )
    if host is not None:
        from ib_kernel.remote.desk import Desk
        from ib_kernel.remote.usage import query as ask

        with Desk.at(host, engine.settings()) as desk:
            return ask(desk, sql)
    store = engine.service.store
    compute_for(sql, store, lambda session: engine.interview.challenge(session))
    return store.sql(sql, reader=owner_reader(actor(), _opened(engine) if unlock else ()))


def _opened(engine: Engine) -> set[str]:
    """Ask for a passphrase and return the locked sessions that it opens. `Locked` where it opens none."""
    from ib_kernel.notebook.commands.passphrase import ask_passphrase

    return opened_by(engine.service, ask_passphrase())


def accuracy(engine: Engine) -> Output:
    """Return counted against actual prompt tokens: a table of models, and one of constructs."""
    parts = [(head, engine.service.store.sql(query)) for head, query in ACCURACY.items()]
    parts = [(head, found) for head, found in parts if found.fetchall()]
    if not parts:
        return show_lines("no prompt that we counted has been billed by a service yet.")
    blocks = [div[div[head], markup(found._repr_html_())] for head, found in parts]
    return Output(div[blocks], "\n\n".join(f"{head}\n{found!r}" for head, found in parts))


def sessions(engine: Engine) -> Output:
    """Return the sessions of the ledger, newest first, with what to type next."""
    store = engine.service.store
    found = [session for session in store.sessions(limit=200) if not is_judges(session)][:50]
    if not found:
        raise NoSession('no session in this ledger yet. Type %interview start "Backend engineer" to begin.')
    current = engine.interview.session_id
    rows = [
        [
            ("▸ " if s.session_id == current else "  ") + s.session_id,
            _day(s.created_at),
            s.candidate,
            s.role,
            s.challenge,
            s.model,
            str(s.status),
            f"{(t := store.totals(s.session_id)).turns:,}",
            cost_line(s, t, engine.service),
        ]
        for s in found
    ]
    headers = ["session", "began", "candidate", "role", "challenge", "model", "state", "turns", "cost"]
    return _with_head("%interview use ID goes on with one of these", headers, rows)


def _day(at: float) -> str:
    """Return the local date and time, to the minute."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _with_head(head: str, headers: list[str], rows: list[list[str]]) -> Output:
    return Output(
        div[div[head], table_html(headers, rows, stacks=len(headers) > 3)],
        f"{head}\n{table_text(headers, rows)}",
    )
