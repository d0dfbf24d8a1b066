"""`BudgetWidget`: the live gauge of one session, with or without the interviewer's controls.

A saved or exported notebook has no live widget: its output also has the static gauge of the moment it was
displayed, and `show_live` (``%budget --live``) leaves that as an output of its own and keeps it up to date.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import traitlets as t
from htpy import details, summary

from ib_kernel.budget.lock import is_locked
from ib_kernel.errors import NoSession
from ib_kernel.notebook.output.gauge import facts, gauge_html, gauge_text, legend, title, warnings
from ib_kernel.notebook.output.show import as_divs, has_front_end, publish
from ib_kernel.notebook.widgets.modules import one_module, read
from ib_kernel.notebook.widgets.watching import Watching, find_service
from ib_kernel.show.figures import BudgetView, money_line, read_budget
from ib_kernel.show.spending import spent, tokens_per_turn

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.interview.interview import Interview
    from ib_kernel.values import Session

DRIFT_S = 2.0
"""The front end counts the time down itself and is corrected when it would be off by more than this."""


class BudgetWidget(Watching):
    """The live budget of one session; composes with ``HBox``, ``link`` and ``observe``.

    Importing this raises `ConfigError` when anywidget or ipywidgets is missing.

    Args:
        session: A `Session`, a session's id, or None for the one in use in this notebook.
        controls: Whether the interviewer's buttons are there: add tokens, add minutes, pause, resume, end,
            and write off what is in doubt; a locked session asks for its passphrase there.
        service: Whose ledger it follows; by default the notebook's own.
        interview: The interview whose session in use and ledger are meant, instead of the notebook's.
        live: Whether it follows the ledger; otherwise it reads it on `refresh` only.

    Attributes:
        budget, used, input_tokens, output_tokens, held, in_doubt, left: Tokens.
        turns: Turns so far.
        turns_left: How many more of the forecast size fit; None before the first.
        time_left_s, time_limit_s: Seconds, left at the last redraw and in all; None without a time limit.
        cost, money: As text; `money` is "" without a budget in money.
        status, level: The session's state; "normal", "warning", "critical" or "exhausted".
        history: ``[turn, input, output]`` of the last turns.
        doubts: ``[reservation id, line]`` of what is in doubt.
        notes: Lines that need attention.

    Raises:
        NoSession: No session was given and none is in use.
        UnknownSession: No session of that id is in the ledger.
    """

    _esm = one_module("budget")
    _css = read("ib.css") + read("widget.css")

    session_id = t.Unicode().tag(sync=True)
    title = t.Unicode().tag(sync=True)
    status = t.Unicode().tag(sync=True)
    level = t.Unicode("normal").tag(sync=True)
    budget = t.Int().tag(sync=True)
    used = t.Int().tag(sync=True)
    input_tokens = t.Int().tag(sync=True)
    output_tokens = t.Int().tag(sync=True)
    held = t.Int().tag(sync=True)
    in_doubt = t.Int().tag(sync=True)
    left = t.Int().tag(sync=True)
    turns = t.Int().tag(sync=True)
    turns_left = t.Int(None, allow_none=True).tag(sync=True)
    cost = t.Unicode().tag(sync=True)
    money = t.Unicode().tag(sync=True)
    time_left_s = t.Float(None, allow_none=True).tag(sync=True)
    time_limit_s = t.Float(None, allow_none=True).tag(sync=True)
    notes = t.List(t.Unicode()).tag(sync=True)
    history: t.List[Any] = t.List().tag(sync=True)
    doubts: t.List[Any] = t.List().tag(sync=True)
    locked = t.Bool(False).tag(sync=True)
    controls = t.Bool(False).tag(sync=True)

    def __init__(
        self,
        session: Session | str | None = None,
        *,
        controls: bool = False,
        service: TokenService | None = None,
        interview: Interview | None = None,
        live: bool = True,
        **kwargs: Any,
    ) -> None:
        self._service, interview = find_service(service, interview)
        if session is None:
            if interview is None:
                raise NoSession("BudgetWidget needs a session: pass one, or its session_id.")
            session = interview.session
        found = session if isinstance(session, str) else session.session_id
        self._view = read_budget(self._service, found)
        self._history_of = -1, -1
        self._turns: list[list[int]] = []
        self._seen_at = time.monotonic()
        self._static_id = ""
        super().__init__(session_id=found, controls=controls, **self._figures(), **kwargs)
        if live:
            self._follow()

    def _read(self) -> dict[str, Any]:
        self._view = read_budget(self._service, self.session_id)
        return self._figures()

    def _figures(self) -> dict[str, Any]:
        totals, session = self._view.totals, self._view.session
        if self._history_of != (totals.calls, totals.used):  # read again only when a call was settled
            self._turns = tokens_per_turn(spent(self._service, session.session_id))
            self._history_of = totals.calls, totals.used
        return {**view_traits(self._view), "history": self._turns}

    def _is_relevant(self, session_id: str) -> bool:
        return session_id == self.session_id

    def _target(self, message: Mapping[str, Any]) -> str | None:
        return self.session_id if self.controls else None

    def _worth_sending(self, changed: Mapping[str, Any]) -> bool:
        return bool(changed) and (set(changed) != {"time_left_s"} or self._drifted(changed["time_left_s"]))

    def _shown(self) -> None:
        self._seen_at = time.monotonic()
        if self._static_id:
            show_static(self._view, self._static_id, update=True)

    def _lost(self, error: Exception) -> None:
        self.notes = [*self.notes, f"no longer updated: {error}"]
        self.revision += 1

    def _drifted(self, left: float | None) -> bool:
        """Return True if the front end's own countdown would now be wrong."""
        if left is None or self.time_left_s is None:
            return True
        passed = time.monotonic() - self._seen_at if self.status == "active" else 0.0
        return abs(self.time_left_s - passed - left) > DRIFT_S

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle: Any = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        return self._saved(bundle, gauge_html(self._view), gauge_text(self._view))


def view_traits(view: BudgetView) -> dict[str, Any]:
    """Return what a gauge in the front end draws, by trait; `history` is read apart."""
    totals, session = view.totals, view.session
    return {
        "title": title(view),
        "status": str(session.status),
        "level": view.level,
        "budget": totals.token_budget,
        "used": totals.used,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "held": totals.held,
        "in_doubt": totals.in_doubt,
        "left": totals.left,
        "turns": totals.turns,
        "turns_left": view.turns_left,
        "cost": view.cost,
        "money": "" if totals.budget_nano_usd is None else money_line(totals),
        "time_left_s": session.time_left_s,
        "time_limit_s": session.time_limit_s,
        "notes": warnings(view),
        "doubts": [[r.reservation_id, f"{r.tokens:,} tokens of turn {r.call.turn}"] for r in view.doubts],
        "locked": is_locked(session),
    }


def show_live(interview: Interview, *, controls: bool = False) -> BudgetWidget | None:
    """Display a widget for the session in use, and under it a summary that a reopened notebook still shows.

    Args:
        interview: Whose session in use is followed.
        controls: Whether the interviewer's buttons are there.

    Returns:
        The widget; None in a terminal, where the gauge's text is shown once.
    """
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    if not has_front_end(get_ipython()):
        view = read_budget(interview.service, interview.session.session_id)
        publish(gauge_html(view), gauge_text(view))
        return None
    widget = BudgetWidget(interview=interview, controls=controls)
    display(widget)  # type: ignore[no-untyped-call]
    widget._static_id = f"ib-budget-{uuid.uuid4().hex}"
    show_static(widget._view, widget._static_id)
    return widget


def show_static(view: BudgetView, display_id: str, *, update: bool = False) -> None:
    """Publish the summary: the gauge's words, for readers whose page has no live widget."""
    short = " · ".join(words for _, words in legend(view))
    head = f"Saved with this notebook: {short}"
    lines = [title(view), *facts(view)]
    content = details[summary(style="cursor:pointer")[head], as_divs(lines)]
    publish(content, "\n".join([head, *lines]), display_id=display_id, update=update)
