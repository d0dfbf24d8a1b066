"""The second belt: an allow-list for HTML that was rendered from untrusted Markdown.

The renderer already lets no HTML through (`ib_kernel.show.render`). This keeps what remains to a
short list of elements, to the inline styles that we write ourselves, and to links that a person may follow:
``http``, ``https`` and ``mailto``. Nothing that fetches, runs, submits or styles by class survives.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from markupsafe import Markup

from ib_kernel.text import without_controls

if TYPE_CHECKING:
    import nh3

TAGS = frozenset(
    [
        *("a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol"),
        *("p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
    ]
)
"""Elements that a reply may contain. No image, form, media, frame, style, script, SVG or MathML."""

NO_TYPESETTING = ".tex2jax_ignore.mathjax_ignore"
"""The classes that keep a typesetter out: names and replies are other people's text, TeX in it is shown."""

PRE_STYLE = "background-color:#f6f8fa;color:#1f2328;padding:8px"
"""Code keeps its own light background, so that its colours are readable in light and dark themes."""

PLAIN_STYLE = "margin:0;white-space:pre-wrap"
"""A text that is shown as it is, its lines kept and broken where the page ends."""

CODE_STYLE = "background-color:#f6f8fa;color:#1f2328"
"""Repeated on the code itself: a dark theme gives it a background of its own."""

TOKEN_STYLES = {
    "keyword": "color:#a0111f",
    "name": "color:#6639ba",
    "string": "color:#0a3069",
    "number": "color:#0550ae",
    "comment": "color:#59636e",
}
"""Colours of code, at least 4.5:1 against `PRE_STYLE` (WCAG 2.2, 1.4.3; computed 2026-11)."""

STYLES = frozenset(
    [
        PRE_STYLE,
        PLAIN_STYLE,
        CODE_STYLE,
        *TOKEN_STYLES.values(),
        "text-align:left",
        "text-align:right",
        "text-align:center",
    ]
)
"""Every value that a style attribute may have."""

LINK = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
"""What a link must begin with; anything else stays plain text."""


def clean(html_text: str) -> Markup:
    """Return *html_text* with everything removed that is not on the list; links get ``rel=noopener``.

    Control characters and bidi overrides go too, those written as character references included.
    """
    return Markup(without_controls(_cleaner().clean(without_controls(html_text))))  # noqa: S704 - this is what makes it safe


@functools.cache
def _cleaner() -> nh3.Cleaner:
    import nh3

    return nh3.Cleaner(
        tags=set(TAGS),
        clean_content_tags={"script", "style", "template", "noscript", "iframe", "svg", "math"},
        attributes={
            "a": {"href"},
            "ol": {"start"},
            "td": {"style"},
            "th": {"style"},
            "span": {"style"},
            "pre": {"style"},
            "code": {"style"},
        },
        attribute_filter=_attribute,
        strip_comments=True,
        link_rel="noopener noreferrer nofollow",
        generic_attribute_prefixes=set(),
        url_schemes={"http", "https", "mailto"},
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "style":
        return value if value in STYLES else None
    if name == "href":
        return value if LINK.match(value) else None
    if name == "start":
        return value if value.isascii() and value.isdigit() else None
    return value if name == "rel" else None
