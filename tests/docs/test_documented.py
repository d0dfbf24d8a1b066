"""What people can call, set, catch or implement is named in the documents: leaving one out fails here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import ib_kernel
import ib_kernel.testing
from ib_kernel import errors, turn, values
from ib_kernel.interview.openai_client import BudgetedClient
from ib_kernel.models import limits, prices, rows
from ib_kernel.plugin import commands, events, hookspecs, registry
from ib_kernel.plugin.manager import Plugins
from ib_kernel.plugin.registry import Catalog
from ib_kernel.settings import Settings, files, parsing, setting

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for path in (ROOT / "docs").rglob("*.md") if not {"decisions", "_build"} & set(path.parts)]
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))

NOT_FOR_USERS = {"load_ipython_extension", "unload_ipython_extension"}
"""What IPython calls for `%load_ext` and `%unload_ext`."""

HOOKS = [name for name in vars(hookspecs) if name.startswith("ib_")]
OFFERS = [name for name in vars(Catalog) if name.startswith("add_")]
EVENTS = [
    name
    for name, value in vars(events).items()
    if inspect.isclass(value) and value.__module__ == events.__name__ and not name.startswith("_")
]
ERRORS = [
    name
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == errors.__name__
]


def names(text: str) -> set[str]:
    """Return every name in *text*."""
    return set(re.findall(r"\w+", text))


def undocumented(wanted: Iterable[str], text: str = TEXT) -> list[str]:
    """Return which of *wanted*, which must not be empty, *text* does not name."""
    wanted = list(wanted)
    assert wanted
    return [name for name in wanted if name not in names(text)]


def test_every_public_name_is_documented() -> None:
    """What `from ib_kernel import …` gives stands in docs/."""
    assert undocumented(name for name in ib_kernel.__all__ if name not in NOT_FOR_USERS) == []


def test_every_hook_is_documented() -> None:
    """A plugin author finds each hook, each `add_…` of the catalog and each event."""
    assert undocumented(HOOKS + OFFERS + EVENTS) == []


def test_every_type_that_crosses_the_border_is_on_the_plugins_page() -> None:
    """What a plugin gets or returns stands in docs/plugins.md, under its name."""
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    offered = [*vars(registry).items(), *vars(commands).items(), *vars(rows).items()]
    classes = [name for name, value in offered if inspect.isclass(value) and is_public(name, value)]
    crossing = {*values.__all__, *EVENTS, *classes, "Factory", "Provider", "PluginValue", "PluginInfo"}
    assert {"Catalog", "Command", "CommandContext", "ModelInfo", "Rates", "Registry"} <= crossing
    assert undocumented(sorted(crossing), page) == []


def is_public(name: str, value: type) -> bool:
    """Return True if the class *value* is defined in the rooms that plugins register with."""
    modules = (registry.__name__, commands.__name__, rows.__name__)
    return value.__module__ in modules and not name.startswith("_")


CALLED = [
    *(
        (f"{owner.__name__}.{name}", value)
        for owner in (Catalog, registry.Registry, Plugins, Settings)
        for name, value in vars(owner).items()
    ),
    *(
        (name, getattr(module, name))
        for module in (limits, prices, files)
        for name in vars(module)
        if getattr(getattr(module, name), "__module__", "") == module.__name__
    ),
    *(("setting", setting), ("parse_whole", parsing.parse_whole), ("parse_one_of", parsing.parse_one_of)),
]
"""What users and plugin authors call in the rooms of plugins, models and settings."""


FOR_USERS = [
    *(getattr(ib_kernel, name) for name in ib_kernel.__all__ if name not in NOT_FOR_USERS),
    BudgetedClient,
    *(getattr(ib_kernel.testing, name) for name in ib_kernel.testing.__all__),
]
"""What users and authors of plugins import by name."""

CALLED += [(value.__name__, value) for value in FOR_USERS if inspect.isfunction(value)]
CALLED += [
    (f"{value.__name__}.{name}", method)
    for value in FOR_USERS
    if inspect.isclass(value) and not value.__name__.endswith("Contract")
    for name, method in inspect.getmembers_static(value, inspect.isfunction)
    if method.__module__.startswith("ib_kernel.")
]


TURN = [
    importlib.import_module(f"{turn.__name__}.{found.name}") for found in pkgutil.iter_modules(turn.__path__)
]
"""The modules of a turn: who changes how money is spent reads what each step takes and gives."""

CALLED += [
    (f"{module.__name__}.{name}.{method}".rstrip("."), getattr(function, "__func__", function))
    for module in TURN
    for name, value in vars(module).items()
    if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
    if inspect.isfunction(value) or inspect.isclass(value)
    for method, function in ([("", value)] if inspect.isfunction(value) else vars(value).items())
    if not method.startswith("_")
]


@pytest.mark.parametrize(
    ("name", "function"),
    [(n, f) for n, f in CALLED if inspect.isfunction(f) and not f.__name__.startswith("_")],
)
def test_what_people_call_describes_its_arguments(name: str, function: Callable[..., object]) -> None:
    """Each argument stands under `Args:` of the docstring, by its name."""
    described = re.findall(
        r"^ {4}\*{0,2}(\w+):", (inspect.getdoc(function) or "").partition("Args:")[2], re.M
    )
    taken = inspect.signature(function).parameters
    wanted = [argument for argument in taken if argument not in ("self", "cls")]
    assert [argument for argument in wanted if argument not in described] == []


def test_every_hook_has_a_test() -> None:
    """Some test implements or calls each hook and each `add_…`."""
    assert undocumented(HOOKS + OFFERS, TESTS) == []


def test_everything_for_plugin_authors_tests_is_documented() -> None:
    """The contracts and servers of `ib_kernel.testing` stand in docs/."""
    assert undocumented(ib_kernel.testing.__all__) == []


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_says_what_it_means(name: str) -> None:
    """Each class of the error tree has a docstring of its own, and a test that names it."""
    error = getattr(errors, name)
    assert error.__doc__
    assert error.__doc__ not in [base.__doc__ for base in error.__mro__[1:]]


def test_every_make_target_is_in_contributing() -> None:
    """`make x` that nobody finds is not run."""
    targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    named = [line.replace("-", "_") for line in re.findall(r"make ([\w -]+)", CONTRIBUTING)]
    assert undocumented([target.replace("-", "_") for target in targets], " ".join(named)) == []
