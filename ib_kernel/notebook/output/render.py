"""Markdown from a model, as HTML that does nothing but show itself.

HTML in the Markdown is text, images become links (nothing is fetched), only http, https and mailto links
are links, code is highlighted with inline colours, and the result passes the allow-list of
`ib_kernel.notebook.output.sanitize`. Mathematics is not typeset: the front end's typesetter is kept out.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.notebook.output.sanitize import CODE_STYLE, LINK, PRE_STYLE, TOKEN_STYLES, clean
from ib_kernel.notebook.output.show import plain

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_HIGHLIGHT = 20_000
"""Code blocks of more characters are shown without colours."""

MAX_NESTING = 20
"""Blocks nested deeper than this are shown as text (markdown-it's own guard)."""

_OPEN = '<div class="tex2jax_ignore mathjax_ignore">'
_TEX = re.compile(r"\\(?=(?:href|url|require|unicode|class|cssId|style|data|html|includegraphics)\b)")
_LANGUAGE = re.compile(r"[\w+#.-]{1,30}", re.ASCII)


def to_html(text: str) -> str:
    """Return *text* (untrusted Markdown) as safe HTML in one block."""
    return f"{_OPEN}{_render(text, {})}</div>"


class Growing:
    """Renders a text that grows: finished blocks once, only the open one again.

    The final rendering is `to_html` of the whole, so a link that is defined later is right at the end.
    """

    def __init__(self) -> None:
        self._done: list[str] = []
        self._done_text: list[str] = []
        self._open = ""
        self._env: dict[str, Any] = {}

    def add(self, piece: str) -> None:
        """Append *piece* to the text."""
        self._open += piece

    def html(self) -> str:
        """Return the text so far as safe HTML."""
        text = plain(self._open)
        tokens = _parser().parse(text, self._env)
        start = _last_block_line(tokens)
        if start:
            lines = text.split("\n")
            head, self._open = "\n".join(lines[:start]), "\n".join(lines[start:])
            self._done.append(_render(head, self._env))
            self._done_text.append(f"{head}\n")
            return self.html()
        return f"{_OPEN}{''.join(self._done)}{_clean_tokens(tokens, self._env)}</div>"

    def text(self) -> str:
        """Return what `html` shows as plain text."""
        return plain("".join([*self._done_text, self._open]))

    def finished(self, at_least: int) -> tuple[str, str] | None:
        """Hand over the finished blocks as HTML and text, once they are *at_least* characters of HTML.

        They are no longer part of `html` and `text` then.
        """
        if sum(map(len, self._done)) < at_least:
            return None
        shown = f"{_OPEN}{''.join(self._done)}</div>", plain("".join(self._done_text))
        self._done, self._done_text = [], []
        return shown


def _last_block_line(tokens: Sequence[Token]) -> int:
    starts = [t.map[0] for t in tokens if t.level == 0 and t.map and t.nesting >= 0]
    return starts[-1] if len(starts) > 1 else 0


def _render(text: str, env: MutableMapping[str, Any]) -> str:
    return _clean_tokens(_parser().parse(plain(text), env), env)


def _clean_tokens(tokens: Sequence[Token], env: MutableMapping[str, Any]) -> str:
    parser = _parser()
    return clean(parser.renderer.render(tokens, parser.options, env))


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt(
        "commonmark", {"html": False, "linkify": False, "typographer": False, "maxNesting": MAX_NESTING}
    )
    parser.enable(["table", "strikethrough"])
    parser.validateLink = lambda url: bool(LINK.match(url))  # type: ignore[method-assign]
    parser.add_render_rule("image", _image)
    parser.add_render_rule("text", _text)
    parser.add_render_rule("fence", _fence)
    parser.add_render_rule("code_block", _fence)
    return parser


def _image(self: Any, tokens: Sequence[Token], i: int, options: Any, env: Any) -> str:
    """Show an image as a link to it: the reader decides whether anything is fetched."""
    token = tokens[i]
    source = html.escape(str(token.attrs.get("src", "")))
    alt = html.escape(token.content or "image")
    return f'<a href="{source}">[image: {alt}]</a>'


def _text(self: Any, tokens: Sequence[Token], i: int, options: Any, env: Any) -> str:
    """Escape text, and keep TeX commands from a typesetter (``\\href`` could run a script)."""
    return html.escape(_TEX.sub("\\\\\u2060", tokens[i].content))


def _fence(self: Any, tokens: Sequence[Token], i: int, options: Any, env: Mapping[str, Any]) -> str:
    token = tokens[i]
    word = token.info.strip().split(" ")[0] if token.info.strip() else ""
    language = word if _LANGUAGE.fullmatch(word) else ""
    code = f'<code style="{CODE_STYLE}">{highlight(token.content, language)}</code>'
    return f'<pre style="{PRE_STYLE}">{code}</pre>\n'


def highlight(code: str, language: str) -> str:
    """Return *code* as escaped HTML, coloured when *language* is known to Pygments."""
    if not language or len(code) > MAX_HIGHLIGHT:
        return html.escape(code)
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
        pairs = list(lexer.get_tokens(code))
    except (ClassNotFound, RecursionError, ValueError):
        return html.escape(code)
    out = []
    for kind, value in pairs:
        style = _style(kind)
        out.append(f'<span style="{style}">{html.escape(value)}</span>' if style else html.escape(value))
    return "".join(out)


@functools.cache
def _style(kind: Any) -> str:
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
    return next((TOKEN_STYLES[name] for family, name in families if kind in family), "")
