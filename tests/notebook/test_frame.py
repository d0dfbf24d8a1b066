"""What stands around a reply: figures in groups, rails, notes; the same words as the plain text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.notebook.output.frame import foot, grouped, note, rails
from ib_kernel.values import Totals

LINE = "demo · turn 3 · 2,285 in + 190 out = 2,475 · 9,201 of 25,000 left · about 3 more turns · 22 min left"


def words(html: object) -> str:
    """Return what can be read, figures with commas."""
    text = re.sub(r"<[^>]+>", "", re.sub(r"</(?:span|div)><", " <", str(html)))
    return re.sub(r"\s+", " ", text.replace("\u202f", ",").replace("&amp;", "&")).strip()


def test_the_figures_are_those_of_the_line_and_what_is_left_stands_out() -> None:
    """Tokens of the turn, what is left, turns and time, in this order; bold are three figures."""
    html = str(foot(LINE))
    assert "Turn 3" in html
    assert "2,475 tokens: 2,285 in, 190 out" in words(html)
    assert re.findall(r"<strong>(.*?)</strong>", html) == ["9\u202f201", "3", "22 min"]
    assert html.index("2\u202f475") < html.index("9\u202f201") < html.index("22 min")


def test_the_rails_stand_before_what_is_left() -> None:
    """The eye reads them together."""
    html = str(foot(LINE, rails(Totals(25_000, 15_000, 799), 0.5)))
    assert html.index("190 out") < html.index("ib-rails") < html.index("9\u202f201")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="·"), min_size=1)))
def test_whatever_the_line_says_is_shown_as_text(parts: list[str]) -> None:
    """Marks of any kind, and names that look like HTML, stand there as they are."""
    line = " · ".join(part.strip() or "x" for part in parts)
    html = str(foot(f"demo · {line} · <b>left"))
    assert "<b>" not in html
    assert "&lt;b&gt;left" in html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1,234,567 of 9,000", "1\u202f234\u202f567 of 9\u202f000"),
        ("a, 123 and 12,34", "a, 123 and 12,34"),
        ("turns 1,2,300", "turns 1,2\u202f300"),
    ],
)
def test_only_groups_of_three_are_regrouped(text: str, shown: str) -> None:
    """A list of numbers stays a list."""
    assert grouped(text) == shown


def test_each_part_of_the_rails_has_its_share_and_its_texture() -> None:
    """Used is solid, held diagonal, in doubt upright, time on a rail of its own."""
    html = str(rails(Totals(1_000, 300, 100, held=200, in_doubt=100), 0.25))
    widths = dict(re.findall(r'class="ib-(\w+)" style="[^"]*width:([\d.]+)%', html))
    assert widths == {"used": "40.0", "held": "20.0", "in_doubt": "10.0", "gone": "25.0"}
    assert html.count("linear-gradient(135deg") == html.count("linear-gradient(90deg") == 1
    assert "ib-rail-time" not in str(rails(Totals(1_000), None))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_an_overdraft_stays_within_the_rail(budget: int, used: int, held: int, doubt: int) -> None:
    """The parts together are never longer than the rail."""
    html = str(rails(Totals(budget, used, 0, held=held, in_doubt=doubt), None))
    assert sum(float(w) for w in re.findall(r"width:([\d.]+)%", html)) <= 100.2


def test_a_note_begins_with_its_first_sentence_in_bold_and_one_glyph() -> None:
    """A glyph of the plain text is not doubled; kind is a glyph, an edge and the words."""
    html = str(note("⚠ One more turn fits. You have 3,807 tokens."))
    assert re.search(r"<strong>\u26a0\ufe0e One more turn fits\.</strong> You have 3\u202f807 tokens\.", html)
    assert "\u2716" in str(note("The connection broke.", "bad"))
    assert "; color" not in html.replace("background-color", "")


def test_no_style_names_a_colour_of_text() -> None:
    """What is saved is read in light and dark themes."""
    shown = "".join(map(str, (foot(LINE, rails(Totals(9, 1, 1), 0.5)), note("A. B."))))
    assert re.findall(r'[";]color:', shown) == []
