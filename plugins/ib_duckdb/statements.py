"""What may be asked: one statement that reads, judged by what DuckDB's own parser makes of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ib_kernel.errors import QueryError

if TYPE_CHECKING:
    import duckdb

LONGEST = 100_000
"""Characters of a query at most: parsing one takes time that nothing can interrupt."""

_ALLOWED = "SELECT, WITH, FROM, DESCRIBE, SHOW, SUMMARIZE, PIVOT or EXPLAIN"
_PIVOTS = ("pivot", "with", "from")
_ANALYZE = ("analyze", "analyse", "verbose")


def check(query: str) -> bool:
    """Raise `QueryError` with one line unless *query* is one statement that reads.

    Returns:
        True for a SELECT, False for what only begins or ends with one (EXPLAIN, some PIVOTs).
    """
    if len(query) > LONGEST:
        raise QueryError(f"a query has at most {LONGEST:,} characters; this one has {len(query):,}")
    try:
        query.encode()
    except UnicodeEncodeError:
        raise QueryError(
            "the query has characters that are no text (lone surrogates); type it again"
        ) from None
    statement = _only(query)
    explains = _words(query, 1) == ["explain"]
    if explains:
        query = _explained(query)
        statement = _only(query)
    return _check_kind(statement, query) and not explains


def refuse_explain(query: str) -> None:
    """Raise `QueryError` for an EXPLAIN: a plan tells how many rows there are that one may not see."""
    if _words(query, 1) == ["explain"]:
        raise QueryError("EXPLAIN is for whoever owns the ledger's files; ask the query itself")


def _only(query: str) -> duckdb.Statement:
    import duckdb

    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise QueryError(one_line(error)) from None
    if not statements:
        raise QueryError("no query was given; try: SELECT * FROM calls LIMIT 10")
    if len(statements) > 1:
        raise QueryError(f"one query at a time, please; these are {len(statements)}")
    return statements[0]


def _check_kind(statement: duckdb.Statement, query: str) -> bool:
    """Return True for a SELECT, and False for another statement that may be asked."""
    import duckdb

    types = duckdb.StatementType
    kind = statement.type
    if kind == types.SELECT:
        return True
    if kind == types.MULTI and _words(query, 1)[0] in _PIVOTS:
        return False
    raise QueryError(
        f"usage can only be read, and this is a statement of kind {kind.name}; allowed: {_ALLOWED}"
    )


def _tokens(query: str) -> list[tuple[int, str]]:
    """Return where each token begins (in bytes) and its kind, comments left out."""
    import duckdb

    return [(at, str(kind)) for at, kind in duckdb.tokenize(query) if not str(kind).endswith("comment")]


def _words(query: str, count: int) -> list[str]:
    data = query.encode()
    found = (re.match(rb"\w+", data[at : at + 40]) for at, _ in _tokens(query)[:count])
    return [word[0].decode(errors="replace").lower() if word else "" for word in found]


def _explained(query: str) -> str:
    """Return what an EXPLAIN explains: the text after its keyword and its options."""
    data, tokens = query.encode(), _tokens(query)
    index = 1
    while index < len(tokens) and _word_at(data, tokens[index][0]) in _ANALYZE:
        index += 1
    if index < len(tokens) and data[tokens[index][0] : tokens[index][0] + 1] == b"(":
        inner, rest = data[tokens[index][0] :], _after_options(data, tokens, index)
        # EXPLAIN (SELECT 1) explains a query in brackets, EXPLAIN (ANALYZE) SELECT 1 has options
        return rest.decode() if rest.strip(b" \t\r\n;") else inner.decode()
    return data[tokens[index][0] :].decode() if index < len(tokens) else ""


def _word_at(data: bytes, at: int) -> str:
    found = re.match(rb"\w+", data[at : at + 40])
    return found[0].decode(errors="replace").lower() if found else ""


def _after_options(data: bytes, tokens: list[tuple[int, str]], index: int) -> bytes:
    depth = 0
    for number in range(index, len(tokens)):
        here = data[tokens[number][0] : tokens[number][0] + 1]
        depth += (here == b"(") - (here == b")")
        if depth == 0:
            return data[tokens[number + 1][0] :] if number + 1 < len(tokens) else b""
    return b""


def one_line(error: BaseException) -> str:
    """Condense DuckDB's message: what it says before the marked line, did-you-mean included."""
    text = str(error).strip()[:20_000]
    if "pytz" in text:
        return "a time with a zone cannot be shown here; cast it, as in now()::TIMESTAMP (all times are UTC)"
    lines = re.split(r"\nLINE \d+:|\nStack Trace", text)[0].splitlines()
    line = " ".join(part.strip() for part in lines if part.strip())
    line = re.sub(r"\b(?:record|hot)(?:_[0-9a-f]{32})?\.(?:main\.)?", "", line)
    return line[:600] or type(error).__name__
