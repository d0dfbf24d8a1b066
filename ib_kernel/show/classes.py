"""The same safe HTML for a page whose policy allows no inline style: each style becomes a class.

What `sanitize.clean` lets through has styles from a closed list, so each has a name. In cleaned HTML a ``<``
is a tag's: text has none.
"""

from __future__ import annotations

import re

from markupsafe import Markup

from ib_kernel.show.sanitize import CODE_STYLE, PLAIN_STYLE, PRE_STYLE, TOKEN_STYLES

CLASSES = {
    PRE_STYLE: "code",
    PLAIN_STYLE: "plain",
    CODE_STYLE: "",
    **{style: f"t-{name}" for name, style in TOKEN_STYLES.items()},
    "text-align:left": "",
    "text-align:right": "r",
    "text-align:center": "mid",
}
"""The class that stands for each style; "" for what is the page's own rule anyway."""

_STYLED = re.compile(r'<(\w+)((?: [\w-]+="[^"]*")*?) style="([^"]*)"')


def with_classes(html: Markup) -> Markup:
    """Return HTML that has passed `clean`, with classes instead of inline styles."""

    def named(found: re.Match[str]) -> str:
        name = CLASSES.get(found[3], "")
        return f"<{found[1]}{found[2]}" + (f' class="{name}"' if name else "")

    return Markup(_STYLED.sub(named, html))  # noqa: S704 - as safe as it was
