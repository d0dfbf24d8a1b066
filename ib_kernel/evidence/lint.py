"""What is wrong with a challenge, one line each, before anybody is interviewed with it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ib_kernel.errors import ConfigError
from ib_kernel.evidence.hidden import HiddenChecks, run_names
from ib_kernel.evidence.visible import check_visible, test_names
from ib_kernel.interview.challenges import Challenge

MIN_BITS = 20
"""How much a run's answer must say, in bits as `_bits` estimates them: a guess must not hit it."""

MIN_CRITERIA, MAX_CRITERIA = 3, 8
"""How many criteria a rubric has."""

MINUTES = (5, 240)
"""The shortest and the longest time that a challenge may ask for."""

MIN_TOKENS = 2_000
"""The least budget that a challenge may name."""

RUN_WORDS = 8
"""So many words in a row that stand in both parts are a leak (as for withheld replies)."""

_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|[a-z]0x[0-9a-fp.+-]+|f-?0x[0-9a-fp.+-]+|[biy][^,:\[\]]*|n|f[a-z]+')


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a challenge: `rule` names its kind, `text` says what and where."""

    rule: str
    text: str


def lint(challenge: Challenge, checks: HiddenChecks | None = None) -> list[Finding]:
    """Return what is wrong with *challenge*; empty: nothing was found.

    Args:
        challenge: With its private part.
        checks: Where its code is run; None: a sandbox of its own.

    Raises:
        NoSandbox: It has hidden runs, and code cannot be run safely here.
    """
    found = [*_facts(challenge), *_rubric(challenge), *_code(challenge), *leaks(challenge)]
    if any(finding.rule in ("syntax", "entry") for finding in found):
        return found  # nothing that is run would say more
    found += _visible(challenge)
    if challenge.hidden:
        found += _hidden(challenge, checks or HiddenChecks())
    return found


def _facts(challenge: Challenge) -> Iterator[Finding]:
    if challenge.minutes is None or not MINUTES[0] <= challenge.minutes <= MINUTES[1]:
        yield Finding(
            "minutes", f"minutes is {challenge.minutes}; say how long it takes, {MINUTES[0]} to {MINUTES[1]}"
        )
    if challenge.tokens is None or challenge.tokens < MIN_TOKENS:
        yield Finding(
            "tokens", f"tokens is {challenge.tokens}; say what budget it needs, at least {MIN_TOKENS:,}"
        )
    for name in ("roles", "tags"):
        if not getattr(challenge, name):
            yield Finding(name, f"it names no {name}, so that nobody finds it")
    if not challenge.level:
        yield Finding("level", "it names no level")
    if len(challenge.text.split()) < 40:
        yield Finding("task", "the task is shorter than 40 words: what is asked cannot be clear")


def _rubric(challenge: Challenge) -> Iterator[Finding]:
    count = len(challenge.criteria)
    if not MIN_CRITERIA <= count <= MAX_CRITERIA:
        yield Finding("rubric", f"it has {count} criteria; {MIN_CRITERIA} to {MAX_CRITERIA} can be judged")
    for criterion in challenge.criteria:
        if len({anchor.strip().lower() for anchor in criterion.anchors}) < 4:
            yield Finding("anchors", f"two levels of {criterion.name} have the same anchor")
        for level, anchor in enumerate(criterion.anchors):
            if len(anchor.split()) < 3:
                yield Finding("anchors", f"level {level} of {criterion.name} says less than three words")
    if not challenge.notes:
        yield Finding("notes", "it has no notes for the interviewer")
    if len(challenge.hints) < 2:
        yield Finding("hints", f"it has {len(challenge.hints)} hints; a ladder has at least two rungs")


def _code(challenge: Challenge) -> Iterator[Finding]:
    named = {"starter.py": challenge.starter, "tests/visible.py": challenge.visible}
    named |= {"tests/hidden.py": challenge.hidden, "solution.py": challenge.solution}
    defined: dict[str, set[str]] = {}
    for name, source in named.items():
        try:
            defined[name] = _defined(source)
        except (SyntaxError, ValueError) as error:
            yield Finding("syntax", f"{name} is not Python: {error}")
            return
    if (challenge.visible or challenge.hidden) and not challenge.entry:
        yield Finding("entry", "it has tests and no entry: nobody knows what the candidate's code defines")
    for name in challenge.entry:
        for file in ("starter.py", "solution.py"):
            if named[file] and name not in defined[file]:
                yield Finding("entry", f"{file} does not define {name}, which entry names")
    if challenge.hidden and not challenge.solution:
        yield Finding("entry", "it has hidden runs and no solution.py that says what is expected")


def _defined(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def leaks(challenge: Challenge) -> Iterator[Finding]:
    """Find what stands in both parts: words of the notes, lines of the solution and of hidden runs."""
    public_text = _words(" ".join((challenge.text, challenge.starter, challenge.visible)))
    public = {tuple(public_text[i : i + RUN_WORDS]) for i in range(len(public_text) - RUN_WORDS + 1)}
    for name, text in (("notes.md", challenge.notes), ("hints.toml", "\n".join(challenge.hints))):
        words = _words(text)
        for i in range(len(words) - RUN_WORDS + 1):
            if tuple(words[i : i + RUN_WORDS]) in public:
                shared = " ".join(words[i : i + RUN_WORDS])
                yield Finding("leak", f"the candidate's part has words of {name}: {shared!r}")
                break
    # What the starter does, "starter" below looks at: code to debug shares most lines with its solution.
    comments = [line.strip().lstrip("#") for line in challenge.starter.split("\n") if line.strip()[:1] == "#"]
    lines = [*challenge.visible.split("\n"), *challenge.text.split("\n"), *comments]
    shown = {_squeezed(line) for line in lines}
    private = [("solution.py", challenge.solution, ""), ("tests/hidden.py", challenge.hidden, "run_")]
    for name, source, prefix in private:
        for line in _telling_lines(source, prefix):
            if _squeezed(line) in shown:
                yield Finding("leak", f"the candidate's part has a line of {name}: {line.strip()!r}")
                break


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _squeezed(line: str) -> str:
    return re.sub(r"\s+", "", line)


_NOT_TELLING = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Pass,
)


def _telling_lines(source: str, prefix: str = "") -> Iterator[str]:
    """Yield the statements of functions whose names begin with *prefix*, docstrings apart."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    lines = source.split("\n")
    for outer in ast.walk(tree):
        if not isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef) or not outer.name.startswith(prefix):
            continue
        for node in ast.walk(outer):
            if not isinstance(node, ast.stmt) or isinstance(node, _NOT_TELLING):
                continue
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                line = lines[node.lineno - 1]
                if len(_squeezed(line)) >= 24:
                    yield line


def _visible(challenge: Challenge) -> Iterator[Finding]:
    if not challenge.visible:
        return
    if not test_names(challenge):
        yield Finding("visible", "tests/visible.py has no test_* function")
    if challenge.solution:
        outcome = check_visible(challenge, challenge.solution)
        if outcome.problem:
            yield Finding(
                "solution", f"the solution does not run beside the visible tests: {outcome.problem}"
            )
        for test in outcome.tests:
            if not test.passed:
                yield Finding("solution", f"the solution fails the visible {test.name}: {test.why}")


def _hidden(challenge: Challenge, checks: HiddenChecks) -> Iterator[Finding]:
    try:
        names = run_names(challenge)
        expected = checks.expected(challenge)
    except ConfigError as error:
        yield Finding("hidden", str(error))
        return
    for name in names:
        bits = _bits(expected[name])
        if bits < MIN_BITS:
            what = "verdicts (true, false or None)" if bits <= _verdicts(expected[name]) else "too little"
            yield Finding(
                "verdicts",
                f"run_{name} returns {what}: return what was observed, so that a guess cannot be right",
            )
    for _ in range(2):
        again = HiddenChecks(checks.sandbox).expected(challenge)
        for name in names:
            if again[name] != expected[name]:
                yield Finding("unstable", f"run_{name} of the solution gives another answer each time")
                return
    yield from _wrong_outcomes(challenge, checks)


def _wrong_outcomes(challenge: Challenge, checks: HiddenChecks) -> Iterator[Finding]:
    for outcome in checks.check(challenge, challenge.solution):
        if not outcome.passed:
            yield Finding("solution", f"the solution fails its own run_{outcome.name}: {outcome.why}")
    if challenge.starter and all(o.passed for o in checks.check(challenge, challenge.starter)):
        yield Finding("starter", "the starter passes every hidden run: nothing is left to do")


def _bits(line: bytes) -> int:
    """Estimate how much an answer says: the distinct values in its canonical line, in bits."""
    return sum(_value_bits(value) for value in set(_VALUE.findall(line.decode("ascii"))))


def _value_bits(value: str) -> int:
    if value[0] == '"':
        return 5 * (len(value) - 2)
    if value[0] == "i":
        return 4 * len(value.lstrip("i-"))
    if value[0] == "f":
        return 2 * len(value.rstrip("0"))
    return 6 * len(value) if value[0] == "y" else 1


def _verdicts(line: bytes) -> int:
    return len(set(re.findall(rb"b[01]|n", line)))
