"""A key is shown to nobody: not by `Secret`, not by a redacted text."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.errors import redact
from ib_kernel.secrets import Secret

KEY = "sk-proj-Abc123_def-456"

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
bodies = st.text(LETTERS + "-_", min_size=8, max_size=60).map(lambda text: f"Q7{text}7Q")
"""What follows a key's prefix; its ends make it unlikely in the text around it."""
surroundings = st.text(st.characters(codec="utf-8"), max_size=40)


# --- the object


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        format,
        ascii,
        lambda s: f"{s}",
        lambda s: f"{s!r:>20}",
        lambda s: "%s" % s,  # noqa: UP031
        lambda s: repr({"key": [s]}),
        lambda s: repr(s.reveal),
        lambda s: repr([getattr(s, name) for name in dir(s) if not name.startswith("__")]),
        lambda s: json.dumps(s, default=str),
        lambda s: json.dumps(s, default=repr),
    ],
)
def test_a_secret_shows_nothing(show: object) -> None:
    """Every way of turning a secret into text gives a text without it."""
    assert KEY not in show(Secret(KEY))  # type: ignore[operator]


@pytest.mark.parametrize("dump", [vars, json.dumps, pickle.dumps, lambda s: s.__dict__])
def test_a_secret_refuses_to_be_dumped(dump: object) -> None:
    """vars, JSON and pickle raise, and the error does not hold the key."""
    with pytest.raises((TypeError, AttributeError)) as caught:
        dump(Secret(KEY))  # type: ignore[operator]
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_pickling_says_why_not() -> None:
    """The error for a pickled secret is one clear line."""
    with pytest.raises(TypeError, match=r"^a Secret cannot be pickled or copied to another process$"):
        pickle.dumps(Secret(KEY))


def test_reveal_is_the_only_way_in() -> None:
    """`reveal` returns the key."""
    assert Secret(KEY).reveal() == KEY


def test_a_secret_cannot_be_changed() -> None:
    """Neither setting nor deleting an attribute works."""
    secret = Secret(KEY)
    with pytest.raises(AttributeError, match="cannot be changed"):
        secret.reveal = lambda: "other"
    with pytest.raises(AttributeError, match="cannot be changed"):
        del secret.reveal
    assert secret.reveal() == KEY


def test_copies_are_the_same_secret() -> None:
    """copy and deepcopy hand out the object itself, so no second holder of the key comes to be."""
    secret = Secret(KEY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"key": [secret]})["key"][0] is secret


def test_secrets_compare_by_value() -> None:
    """Equal keys are equal and hash alike; a secret never equals its plain text."""
    assert Secret(KEY) == Secret(KEY)
    assert hash(Secret(KEY)) == hash(Secret(KEY))
    assert Secret(KEY) != Secret(KEY + "x")
    assert Secret(KEY) != KEY


def test_a_logged_secret_stays_hidden(caplog: pytest.LogCaptureFixture) -> None:
    """A log record with a secret among its arguments does not show it."""
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("x").debug("key %s %r", Secret(KEY), Secret(KEY))
    assert KEY not in caplog.text
    assert "Secret(…)" in caplog.text


# --- redact


SHAPES = [
    "sk-{}",
    "sk-proj-{}",
    "SK-{}",
    "_sk-{}",
    "密sk-{}",
    "sess-{}",
    "Bearer {}",
    "bearer {}",
    "BEARER  {}",
    "Authorization: Basic {}",
    '"authorization": "Basic {}"',
    "api-key={}",
    "api_key={}",
    "apikey={}",
    "api-key: {}",
    "API-KEY: {}",
    "x-api-key:{}",
    '"api_key": "{}"',
    "OPENAI_API_KEY={}",
    "?api-key={}&v=1",
    "Incorrect API key provided: {}.",
    "https://user:{}@host/v1",
]


@pytest.mark.parametrize("shape", SHAPES)
@given(body=bodies, before=surroundings, after=surroundings)
def test_no_key_of_a_known_shape_survives(shape: str, body: str, before: str, after: str) -> None:
    """Whatever stands around it, a key of a known shape does not survive."""
    text = f"{before} {shape.format(body)} {after}"
    assert body not in redact(text)
    assert "[redacted]" in redact(text)


@given(secret=st.text(min_size=1), before=surroundings, after=surroundings)
def test_no_literal_secret_survives(secret: str, before: str, after: str) -> None:
    """A secret that is named is gone wherever it stands (unless the word "[redacted]" itself holds it)."""
    if secret not in "[redacted]":
        rest = redact(f"{before}{secret}{after}{secret}", secret).split("[redacted]")
        assert not any(secret in part for part in rest)


@given(secret=bodies, tail=bodies)
def test_a_secret_that_begins_with_another_goes_whole(secret: str, tail: str) -> None:
    """Of two named secrets where one begins with the other, no tail is left over."""
    for order in [(secret, secret + tail), (secret + tail, secret)]:
        assert redact(f"<{secret}{tail}>", *order) == "<[redacted]>"


@given(text=surroundings, secret=bodies)
def test_redacting_twice_changes_nothing(text: str, secret: str) -> None:
    """A redacted text stays as it is."""
    once = redact(f"{text} Bearer {secret} sk-{secret} {text}")
    assert redact(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a risk-free task-force asked for key-value pairs",
        "no API key is set; set OPENAI_API_KEY or use --client demo",
        "unknown setting 'api_kye' (given); did you mean api_key?",
        "see https://example.com/a@b and mail me@example.com",
        "gpt-5.4-mini, o200k_base, rate-limiter",
    ],
)
def test_plain_words_are_left_alone(text: str) -> None:
    """What only resembles a key is not redacted."""
    assert redact(text) == text


def test_empty_and_missing_secrets_are_ignored() -> None:
    """None and "" as secrets do not blank out the text."""
    assert redact("some text", None, "") == "some text"
