"""The second belt: an allow-list for HTML that was rendered from untrusted Markdown.

The renderer already lets no HTML through (`ib_kernel.show.render`). This keeps what remains to a
short list of elements, to the inline styles and class names that we write ourselves, and to links that a
person may follow: ``http``, ``https`` and ``mailto``. Nothing that fetches, runs or submits survives.

A style names no colour of a text and no opaque ground: what is saved is read in light and dark themes, on
paper, and where no style sheet is. Colours come from the style sheets of the JupyterLab extension and of the
host's page, by the class names.
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
        *("div", "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
    ]
)
"""Elements that a reply may contain. No image, form, media, frame, style, script, SVG or MathML."""

NO_TYPESETTING = ".tex2jax_ignore.mathjax_ignore"
"""The classes that keep a typesetter out: names and replies are other people's text, TeX in it is shown."""

LINE = "rgba(127,127,127,0.35)"
"""A line that can be seen on light and dark grounds."""

PRE_STYLE = (
    f"margin:8px 0;padding:10px 12px;border:1px solid {LINE};border-radius:4px;"
    "background-color:rgba(127,127,127,0.1);overflow-x:auto;white-space:pre;font-size:13px;line-height:1.4"
)
"""Code: a ground that follows the theme, and lines that scroll sideways and never wrap."""

PLAIN_STYLE = "margin:0;white-space:pre-wrap"
"""A text that is shown as it is, its lines kept and broken where the page ends."""

CODE_STYLE = "background-color:transparent;padding:0;white-space:pre"
"""The code itself: a theme gives it a ground of its own, and lets it wrap."""

NAME_STYLE = "white-space:nowrap"
"""A short piece of code within a line: a name is not broken at its hyphens."""

TOKEN_STYLES = {
    "keyword": "font-weight:bold",
    "name": "",
    "string": "",
    "number": "",
    "comment": "font-style:italic;opacity:0.78",
}
"""How code's tokens look without a style sheet; with one, ``ib-keyword`` … have the theme's colours."""

WIDE_STYLE = "overflow-x:auto;margin:8px 0 12px"
"""Around a table: one that is wider than the page scrolls sideways."""

TABLE_STYLE = "border-collapse:collapse;margin:0"

CELL_STYLES = {
    (
        tag,
        align,
    ): f"text-align:{align};vertical-align:top;padding:4px 16px 4px 8px;border-bottom:1px solid {line}"
    for tag, line in (("th", "rgba(127,127,127,0.6)"), ("td", LINE))
    for align in ("left", "right", "center")
}
"""The style of a cell by its tag and alignment; JupyterLab's own alignment is to the right."""

STYLES = frozenset(
    [
        PRE_STYLE,
        PLAIN_STYLE,
        CODE_STYLE,
        NAME_STYLE,
        WIDE_STYLE,
        TABLE_STYLE,
        *filter(None, TOKEN_STYLES.values()),
        *CELL_STYLES.values(),
    ]
)
"""Every value that a style attribute may have."""

CLASSES = frozenset(["ib-code", "ib-wide", *(f"ib-{name}" for name in TOKEN_STYLES)])
"""Every value that a class attribute may have: what `ib_kernel.show` itself puts around and into code."""

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
            "table": {"style"},
            "div": {"class", "style"},
            "span": {"class", "style"},
            "pre": {"class", "style", "tabindex"},
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
    if name == "class":
        return value if value in CLASSES else None
    if name == "tabindex":
        return value if value == "0" else None
    if name == "href":
        return value if LINK.match(value) else None
    if name == "start":
        return value if value.isascii() and value.isdigit() else None
    return value if name == "rel" else None
