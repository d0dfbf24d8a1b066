"""Runs a challenge's visible tests beside the candidate's code, and says what each expected and got.

Started alone, as ``python -I visible_runner.py``, in an empty folder: the job comes on standard input, one
line of JSON for each test goes to the descriptor named in the job. Needs the standard library only. A
comparison in a failed assert is shown by its two sides, which are evaluated once.
"""

from __future__ import annotations

import ast
import json
import os
import sys
from types import CodeType, ModuleType
from typing import Any

MAX_TEXT = 2_000
"""Characters of a value that are shown."""


class Different(AssertionError):
    """A comparison that did not hold; `got` and `expected` are its sides as text."""

    def __init__(self, got: str, expected: str, source: str, said: str) -> None:
        super().__init__(said)
        self.got, self.expected, self.source, self.said = got, expected, source, said


class _Asserts(ast.NodeTransformer):
    """Rewrites ``assert a == b`` so that its failure carries both sides."""

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """Replace an assert of one comparison by a call that compares."""
        test = node.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return node
        sides = [test.left, test.comparators[0]]
        compare = ast.Compare(ast.Name("_a", ast.Load()), test.ops, [ast.Name("_b", ast.Load())])
        names = [ast.arg("_a"), ast.arg("_b")]
        arguments = ast.arguments(posonlyargs=[], args=names, kwonlyargs=[], kw_defaults=[], defaults=[])
        said = ast.Lambda(
            ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]),
            node.msg or ast.Constant(""),
        )
        source = ast.Constant(ast.unparse(test))
        holds = ast.Call(
            ast.Name("__compare__", ast.Load()), [ast.Lambda(arguments, compare), *sides, source, said], []
        )
        return ast.copy_location(ast.Expr(holds), node)


def compare(holds: Any, got: object, expected: object, source: str, said: Any) -> None:
    """Raise `Different` unless the comparison *holds* between the two sides."""
    if not holds(got, expected):
        raise Different(shown(got), shown(expected), source, str(said())[:MAX_TEXT])


def shown(value: object) -> str:
    """Return *value* as text, cut; one whose ``repr`` fails is said to."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001
        return f"<a {type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def _compiled(source: str, name: str) -> CodeType:
    tree = _Asserts().visit(ast.parse(source, name))
    return compile(ast.fix_missing_locations(tree), name, "exec", dont_inherit=True)


def _tests(job: dict[str, Any]) -> dict[str, Any]:
    entry = ModuleType("entry")
    sys.modules["entry"] = entry
    exec(compile(job["entry"], "your code", "exec", dont_inherit=True), entry.__dict__)  # noqa: S102
    tests = ModuleType("visible")
    tests.__dict__["__compare__"] = compare
    exec(_compiled(job["tests"], "visible.py"), tests.__dict__)  # noqa: S102
    return {name: value for name, value in vars(tests).items() if name.startswith("test") and callable(value)}


def _outcome(test: Any, seconds: float) -> dict[str, Any]:
    import signal

    def late(*_: object) -> None:
        raise TimeoutError

    timed = hasattr(signal, "setitimer")
    if timed:
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        test()
    except Different as error:
        return {
            "ok": False,
            "why": "different",
            "got": error.got,
            "expected": error.expected,
            "source": error.source,
            "said": error.said,
        }
    except AssertionError as error:
        return {"ok": False, "why": "different", "said": str(error)[:MAX_TEXT]}
    except TimeoutError:
        return {"ok": False, "why": "time"}
    except MemoryError:
        return {"ok": False, "why": "memory"}
    except BaseException as error:  # noqa: BLE001 - SystemExit of somebody's code, too
        return {"ok": False, "why": "error", "said": f"{type(error).__name__}: {error}"[:MAX_TEXT]}
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return {"ok": True, "why": "same"}


def main() -> None:
    """Do one job: limits, the candidate's code, then each test; a line for each."""
    job = json.loads(sys.stdin.buffer.readline())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    try:
        import resource
    except ImportError:  # Windows has no such limits: only the time counts there
        pass
    else:
        for name, value in job["limits"].items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def say(line: dict[str, Any]) -> None:
        channel.write(json.dumps(line).encode() + b"\n")

    try:
        tests = _tests(job)
    except MemoryError:
        say({"test": "", "ok": False, "why": "memory"})
    except BaseException as error:  # noqa: BLE001
        say({"test": "", "ok": False, "why": "error", "said": f"{type(error).__name__}: {error}"[:MAX_TEXT]})
    else:
        for name, test in tests.items():
            say({"test": name, "began": True})
            say({"test": name, **_outcome(test, job["seconds"])})
        say({"end": True})
    os._exit(0)


if __name__ == "__main__":
    main()
