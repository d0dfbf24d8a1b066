"""What a notebook defines is taken from the cells that ran: the latest definitions, and nothing else."""

from __future__ import annotations

from ib_kernel.evidence.gather import gather


def test_the_latest_definition_counts() -> None:
    """A function that was written anew replaces the older one."""
    found = gather(["def f():\n    return 1", "def f():\n    return 2"], ["f"])
    assert found.code == "def f():\n    return 2\n"


def test_what_it_uses_comes_along_and_nothing_else() -> None:
    """Helpers, imports and constants that are used; no calculation, no drawing."""
    cells = [
        "import math, os\nSIZE = 3\nUNUSED = 4",
        "def helper(x):\n    return math.floor(x) * SIZE",
        "print('hello')\nsomething_long()",
        "class Kept(dict):\n    def go(self):\n        return helper(1.5)",
    ]
    code = gather(cells, ["Kept"]).code
    namespace: dict[str, object] = {}
    exec(code, namespace)
    assert namespace["Kept"]().go() == 3  # type: ignore[operator]
    assert "UNUSED" not in code
    assert "something_long" not in code


def test_definitions_keep_the_order_in_which_they_ran() -> None:
    """A base class stands before the class that uses it, although it is looked for later."""
    code = gather(["class Base:\n    pass", "class Made(Base):\n    pass"], ["Made"]).code
    assert code.index("class Base") < code.index("class Made")


def test_a_name_that_no_cell_defines_is_missing() -> None:
    """The person is told which name the tests need."""
    found = gather(["x = 1", "def broken(:", "%%bash"], ["solve"])
    assert found.missing == ("solve",)
    assert found.code == ""


def test_a_name_of_a_built_in_that_was_defined_anew_comes_along() -> None:
    """Somebody's own ``sorted`` is theirs."""
    code = gather(["def sorted(x):\n    return x", "def f(x):\n    return sorted(x)"], ["f"]).code
    assert "def sorted" in code


def test_definitions_inside_try_and_if_are_found() -> None:
    """An import with a way out binds its names."""
    code = gather(
        ["try:\n    import numpy as np\nexcept ImportError:\n    np = None", "def f():\n    return np"], ["f"]
    ).code
    assert "import numpy" in code
