"""Somebody's Markdown in a document of ours: a quotation that nothing in it ends, or one plain line."""

from __future__ import annotations

import re

from ib_kernel.show.markdown import FORMULA
from ib_kernel.text import one_line, plain

_MARKS = re.compile(r"([\\`*_{}\[\]<>#!|$~&]|^[-+=]|(?<=^\d)[.)]|(?<=^\d\d)[.)])")
_HTML = re.compile(r"<(?=[A-Za-z/!?])")
_PREFIX = r"((?: {0,3}(?:[>*+-]|\d{1,9}[.)]) ?)* {0,3})"  # quotations and lists that a line begins with
_HEADING = re.compile(_PREFIX + r"(#{1,6})(?=[ \t]|$)")
_MARGIN = re.compile(r"^[ \t>*+\-\d.)]+")
_DEFINITION = re.compile(rf"^{_PREFIX}\[(?=[^\]\n]{{1,999}}\]:)", re.MULTILINE)
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(?:.*?[^`])?\1(?!`)", re.DOTALL)

_NEST = 3
"""Levels by which headings inside a message go down: the turn is a heading of level 2, the speaker of 3."""

_DEPTH = 12
"""Levels of nested quotations and lists up to which a message's code is told from its prose."""


def quoted(text: str) -> str:
    """Return somebody's Markdown as a quotation that nothing in it can end, with headings nested deeper."""
    lines = _tamed(plain(text).rstrip()).split("\n")
    return "\n".join(f"> {line}".rstrip() for line in lines)


def escaped(text: str) -> str:
    """Return *text* so that Markdown shows it as it is, in one line."""
    return _MARKS.sub(r"\\\1", one_line(text))


def _tamed(text: str) -> str:
    """Take out of Markdown what reaches beyond it: images, HTML, typesetting, headings of a high level."""
    from markdown_it import MarkdownIt

    # A tab reaches less far behind the quotation's mark: without tabs, what is code here is code there.
    lines = [_MARGIN.sub(lambda found: found[0].expandtabs(4), line) for line in text.split("\n")]
    block = MarkdownIt("commonmark", {"maxNesting": 20})
    block.core.ruler.enableOnly(["normalize", "block"])
    block.disable(
        ["html_block", "reference"]
    )  # what is tamed is a paragraph, and an indented line after it its own
    code: set[int] = set()
    tokens = block.parse("\n".join(lines))
    for token in tokens:
        if token.type in ("fence", "code_block") and token.map:
            code.update(range(*token.map))
        elif token.type == "heading_open" and token.markup in ("=", "-") and token.map and not token.level:
            lines[token.map[0]] = f"{'#' * (1 if token.markup == '=' else 2)} {lines[token.map[0]].strip()}"
            lines[token.map[1] - 1] = ""
    if any(token.level > _DEPTH for token in tokens):  # viewers differ in how deep they read: nothing is code
        code.clear()
    out: list[str] = []
    prose: list[str] = []
    for i, line in enumerate([*lines, None]):
        if line is not None and i not in code:
            prose.append(_HEADING.sub(lambda m: m[1] + "#" * min(6, len(m[2]) + _NEST), line))
            continue
        if prose:
            out += _tamed_prose("\n".join(prose)).split("\n")
            prose = []
        if line is not None:
            out.append(line)
    return "\n".join(out)


def _tamed_prose(text: str) -> str:
    parts, at = [], 0
    for span in _CODE_SPAN.finditer(text):
        parts += [_tamed_text(text[at : span.start()]), _tamed_code(span[0])]
        at = span.end()
    return "".join([*parts, _tamed_text(text[at:])])


def _tamed_text(text: str) -> str:
    text = FORMULA.sub(lambda m: re.sub(r"([\\*_$\[\]()])", "\\\\\\1", m[0]).replace("\\$", "$"), text)
    text = re.sub(r"(?<!\\)\$", r"\\$", text)
    text = _DEFINITION.sub(r"\1\\[", text)  # it would name an address for every message of the file
    return _HTML.sub("&lt;", text).replace("![", "\\!\\[")


def _tamed_code(span: str) -> str:
    """Put an invisible joiner where a misread code span would otherwise become an image or HTML."""
    return _HTML.sub("<\u2060", span).replace("![", "!\u2060[")
