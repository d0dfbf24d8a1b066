"""Safe HTML for a page whose policy allows no inline style."""

from __future__ import annotations

import re

import pytest
from attacks import ATTACKS
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.show.classes import with_classes
from ib_kernel.show.render import to_html

CODE = "```python\ndef f(x):\n    return 'a' + 1  # why\n```\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n"


def test_every_style_has_become_a_class() -> None:
    """Code keeps its colours and tables their alignment, by names that the page's style sheet knows."""
    html = with_classes(to_html(CODE))
    assert "style=" not in html
    for name in ("t-keyword", "t-name", "t-string", "t-number", "t-comment", "r"):
        assert f'class="{name}"' in html
    assert '<pre class="code" tabindex="0">' in html
    assert '<div class="wide"><table>' in html
    assert "ib-" not in html


def test_words_that_look_like_a_style_stay_words() -> None:
    """What somebody wrote is text, whatever it looks like."""
    assert 'style="color:#a0111f"' in with_classes(to_html('he wrote style="color:#a0111f" there'))


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_gets_no_style_either(attack: str) -> None:
    """No tag has a style attribute afterwards."""
    assert not re.search(r"<[^>]*\sstyle=", with_classes(to_html(attack)))


@given(st.text(max_size=300))
def test_nothing_but_tags_is_changed(text: str) -> None:
    """Without its tags, the HTML is the same before and after."""
    html = to_html(text)
    assert re.sub(r"<[^>]*>", "", with_classes(html)) == re.sub(r"<[^>]*>", "", html)
