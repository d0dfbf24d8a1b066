"""Markdown to HTML: harmless, bounded in size, and given up in time, whatever the text repeats."""

from __future__ import annotations

import re

import pytest
from attacks import ATTACKS
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.show.markdown import MAX_CELLS, MAX_HTML
from ib_kernel.show.render import Growing, to_html
from ib_kernel.show.sanitize import LINK, STYLES, TAGS
from ib_kernel.text import plain

ATOMS = st.one_of(
    st.sampled_from([*"[]()<>!*_`~#|\\-+=>$&:\n\t ", "a", "![", "](", "```\n", "```sql\n"]),
    st.sampled_from(["    ", "- ", "> ", "1. "]),
    st.sampled_from(["|-", "|a", "[a]: b\n", "[a][b]", "**a", "_a", "<a@b>", "&amp;", "\\(", "$a", "$$\n"]),
    st.sampled_from(ATTACKS),
    st.text(max_size=5),
)
REPEATED = st.builds(
    lambda atoms, n, end: "".join(atoms) * n + end,
    st.lists(ATOMS, min_size=1, max_size=4),
    st.integers(1, 3_000),
    st.text(max_size=3),
)
TEXTS = st.lists(st.one_of(REPEATED, ATOMS), max_size=4).map(lambda parts: "".join(parts)[:30_000])

_TAG = re.compile(r"<(/?)([a-z0-9]+)((?: [a-z]+=\"[^\"]*\")*)>")


def assert_harmless(html: str, text: str) -> None:
    """Every `<` begins an element of the list with listed attributes, and elements are closed in order."""
    assert html.count("<") == len(_TAG.findall(html))
    open_tags: list[str] = []
    for closing, tag, attributes in _TAG.findall(html):
        assert tag in {*TAGS, "div"}
        if closing:
            assert open_tags.pop() == tag
        elif tag not in ("br", "hr"):
            open_tags.append(tag)
        for name, value in re.findall(r' ([a-z]+)="([^"]*)"', attributes):
            assert name in ("class", "href", "rel", "start", "style", "tabindex")
            assert name != "href" or LINK.match(value)
            assert name != "style" or value in STYLES
    assert not open_tags
    assert html.count("<td") <= MAX_CELLS
    assert len(html) <= 2 * MAX_HTML
    assert plain(html) == html


@fuzzed
@given(TEXTS)
def test_markdown_to_html(text: str) -> None:
    """A whole text."""
    assert_harmless(to_html(text), text)


@pytest.mark.slow
@fuzzed
@given(TEXTS, st.integers(1, 500))
def test_markdown_that_grows(text: str, size: int) -> None:
    """A reply that arrives in pieces, looked at a few times on the way."""
    growing = Growing()
    step = max(1, len(text) // 5, size)
    for start in range(0, len(text), step):
        growing.add(text[start : start + step])
        assert_harmless(growing.html(), text)
