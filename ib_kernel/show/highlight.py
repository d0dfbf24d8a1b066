"""Code in colours, for the languages that interviews are held in, while that costs little.

Pygments has lexers that need quadratic time for some texts (C#'s: 75 s for 9,900 characters), and a regular
expression cannot be interrupted, only what stands between two matches. So only lexers are used of which no
step took more than 20 ms over 70 kinds of repeated characters (measured 2026-11), on code of bounded length,
and a deadline ends what is slow nevertheless.
"""

from __future__ import annotations

import functools
import time
from typing import Any

from htpy import span
from markupsafe import Markup, escape

from ib_kernel.show.sanitize import TOKEN_STYLES

MAX_CODE = 10_000
"""Code blocks of more characters are shown without colours."""

LEXERS = {
    **dict.fromkeys(("python", "py", "python3", "ipython"), "python"),
    **dict.fromkeys(("json", "jsonc"), "json"),
    **dict.fromkeys(("bash", "sh", "shell", "zsh"), "bash"),
    **dict.fromkeys(("javascript", "js", "jsx"), "javascript"),
    **dict.fromkeys(("typescript", "ts", "tsx"), "typescript"),
    **dict.fromkeys(("sql", "postgresql", "duckdb", "mysql", "sqlite"), "sql"),
    **dict.fromkeys(("go", "golang"), "go"),
    **dict.fromkeys(("yaml", "yml"), "yaml"),
    **{name: name for name in ("java", "rust", "c", "cpp", "css", "html", "toml", "diff", "kotlin", "ruby")},
}
"""Which Pygments lexer stands behind a fence's word; any other language is shown without colours."""


def highlight(code: str, language: str, until: float = float("inf")) -> Markup:
    """Return *code* as HTML, coloured when *language* is one of `LEXERS` and there is time.

    Args:
        code: Somebody else's text.
        language: The word behind the fence.
        until: The value of this thread's clock (`time.thread_time`) after which colours are given up.
    """
    name = LEXERS.get(language.lower())
    if name is None or len(code) > MAX_CODE:
        return escape(code)
    parts: list[Markup] = []
    for kind, value in _lexer(name).get_tokens(code):
        if time.thread_time() > until:
            return escape(code)
        name = _family(kind)
        parts.append(_token(name, value) if name else escape(value))
    return Markup("").join(parts)


@functools.cache
def _lexer(name: str) -> Any:
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]

    return get_lexer_by_name(name, stripnl=False, ensurenl=False)


def _token(name: str, value: str) -> Markup:
    return Markup(span(f".ib-{name}", style=TOKEN_STYLES[name] or None)[value])  # noqa: S704 - htpy has escaped it


@functools.cache
def _family(kind: Any) -> str:
    """Return which of `TOKEN_STYLES` a token belongs to, "" for none."""
    from pygments.token import (  # type: ignore[import-untyped]
        Comment,
        Keyword,
        Name,
        Number,
        String,
    )

    families = (
        (Comment, "comment"),
        (String, "string"),
        (Number, "number"),
        (Keyword, "keyword"),
        (Name.Function, "name"),
        (Name.Class, "name"),
        (Name.Builtin, "name"),
        (Name.Tag, "keyword"),
    )
    return next((name for family, name in families if kind in family), "")
