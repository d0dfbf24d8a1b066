"""Highlighting of cells: `%%interview` holds prose, `%%usage` holds SQL, everything else is IPython."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from IPython.lib.lexers import IPython3Lexer
from pygments.lexer import Lexer
from pygments.lexers.markup import MarkdownLexer
from pygments.lexers.sql import SqlLexer
from pygments.token import Comment, Keyword, Text, Whitespace

_LINE = re.compile(r"(?P<magic>%{1,2}\w+)(?P<rest>[^\n]*)(?P<end>\n|\Z)")
_BODIES = {"%%interview": MarkdownLexer, "%%usage": SqlLexer}


class NotebookLexer(Lexer):
    """A notebook's cell."""

    name = "Notebook cell"

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        """Yield position, kind and text of each token."""
        at = 0
        while line := _LINE.match(text, at):
            yield line.start(), Keyword, line["magic"]
            words, hash_, comment = line["rest"].partition("  #")
            yield line.start("rest"), Text, words
            if hash_:
                yield line.start("rest") + len(words), Comment, hash_ + comment
            yield line.start("end"), Whitespace, line["end"]
            at = line.end()
            if line["magic"].startswith("%%") or at >= len(text):
                break
        else:
            yield from _moved(IPython3Lexer(), text[at:], at)
            return
        body = _BODIES.get(line["magic"], IPython3Lexer)
        yield from _moved(body(), text[at:], at)


def _moved(lexer: Lexer, text: str, by: int) -> Iterator[tuple[int, Any, str]]:
    for at, kind, part in lexer.get_tokens_unprocessed(text):
        yield at + by, kind, part
