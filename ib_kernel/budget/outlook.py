"""How far a session's budget goes: what its next turns are like, and what there is to spend on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ib_kernel.budget import forecast
from ib_kernel.budget.access import LedgerAccess
from ib_kernel.budget.counting import Counting
from ib_kernel.budget.forecast import RECENT, Means, Pace
from ib_kernel.budget.turn_views import TurnViews
from ib_kernel.errors import UnknownModel
from ib_kernel.models.rows import ModelInfo
from ib_kernel.values import Message, Session, Totals
from ib_kernel.values.turn_view import TurnView

FIRST_PROMPT = "first_prompt"
"""The key of `Session.meta` under which a session's start keeps the tokens of its prompt and task."""


class Outlook:
    """Forecasts for the sessions of one ledger. Unknown sessions raise `UnknownSession`."""

    def __init__(self, access: LedgerAccess, counting: Counting, views: TurnViews) -> None:
        self._access, self._counting, self._views = access, counting, views
        self._last: tuple[tuple[str, str, Totals], Pace | None] | None = None

    def estimate_turns_left(self, session_id: str) -> int | None:
        """Return how many more turns are admitted, when they go on as they have.

        Args:
            session_id: The session.

        Returns:
            None where nothing is known of its turns: before the first of a session that no `Interview` has
            started. A ledger that cannot list a session's calls cheaply gives turns of the average size.

        Raises:
            UnknownSession: There is no such session.
        """
        standing = self._views.standing(session_id)
        return self.turns_left(standing.session, standing.totals)

    def turns_left(
        self,
        session: Session,
        totals: Totals,
        view: TurnView | None = None,
        model: ModelInfo | None = None,
    ) -> int | None:
        """Return the same as `estimate_turns_left` for a session that has just been read.

        Args:
            session: The session.
            totals: Its sums.
            view: What its turns have said and used, where that is known; None: it is read if it is needed.
            model: As in `means`.
        """
        if getattr(self._access.store, "spent", None) is None and totals.turns:
            return forecast.average_turns_left(totals)
        pace = self.pace(session, totals, view)
        return None if pace is None else forecast.turns_left(pace, self.means(session, totals, model))

    def pace(self, session: Session, totals: Totals, view: TurnView | None = None) -> Pace | None:
        """Return what the session's next turns are like; None where nothing is known of them.

        Args:
            session: The session.
            totals: Its sums: while they stay, so does the pace, which the end of a turn has told already.
            view: As in `turns_left`.
        """
        state = (session.session_id, session.model, totals)
        last = self._last
        if last is None or last[0] != state:
            last = self._last = state, self._paced(session, view)
        return last[1]

    def _paced(self, session: Session, view: TurnView | None) -> Pace | None:
        known = self._views.spent(session.session_id) if view is None else view.spent
        history: Sequence[Message] = ()
        if known:
            history = self._access.store.history(session.session_id) if view is None else view.history
        pace = forecast.pace_of(known, self._said(session, history))
        first = session.meta.get(FIRST_PROMPT)
        if pace is None and isinstance(first, int):
            return forecast.first_pace(first, self._access.settings.reply_tokens)
        return pace

    def means(self, session: Session, totals: Totals, model: ModelInfo | None = None) -> Means:
        """Return what there is to spend on the session's next turns.

        Args:
            session: The session.
            totals: Its sums.
            model: The limits of the model that was asked, which spares looking them up; None: they are.
        """
        settings, bills = self._access.settings, [_money_as_tokens(totals), _ceiling_left(totals)]
        return Means(
            totals.left,
            least_reply=min(settings.min_reply_tokens, settings.reply_tokens),
            new=session.charge == "new",
            bill_left=min((bill for bill in bills if bill is not None), default=None),
            room=self._room(session, model),
        )

    def _room(self, session: Session, model: ModelInfo | None) -> int | None:
        """Return what the model's window leaves for a prompt beside a whole reply."""
        settings = self._access.settings
        if model is None or model.name != session.model:
            try:
                model = self._access.plugins.model(session.model, settings, session.client)
            except UnknownModel:
                return None
        room = model.context_window - min(settings.reply_tokens, model.max_output)
        return room if model.max_input is None else min(room, model.max_input)

    def _said(self, session: Session, history: Sequence[Message]) -> list[tuple[int, int]]:
        """Return the tokens of each turn's question and reply: of the first turn, and of the last ones."""
        turns: dict[int, list[Message]] = {}
        for message in history:
            if message.role in ("user", "assistant") and message.content:
                turns.setdefault(message.turn, []).append(message)
        numbers = sorted(turns)
        looked_at = dict.fromkeys([*numbers[:1], *numbers[-RECENT:]])
        return [self._tokens(session, turns[number]) for number in looked_at]

    def _tokens(self, session: Session, messages: Sequence[Message]) -> tuple[int, int]:
        def of(role: str) -> int:
            said = [m.content for m in messages if m.role == role]
            return sum(self._counting.count_tokens(text, session.model) for text in said)

        return of("user"), of("assistant")


def _ceiling_left(totals: Totals) -> float | None:
    """Return what may still be billed where the session limits that."""
    if totals.billed_ceiling is None:
        return None
    return float(max(0, totals.billed_ceiling - totals.billed - totals.held_billed))


def _money_as_tokens(totals: Totals) -> float | None:
    """Return the tokens that what is left of a budget in money pays for, at the session's price so far."""
    cost: Any = totals.cost_nano_usd
    if totals.budget_nano_usd is None or not cost:
        return None
    left = max(0, totals.budget_nano_usd - cost - totals.held_nano_usd)
    return float(left * (totals.input_tokens + totals.output_tokens) / cost)
