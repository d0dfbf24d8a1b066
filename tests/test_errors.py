"""The error tree: drawn completely, one line each, and without secrets."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from ib_kernel import errors
from ib_kernel.errors import BuddyError, ClientError, ConfigError, NameClash, SessionInactive, Stopped

TREE = [
    cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, BuddyError)
]  # every public error class
KEY = "sk-proj-Abc123Abc123Abc123"


def drawn() -> dict[str, str]:
    """Return the classes drawn in the module's docstring, each with its parent in the drawing."""
    stack, tree = [], {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^    ([│├└─ ]*)([A-Z]\w+)  ", line)
        if found:
            depth = len(found[1]) // 4
            stack[depth:] = [found[2]]
            tree[found[2]] = stack[depth - 1] if depth else "Exception"
    return tree


def test_the_drawn_tree_is_the_real_one() -> None:
    """The docstring draws every error class under its real parent, and no class that does not exist."""
    assert drawn() == {cls.__name__: cls.__bases__[0].__name__ for cls in TREE}


@pytest.mark.parametrize("cls", TREE)
def test_every_error_explains_itself(cls: type[BuddyError]) -> None:
    """Every error class says in its own docstring what it means."""
    assert cls.__doc__
    assert cls.__doc__ != (cls.__bases__[0].__doc__ or "")


@pytest.mark.parametrize("cls", TREE)
def test_a_notebook_shows_one_line_and_no_traceback(cls: type[BuddyError]) -> None:
    """IPython is handed the message as a sentence, without the class's name, instead of a traceback."""
    (line,) = cls("say what to do")._render_traceback_()
    assert line == ("Stopped. say what to do" if cls is Stopped else "Say what to do")


@pytest.mark.parametrize("cls", TREE)
def test_no_error_holds_a_key(cls: type[BuddyError]) -> None:
    """A key in a message is redacted in str, repr and args of every error."""
    error = cls(f"no client called '{KEY}'")
    assert KEY not in f"{error} {error!r} {error.args}"
    assert str(error) == "no client called '[redacted]'"


@pytest.mark.parametrize("cls", [cls for cls in TREE if issubclass(cls, ClientError)])
def test_every_client_error_says_what_it_cost(cls: type[ClientError]) -> None:
    """Outcome and retryability have a default per class and can be set per error."""
    assert cls("x").outcome in {"not_sent", "rejected", "prompt_billed", "unknown"}
    told = cls("x", outcome="unknown", retryable=False, retry_after_s=2.5, status=418, code="teapot")
    assert (told.outcome, told.retryable, told.retry_after_s, told.status, told.code) == (
        "unknown",
        False,
        2.5,
        418,
        "teapot",
    )


@pytest.mark.parametrize(
    "error",
    [
        ClientError("x", outcome="unknown", retry_after_s=3, code="c"),
        SessionInactive("x", "paused"),
        NameClash("x", "client", "mine", ("a", "b")),
    ],
)
def test_errors_travel_between_processes(error: BuddyError) -> None:
    """Pickled and copied errors keep their message and their details."""
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert (str(twin), vars(twin)) == (str(error), vars(error))


def test_what_callers_already_catch_still_catches() -> None:
    """A wrong setting is a ValueError, an unknown session a LookupError."""
    assert issubclass(errors.ConfigError, ValueError)
    assert issubclass(errors.UnknownSession, LookupError)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("not sent. Try again", "Not sent. Try again"),
        ("it's over", "It's over"),
        ("refused: too long", "Refused: too long"),
        ("plugins.acme.longest (config.toml) cannot be 0", "plugins.acme.longest (config.toml) cannot be 0"),
        ("stream (%config) cannot be 'x'", "stream (%config) cannot be 'x'"),
        ("base_url is not an address", "base_url is not an address"),
        ("--budget needs a value", "--budget needs a value"),
        ("gpt-5.4-mini is not invited", "gpt-5.4-mini is not invited"),
    ],
)
def test_a_sentence_begins_with_a_capital_and_a_name_stays_as_it_is(line: str, shown: str) -> None:
    """Names of settings, options and models are typed as they are read."""
    assert ConfigError(line)._render_traceback_() == [shown]
