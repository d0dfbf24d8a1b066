"""The same safe HTML for a page whose policy allows no inline style: each style becomes a class.

What `sanitize.clean` lets through has styles from a closed list, so each has a name. In cleaned HTML a ``<``
is a tag's: text has none.
"""

from __future__ import annotations

import re

from markupsafe import Markup

from ib_kernel.show.sanitize import (
    CELL_STYLES,
    CODE_STYLE,
    NAME_STYLE,
    PLAIN_STYLE,
    PRE_STYLE,
    TABLE_STYLE,
    TOKEN_STYLES,
    WIDE_STYLE,
)

CLASSES = {
    PRE_STYLE: "code",
    PLAIN_STYLE: "plain",
    CODE_STYLE: "",
    NAME_STYLE: "",
    WIDE_STYLE: "wide",
    TABLE_STYLE: "",
    **{style: {"right": "r", "center": "mid"}.get(align, "") for (_, align), style in CELL_STYLES.items()},
}
"""The page's class that stands for each style; "" for what is the page's own rule anyway."""

_TAG = re.compile(r'<(\w+)((?: [\w-]+="[^"]*")+)>')
_ATTRIBUTE = re.compile(r' ([\w-]+)="([^"]*)"')


def with_classes(html: Markup) -> Markup:
    """Return HTML that has passed `clean`, with the page's class names instead of inline styles and ours."""

    def named(found: re.Match[str]) -> str:
        attributes = dict(_ATTRIBUTE.findall(found[2]))
        style, own = attributes.pop("style", None), attributes.get("class", "")
        token = own.removeprefix("ib-")
        if token in TOKEN_STYLES:
            attributes["class"] = f"t-{token}"
        elif style is not None:
            attributes["class"] = CLASSES.get(style, "")
        return f"<{found[1]}" + "".join(f' {k}="{v}"' for k, v in attributes.items() if v) + ">"

    return Markup(_TAG.sub(named, html))  # noqa: S704 - as safe as it was
