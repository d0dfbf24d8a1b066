"""The Markdown that replies may use, and what parsing it may cost: time, table cells and nesting are bounded.

Whoever writes a text decides how much work it is: a table of 1,200 characters can have 40,000 cells. The
parser therefore watches its own clock and gives up with `TooMuch`; the text is then shown as it is. TeX is
kept as it was written (`\\,` is not an escaped comma there) and left to no typesetter.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from htpy import a, code, fragment, pre
from markupsafe import escape

from ib_kernel.show.highlight import highlight
from ib_kernel.show.sanitize import (
    CELL_STYLES,
    CODE_STYLE,
    LINK,
    NAME_STYLE,
    PRE_STYLE,
    TABLE_STYLE,
    WIDE_STYLE,
    clean,
)

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token
    from markupsafe import Markup

MAX_TEXT = 100_000
"""Characters of Markdown that are parsed at all."""

MAX_HTML = 500_000
"""Characters of HTML that one text may become."""

MAX_CELLS = 4_000
"""Cells of all tables of one text."""

MAX_NESTING = 20
"""Blocks nested deeper than this are shown as text (markdown-it's own guard)."""

MAX_CPU_S = 0.25
"""Seconds of this thread's time for one text (an ordinary reply takes 0.005; measured 2026-11)."""

MAX_NAME = 24
"""Characters of code within a line that is not broken; at 420 px there is room for them."""

MAX_FORMULA = 1_000
"""Characters of a formula; a dollar sign without a partner nearby is a dollar sign."""

_TEX_COMMAND = re.compile(r"\\(?=(?:href|url|require|unicode|class|cssId|style|data|html|includegraphics)\b)")
FORMULA = re.compile(
    rf"\$\$[^$]{{1,{MAX_FORMULA}}}\$\$"
    rf"|\$(?=[^\s$])[^$`\n]{{0,{MAX_FORMULA}}}(?<=[^\s\\])\$(?!\d)"  # "$5 and $6" are two prices
    rf"|\\\((?:[^\\]|\\(?!\))){{1,{MAX_FORMULA}}}\\\)"
    rf"|\\\[(?:[^\\]|\\(?!\])){{1,{MAX_FORMULA}}}\\\]"
)
_LANGUAGE = re.compile(r"[\w+#.-]{1,30}", re.ASCII)


class TooMuch(Exception):
    """The text costs more to show than it may."""


def parse(text: str, env: MutableMapping[str, Any], cpu_s: float = MAX_CPU_S) -> list[Token]:
    """Return the tokens of *text*, which has passed `plain`.

    Args:
        text: Markdown.
        env: What the parser keeps between two parts of one text.
        cpu_s: Seconds of this thread's time that parsing and rendering may take.

    Raises:
        TooMuch: When *text* is too long or takes too long.
    """
    if len(text) > MAX_TEXT:
        raise TooMuch
    env["until"], env["cells"] = time.thread_time() + cpu_s, 0
    return _parser().parse(text, env)


def render(tokens: Sequence[Token], env: MutableMapping[str, Any]) -> Markup:
    """Return the tokens that `parse` gave as safe HTML. `TooMuch` when it becomes too long."""
    parser = _parser()
    html_text = parser.renderer.render(tokens, parser.options, env)
    if len(html_text) > MAX_HTML:
        raise TooMuch
    return clean(html_text)


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import table

    parser = MarkdownIt(
        "commonmark", {"html": False, "linkify": False, "typographer": False, "maxNesting": MAX_NESTING}
    )
    parser.enable(["table", "strikethrough"])
    parser.validateLink = lambda url: bool(LINK.match(url))  # type: ignore[method-assign]

    def small_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
        return _is_small(state, start, end) and table(state, start, end, silent)

    parser.block.ruler.at("table", small_table, {"alt": ["paragraph", "reference"]})
    parser.block.ruler.before("table", "watch", _watch_block)
    parser.block.ruler.before("code", "formula", _formula_block, {"alt": ["paragraph"]})
    parser.inline.ruler.before("text", "watch", _watch)
    parser.inline.ruler.before("escape", "formula", _formula)
    for name, rule in (("image", _image), ("text", _text), ("fence", _fence), ("code_block", _fence)):
        parser.add_render_rule(name, rule)
    parser.add_render_rule("formula_block", _text_block)
    parser.add_render_rule("code_inline", _code)
    parser.add_render_rule("table_open", _table)
    parser.add_render_rule("table_close", _table_end)
    parser.add_render_rule("td_open", _cell)
    parser.add_render_rule("th_open", _cell)
    return parser


def _watch(state: StateInline, silent: bool) -> bool:
    if time.thread_time() > state.env["until"]:
        raise TooMuch
    return False


def _watch_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if time.thread_time() > state.env["until"]:
        raise TooMuch
    return False


def _is_small(state: StateBlock, start: int, end: int) -> bool:
    """Return True if a table at *start* has few cells together with those before it.

    A short row is filled up with empty cells, so rows times columns count, not characters.
    """
    if start + 1 >= end:
        return False
    ruler = state.src[state.bMarks[start + 1] : state.eMarks[start + 1]]
    if not re.fullmatch(r"[\s|:>*+-]*-[\s|:-]*", ruler):
        return True  # no table; the rule itself will say so
    columns, rows = ruler.count("|") + 1, 1
    while start + 1 + rows < end and not state.isEmpty(start + 1 + rows):
        rows += 1
    state.env["cells"] += columns * rows
    return bool(state.env["cells"] <= MAX_CELLS)


def _formula(state: StateInline, silent: bool) -> bool:
    """Keep a formula inside a line as it was written."""
    if state.src[state.pos] not in "$\\":
        return False
    found = FORMULA.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("text", "", 0).content = found[0]
    state.pos = found.end()
    return True


def _formula_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Keep a formula of several lines, from ``$$`` or ``\\[`` to its partner, as it was written."""
    if state.is_code_block(start):
        return False
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    closing = {"$$": "$$", "\\[": "\\]"}.get(first[:2])
    if closing is None:
        return False
    line = start
    while line < min(end, start + 100) and not state.isEmpty(line):
        last = state.src[state.bMarks[line] : state.eMarks[line]].rstrip()
        if last.endswith(closing) and (line > start or len(first.rstrip()) > 3):
            if not silent:
                token = state.push("formula_block", "p", 0)
                token.content = state.getLines(start, line + 1, state.blkIndent, False)
                token.map = [start, line + 1]
            state.line = line + 1
            return True
        line += 1
    return False


def _cell(self: Any, tokens: Sequence[Token], i: int, options: Any, env: Any) -> str:
    """Align a cell to the left where the text does not say."""
    token = tokens[i]
    align = str(token.attrs.get("style", "text-align:left")).removeprefix("text-align:")
    return f'<{token.tag} style="{CELL_STYLES[token.tag, align]}">'


def _code(self: Any, tokens: Sequence[Token], i: int, options: Any, env: Any) -> str:
    """Keep a short name in one piece, also where it has hyphens and the page is narrow."""
    text = tokens[i].content
    return str(code(style=NAME_STYLE if len(text) <= MAX_NAME else None)[text])


def _table(self: Any, tokens: Sequence[Token], i: int, options: Any, env: Any) -> str:
    return f'<div class="ib-wide" style="{WIDE_STYLE}"><table style="{TABLE_STYLE}">\n'


def _table_end(self: Any, tokens: Sequence[Token], i: int, options: Any, env: Any) -> str:
    return "</table></div>\n"


def _image(self: Any, tokens: Sequence[Token], i: int, options: Any, env: Any) -> str:
    """Show an image as a link to it: the reader decides whether anything is fetched."""
    token = tokens[i]
    return str(a(href=str(token.attrs.get("src", "")))[f"[image: {token.content or 'image'}]"])


def _text(self: Any, tokens: Sequence[Token], i: int, options: Any, env: Any) -> str:
    """Escape text, and keep TeX commands from a typesetter (``\\href`` could run a script)."""
    return str(escape(_TEX_COMMAND.sub("\\\\\u2060", tokens[i].content)))


def _text_block(self: Any, tokens: Sequence[Token], i: int, options: Any, env: Any) -> str:
    lines = _text(self, tokens, i, options, env).split("\n")
    return f"<p>{'<br>'.join(lines)}</p>\n"


def _fence(self: Any, tokens: Sequence[Token], i: int, options: Any, env: MutableMapping[str, Any]) -> str:
    token = tokens[i]
    word = token.info.strip().split(" ")[0] if token.info.strip() else ""
    language = word if _LANGUAGE.fullmatch(word) else ""
    coloured = highlight(token.content, language, env["until"])
    block = pre(".ib-code", style=PRE_STYLE, tabindex="0")[code(style=CODE_STYLE)[coloured]]
    return str(fragment[block, "\n"])
