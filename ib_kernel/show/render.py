"""Markdown from a model or a candidate, as HTML that does nothing but show itself, in bounded time.

HTML in the Markdown is text, images become links (nothing is fetched), only http, https and mailto links
are links, code is highlighted with inline colours, and the result passes the allow-list of
`ib_kernel.show.sanitize`. A text that costs too much is shown as it is, without markup.
Mathematics is not typeset: the front end's typesetter is kept out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from htpy import Node, div, pre
from markupsafe import Markup

from ib_kernel.show.markdown import MAX_CPU_S, TooMuch, parse, render
from ib_kernel.show.sanitize import NO_TYPESETTING, PLAIN_STYLE
from ib_kernel.text import cut, plain

if TYPE_CHECKING:
    from markdown_it.token import Token

MAX_SHOWN = 1_000_000
"""Characters of a text that are shown; the transcript's file has all of it."""


def to_html(text: str, cpu_s: float = MAX_CPU_S) -> Markup:
    """Return *text* (untrusted Markdown) as safe HTML in one block.

    Args:
        text: What somebody has written.
        cpu_s: Seconds of this thread's time it may cost; past them it is shown as plain text.
    """
    return _block(_render(plain(text), {}, cpu_s))


def to_html_each(texts: Sequence[str], cpu_s: float = 2 * MAX_CPU_S) -> list[Markup]:
    """Return `to_html` of each text; *cpu_s* is what they may cost together, the last ones first."""
    shown: list[Markup] = []
    until = time.thread_time() + cpu_s
    for text in reversed(texts):
        shown.append(to_html(text, min(MAX_CPU_S, until - time.thread_time())))
    return shown[::-1]


def nested(html_text: Markup, levels: int) -> Markup:
    """Return HTML that `to_html` made with its headings *levels* deeper, to stand under headings of ours."""
    return Markup(  # noqa: S704 - from the sanitiser; text cannot contain an unescaped tag
        re.sub(r"<(/?)h([1-6])>", lambda m: f"<{m[1]}h{min(6, int(m[2]) + levels)}>", html_text)
    )


def without_title(text: str, title: str) -> str:
    """Return a task's Markdown without a first heading that says what stands above it anyway."""
    first, _, rest = text.lstrip().partition("\n")
    return rest if first.lstrip("# ").strip() == title.strip() else text


class Growing:
    """Renders a text that grows: finished blocks once, only the open one again.

    The final rendering is `to_html` of the whole, so a link that is defined later is right at the end.
    """

    def __init__(self) -> None:
        self._done: list[Markup] = []
        self._done_text: list[str] = []
        self._open = ""
        self._env: dict[str, Any] = {}

    def add(self, piece: str) -> None:
        """Append *piece* to the text."""
        self._open += piece

    def html(self) -> Markup:
        """Return the text so far as safe HTML."""
        text = plain(self._open)
        try:
            tokens = parse(text, self._env)
            start = _last_block_line(tokens)
            if start:
                lines = text.split("\n")
                head, self._open = "\n".join(lines[:start]), "\n".join(lines[start:])
                self._done.append(_render(head, self._env, MAX_CPU_S))
                self._done_text.append(f"{head}\n")
                return self.html()
            end = render(tokens, self._env)
        except TooMuch:
            end = _as_it_is(text)
        return _block([*self._done, end])

    def text(self) -> str:
        """Return what `html` shows as plain text."""
        return plain("".join([*self._done_text, self._open]))

    def finished(self, at_least: int) -> tuple[Markup, str] | None:
        """Hand over the finished blocks as HTML and text, once they are *at_least* characters of HTML.

        They are no longer part of `html` and `text` then.
        """
        if sum(map(len, self._done)) < at_least:
            return None
        shown = _block(self._done), plain("".join(self._done_text))
        self._done, self._done_text = [], []
        return shown


def _block(content: Node) -> Markup:
    return Markup(div(NO_TYPESETTING)[content])  # noqa: S704 - htpy has escaped what is text


def _render(text: str, env: dict[str, Any], cpu_s: float) -> Markup:
    try:
        return render(parse(text, env, cpu_s), env)
    except TooMuch:
        return _as_it_is(text)


def _as_it_is(text: str) -> Markup:
    return Markup(pre(style=PLAIN_STYLE)[cut(text, MAX_SHOWN)])  # noqa: S704


def _last_block_line(tokens: Iterable[Token]) -> int:
    starts = [t.map[0] for t in tokens if t.level == 0 and t.map and t.nesting >= 0]
    return starts[-1] if len(starts) > 1 else 0
