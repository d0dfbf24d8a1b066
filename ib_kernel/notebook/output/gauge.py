"""`%budget`: where a session's tokens are, as HTML that needs no script and as text that says the same.

The bar's parts differ in pattern of their border and in the legend's words as well as in colour; untrusted
and exported notebooks lose nothing that the text does not say.
"""

from __future__ import annotations

from collections.abc import Sequence

from htpy import Node, div, span, strong
from markupsafe import Markup

from ib_kernel.notebook.output.show import Output, as_divs
from ib_kernel.show.figures import BudgetView, money_line, time_line
from ib_kernel.text import plain, several

WIDTH = 40
"""Characters of the bar in plain text."""

_COLOURS = {"used": "#1f6feb", "held": "#9a6700", "in doubt": "#a0111f", "left": "#d0d7de"}
_MARKS = {"used": "█", "held": "▓", "in doubt": "▒", "left": "░"}


def facts(view: BudgetView) -> list[str]:
    """Return the lines under the bar; together with the legend they say everything the bar shows."""
    t = view.totals
    turns = "not known before the first turn" if view.turns_left is None else f"about {view.turns_left:,}"
    lines = [
        f"used {t.used:,} = {t.input_tokens:,} in + {t.output_tokens:,} out, over {several(t.turns, 'turn')}",
        f"turns left at this rate: {turns} · cost: {view.cost} · {time_line(view.session)}",
    ]
    if t.budget_nano_usd is not None:
        lines.insert(1, money_line(t))
    if t.cached_tokens or t.reasoning_tokens:
        lines.insert(1, f"of these {t.cached_tokens:,} in were cached, {t.reasoning_tokens:,} out reasoning")
    return [*lines, *warnings(view)]


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
    block = "display:inline-block;box-sizing:border-box"
    bar = [
        div(style=f"{block};vertical-align:top;height:14px;width:{n / 10:.1f}%;{_fill(key)}")
        for key, n in _shares(view, 1000)
    ]
    words = [
        span(style="white-space:nowrap;margin-right:1em")[
            span(style=f"{block};width:10px;height:10px;{_fill(key)}"), " ", text
        ]
        for key, text in legend(view)
    ]
    content: Node = [
        div[strong[title(view)]],
        div(style="border:1px solid #767676;font-size:0;line-height:0;margin:4px 0")[bar],
        div[words],
        as_divs(facts(view)),
    ]
    return Markup(div(style="max-width:720px;line-height:1.5")[content])  # noqa: S704 - htpy has escaped it


def gauge(view: BudgetView) -> Output:
    """Return the gauge as HTML and as text."""
    return Output(gauge_html(view), gauge_text(view))


def _fill(key: str) -> str:
    edge = {"held": "4px dashed #ffffff", "in doubt": "4px dotted #ffffff"}.get(key, "0 solid #ffffff")
    return f"background-color:{_COLOURS[key]};border-top:{edge}"


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
