"""The gauge says in words everything that its bar shows."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.budget.forecast import average_turns_left
from ib_kernel.budget.service import TokenService, warning_level
from ib_kernel.notebook.output.gauge import gauge_html, gauge_text
from ib_kernel.settings import Settings
from ib_kernel.show.figures import BudgetView, cost_line, time_line
from ib_kernel.text import format_usd
from ib_kernel.values import CallStart, Reservation, Session, Status, Totals

SESSION = Session(
    session_id="s1",
    candidate="Ada <b>",
    token_budget=20_000,
    model="gpt-5.4-mini",
    role="Backend engineer",
    status=Status.ACTIVE,
)


def view(totals: Totals, session: Session = SESSION, **changes) -> BudgetView:
    found = BudgetView(
        session,
        totals,
        warning_level(totals, (0.75, 0.9)),
        average_turns_left(totals),
        cost_line(session, totals, TokenService(Settings())),
    )
    return replace(found, **changes)


def words(html: str) -> str:
    text = re.sub(r"<[^>]+>", " ", html).replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">")
    text = re.sub(r"(?<=\d)\u202f(?=\d)", ",", text).replace("\ufe0e", "")
    return re.sub(r" (?=[.,])", "", " ".join(text.split()))


def test_the_gauge_says_every_figure_in_html_and_in_text():
    """Used with its split, held, in doubt, left, turns, cost and time stand there as words."""
    totals = Totals(20_000, 3_000, 1_000, held=500, in_doubt=250, calls=4, turns=4, cost_nano_usd=1_240_000)
    session = replace(SESSION, time_limit_s=2_700.0, time_left_s=2_601.0)
    doubt = Reservation("r9", "s1", 250, 0.0, in_doubt=True, doubt_reason="TimedOut", call=CallStart(turn=5))
    shown = view(totals, session, doubts=(doubt,))
    for text in (gauge_text(shown), words(gauge_html(shown))):
        for part in (
            "used 4,000 of 20,000 (20 %)",
            "3,000 in + 1,000 out",
            "over 4 turns",
            "held 500",
            "in doubt 250",
            "left 15,250",
            "about 15",
            "$0.00124",
            "44 min left",
            "in doubt: 250 tokens of turn 5, r9 (TimedOut)",
            "active",
        ):
            assert part in text, part


def test_the_gauge_holds_no_script_colour_of_text_or_foreign_address():
    """It is right untrusted, exported, offline, in light and dark; names are escaped."""
    html = gauge_html(view(Totals(20_000, 3_000, 1_000, held=500, in_doubt=10)))
    assert not re.search(r"<script|id=|url\(|http|<b>|[\";]color:", html)
    assert {
        name.split("-")[0] for names in re.findall(r'class="([^"]*)"', html) for name in names.split()
    } == {"ib"}
    assert "Ada &lt;b&gt;" in html


@pytest.mark.parametrize(
    ("totals", "line"),
    [
        (Totals(100, 50, 30), "⚠ 80% of the budget is used or held"),
        (Totals(100, 60, 35), "⚠ 95% of the budget is used or held"),
        (Totals(100, 60, 40), "⚠ the budget is exhausted"),
        (Totals(100, 90, 40), "⚠ overdraft: 30 tokens beyond the budget"),
        (Totals(0), "⚠ the budget is exhausted"),
    ],
)
def test_warnings_are_words(totals, line):
    """Each level is named in the text, not by colour alone."""
    assert line in gauge_text(view(totals))
    assert line in words(gauge_html(view(totals)))


@pytest.mark.parametrize("status", [Status.PAUSED, Status.EXPIRED, Status.COMPLETED])
def test_a_session_that_is_not_active_says_so(status):
    """The state is in the headline and in a line of its own."""
    assert f"the session is {status}" in gauge_text(view(Totals(100), replace(SESSION, status=status)))


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_the_bar_is_never_too_long_and_shows_whatever_is_not_zero(budget, used_in, used_out, held, doubt):
    """40 characters whatever the figures; a part that is not zero is visible."""
    totals = Totals(budget, used_in, used_out, held=held, in_doubt=doubt)
    bar = gauge_text(view(totals)).splitlines()[1]
    assert len(bar) == 40
    for mark, n in (("█", totals.used), ("▓", held), ("▒", doubt)):
        assert (mark in bar) == bool(n)
    widths = [float(w) for w in re.findall(r"width:([\d.]+)%", gauge_html(view(totals)))]
    assert len(widths) == sum(map(bool, (totals.used, held, doubt)))
    assert sum(widths) <= 100.2


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (1_240_000, "$0.00124"),
        (120_000_000, "$0.12"),
        (2_000_000_000, "$2.00"),
    ],
)
def test_small_sums_keep_their_digits(nano, text):
    """A nano-dollar is not shown as nothing."""
    assert format_usd(nano) == text


def test_cost_without_a_price_is_not_zero():
    """No price is said in words; calls without one are counted beside a sum."""
    assert (
        cost_line(SESSION, Totals(10, calls=1, unpriced_calls=1), TokenService(Settings()))
        == "no price known"
    )
    assert (
        cost_line(replace(SESSION, model="demo"), Totals(10, calls=1), TokenService(Settings()))
        == "nothing (scripted demo)"
    )
    mixed = Totals(10, calls=3, cost_nano_usd=10**9, unpriced_calls=1)
    assert cost_line(SESSION, mixed, TokenService(Settings())) == "$1.00 + 1 call without a price"


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (None, "no time limit"),
        (0.0, "time is up"),
        (0.4, "1 s left"),
        (60.0, "60 s left"),
        (61.0, "2 min left"),
    ],
)
def test_time_left_is_rounded_up(left, text):
    """Whole minutes, seconds in the last one."""
    assert time_line(replace(SESSION, time_limit_s=100.0, time_left_s=left)) == text
