"""`%budget`: where a session's tokens and its time are, as HTML that needs no script and as text.

The rails' parts differ in texture and in the legend's words as well as in colour; untrusted and exported
notebooks lose nothing that the text does not say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from htpy import Node, div, span, strong
from markupsafe import Markup

from ib_kernel.notebook.output.frame import QUIET, grouped, mark, note, rails
from ib_kernel.notebook.output.show import Output
from ib_kernel.show.figures import BudgetView, money_line, time_line
from ib_kernel.text import plain, several

if TYPE_CHECKING:
    from ib_kernel.values import Session

WIDTH = 40
"""Characters of the bar in plain text."""

_USED = re.compile(r"^used [\d,]+ = ")  # the legend says it
_MARKS = {"used": "█", "held": "▓", "in doubt": "▒", "left": "░"}


def facts(view: BudgetView) -> list[str]:
    """Return the lines under the bar; together with the legend they say everything the bar shows."""
    turns = "not known before the first turn" if view.turns_left is None else f"about {view.turns_left:,}"
    left = f"turns left at this rate: {turns} · {time_line(view.session)}"
    return [*details(view), left, *warnings(view)]


def details(view: BudgetView) -> list[str]:
    """Return what was used, for what, and what it has cost, and what the next turn would take."""
    t, following = view.totals, view.next_turn
    split = f"{t.input_tokens:,} in + {t.output_tokens:,} out, over {several(t.turns, 'turn')}"
    lines = [f"used {t.used:,} = {split} · cost: {view.cost}"]
    if view.session.charge == "new":
        lines = [f"charged {t.used:,}, what turns added · billed {t.billed:,} = {split} · cost: {view.cost}"]
    if t.billed_ceiling is not None:
        rest = max(0, t.billed_ceiling - t.billed - t.held_billed)
        lines.append(f"of {t.billed_ceiling:,} tokens that may be billed, {rest:,} are left")
    if following is not None:
        sent = following.prompt - following.new
        lines.append(f"next turn: {sent:,} in + your text + about {following.reply:,} out")
    if t.cached_tokens or t.reasoning_tokens:
        lines.append(f"of these {t.cached_tokens:,} in were cached, {t.reasoning_tokens:,} out reasoning")
    if t.budget_nano_usd is not None:
        lines.append(money_line(t))
    return lines


def time_gone(session: Session) -> float | None:
    """Return the share of the time that has gone, from 0 to 1; None without a limit."""
    if session.time_left_s is None or not session.time_limit_s:
        return None
    return min(1.0, max(0.0, 1 - session.time_left_s / session.time_limit_s))


def warnings(view: BudgetView) -> list[str]:
    """Return what needs attention: the warning level, an overdraft, the state, reservations in doubt."""
    t, status, lines = view.totals, str(view.session.status), []
    if view.level == "exhausted":
        lines.append("⚠ the budget is exhausted; %budget N raises the total")
    elif view.level != "normal":
        lines.append(f"⚠ {1 - t.left / t.token_budget:.0%} of the budget is used or held")
    if t.overdraft:
        lines.append(f"⚠ overdraft: {t.overdraft:,} tokens beyond the budget")
    how = {
        "paused": "; %interview resume goes on",
        "expired": "; %interview resume --minutes N gives more time",
    }
    if status != "active":
        lines.append(f"the session is {status}{how.get(status, '')}")
    for r in view.doubts:
        why = f" ({plain(r.doubt_reason)})" if r.doubt_reason else ""
        lines.append(f"in doubt: {r.tokens:,} tokens of turn {r.call.turn}, {r.reservation_id}{why}")
    if view.doubts:
        lines.append("%budget resolve ID --settle IN+OUT charges what was billed; --write-off frees it")
    return lines


def title(view: BudgetView) -> str:
    """Return the headline: whose session, its role, its state."""
    s = view.session
    who = " · ".join(part for part in (s.candidate, s.role, s.model) if part)
    return f"Budget · {plain(who)} · {s.status}"


def legend(view: BudgetView) -> list[tuple[str, str]]:
    """Return the bar's parts with their figures in words; held and in doubt only when there are any."""
    t = view.totals
    shown = {k: n for k, n in view.parts.items() if n or k in ("used", "left")}
    return [
        (
            key,
            f"{key} {n:,}" + (f" of {t.token_budget:,} ({view.percent_used:.0f} %)" if key == "used" else ""),
        )
        for key, n in shown.items()
    ]


def gauge_text(view: BudgetView) -> str:
    """Return the gauge for a terminal."""
    bar = "".join(_MARKS[key] * n for key, n in _shares(view, WIDTH))
    words = " · ".join(f"{_MARKS[key]} {words}" for key, words in legend(view))
    return "\n".join([title(view), bar, words, *facts(view)])


def gauge_html(view: BudgetView) -> Markup:
    """Return the gauge for a front end: inline styles only, readable without them."""
    t, s = view.totals, view.session
    who = " · ".join(part for part in (s.candidate, s.role, s.model, str(s.status)) if part)
    content: Node = [
        div[strong["Budget"], f" · {plain(who)}"],
        rails(t, time_gone(s)),
        _left(view),
        div(style="margin-top:4px;font-size:12px;line-height:1.6")[
            [
                span(style="white-space:nowrap;margin-right:14px")[
                    mark(key.replace(" ", "_")), span(style=QUIET)[grouped(text)]
                ]
                for key, text in legend(view)
            ],
            [div(style=QUIET)[grouped(_USED.sub("", line))] for line in details(view)],
        ],
        [note(line) for line in warnings(view)],
    ]
    return Markup(div(".ib-budget", style="max-width:720px;line-height:1.5")[content])  # noqa: S704 - htpy has escaped it


def _left(view: BudgetView) -> Node:
    """Return the line that matters most: tokens, turns and time that are left."""
    t, time_left = view.totals, time_line(view.session)
    figure, _, unit = time_left.rpartition(" ") if time_left.endswith(" left") else ("", "", time_left)
    turns: Node = None
    if view.turns_left is not None:
        word = " turn" if view.turns_left == 1 else " turns"
        turns = [" · about ", strong[grouped(f"{view.turns_left:,}")], word]
    return div[
        strong[grouped(f"{t.left:,}")], grouped(f" of {t.token_budget:,} tokens left"), turns,
        " · ", strong[figure] if figure else None, f" {unit}" if figure else unit,
    ]  # fmt: skip


def gauge(view: BudgetView) -> Output:
    """Return the gauge as HTML and as text."""
    return Output(gauge_html(view), gauge_text(view))


def _shares(view: BudgetView, width: int) -> Sequence[tuple[str, int]]:
    """Share *width* out among the parts; whatever is not zero stays visible, and the sum is *width*."""
    parts = {key: n for key, n in view.parts.items() if n}
    total = sum(parts.values())
    if not total:
        return [("left", width)]
    shares = {key: max(1, width * n // total) for key, n in parts.items()}
    largest = max(shares, key=lambda key: shares[key])
    shares[largest] += width - sum(shares.values())
    return list(shares.items())
