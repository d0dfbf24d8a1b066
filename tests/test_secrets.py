"""A key is shown to nobody: not by `Secret`, not by a redacted text."""

from __future__ import annotations

import base64
import copy
import json
import logging
import os
import pickle
import threading
import traceback
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ib_kernel.secrets import (
    PLACEHOLDERS,
    Secret,
    StreamScrubber,
    holds_no_key,
    known,
    learn,
    learn_environment,
    scrub,
    scrub_keys,
    scrub_value,
)
from ib_kernel.secrets.random_pool import random_bytes, random_hex
from ib_kernel.secrets.stream import cut_key
from ib_kernel.values import Message

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
    assert body not in scrub(text)
    assert "[redacted]" in scrub(text)


@given(secret=st.text(min_size=1), before=surroundings, after=surroundings)
def test_no_literal_secret_survives(secret: str, before: str, after: str) -> None:
    """A secret that is named is gone wherever it stands (unless the word "[redacted]" itself holds it)."""
    if secret not in "[redacted]":
        rest = scrub(f"{before}{secret}{after}{secret}", secret).split("[redacted]")
        assert not any(secret in part for part in rest)


@given(secret=bodies, tail=bodies)
def test_a_secret_that_begins_with_another_goes_whole(secret: str, tail: str) -> None:
    """Of two named secrets where one begins with the other, no tail is left over."""
    for order in [(secret, secret + tail), (secret + tail, secret)]:
        assert scrub(f"<{secret}{tail}>", *order) == "<[redacted]>"


@given(text=surroundings, secret=bodies)
def test_redacting_twice_changes_nothing(text: str, secret: str) -> None:
    """A redacted text stays as it is."""
    once = scrub(f"{text} Bearer {secret} sk-{secret} {text}")
    assert scrub(once) == once


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
    assert scrub(text) == text


def test_empty_and_missing_secrets_are_ignored() -> None:
    """None and "" as secrets do not blank out the text."""
    assert scrub("some text", None, "") == "some text"


# --- known secrets

ODD_KEYS = [
    "0123456789abcdef0123456789ABCDEF",
    "pa$$word with spaces",
    "schlüssel-geheim-1",
    'with"quote\\and/slash',
]


@pytest.fixture(autouse=True)
def _nobodys_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes known is forgotten after it: other tests' texts may hold it by chance."""
    monkeypatch.setattr(known, "registry", known.Known())


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_known_secret_is_hidden_whatever_its_shape(key: str) -> None:
    """From the moment a `Secret` is made, its text is found: plain, as JSON, in an address, as base64."""
    Secret(key)
    spelt = [
        key,
        key.upper(),
        json.dumps(key)[1:-1],
        quote(key, safe=""),
        base64.b64encode(key.encode()).decode(),
    ]
    for text in spelt:
        assert scrub(f"<{text}>").rstrip("=>") == "<[redacted]"


@given(secret=st.text(min_size=8, max_size=50), before=surroundings, after=surroundings)
def test_no_learned_text_survives(secret: str, before: str, after: str) -> None:
    """What was learned is gone wherever it stands."""
    assume(secret not in "[redacted]" and secret.lower() not in PLACEHOLDERS)
    learn(secret)
    assert not any(secret in part for part in scrub(f"{before}{secret}{after}").split("[redacted]"))


def test_placeholders_and_short_texts_are_words_not_secrets() -> None:
    """What people type where a server wants no key, and texts too short to be one, stay readable."""
    Secret("lm-studio"), Secret("abc"), learn(None, "")
    assert scrub("LM-Studio knows its abc") == "LM-Studio knows its abc"


def test_keys_in_the_environment_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider's key is known by the name of its variable; other variables are nobody's secret."""
    monkeypatch.setenv("MISTRAL_API_KEY", "mk0123456789")
    monkeypatch.setenv("EDITOR_NAME", "vi0123456789")
    learn_environment()
    assert scrub("mk0123456789 vi0123456789") == "[redacted] vi0123456789"


@pytest.mark.parametrize(
    "key",
    [
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "gsk_1234567890abcdefghijKLMN",
        "ghp_1234567890abcdefghijKLMN",
        "AKIAIOSFODNN7EXAMPLE",
        "ib_c_0123456789abcdefghijABCDEFGHIJ-_0123456789a.0123456789abcdef0123456789abcdef",
        "xoxb-123456789012-abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.abcdefghij",
        "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEow0" * 9 + "\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_documented_shapes_are_hidden_unknown(key: str) -> None:
    """Keys that nobody told us of are recognised by the shape their provider documents."""
    for hide in (scrub, scrub_keys):
        assert hide(f"my key is {key}, thanks") == "my key is [redacted], thanks"


@pytest.mark.parametrize(
    "text",
    [
        "I use sk-learn-contrib, hf_hub_download_something_long and risk-averse-portfolio-theory-2",
        'headers = {"Authorization": "Bearer my-token", "x": f"api_key={key}"}',
        "curl 'http://host/v1?token=abcdef&sig=1' and https://user:pass@host/",
        "asiatic-elephants, -----BEGIN PRIVATE KEY----- is how it starts, the key-value-store-of-mine",
        "r8_is_a_register, ghp_, xai-, eyJ.eyJ.x",
    ],
)
def test_people_keep_their_words(text: str) -> None:
    """Code and prose about keys stay as they were written: a quote must be what was said."""
    assert scrub_keys(text) == text
    stream = StreamScrubber()
    assert "".join([*map(stream.take, text), stream.flush()]) == text


@pytest.mark.parametrize("name", ["key", "token", "sig", "subscription-key", "api_key", "Access-Token"])
def test_parameters_of_an_address_that_hold_keys_are_hidden(name: str) -> None:
    """The value goes, the rest of the address stays."""
    assert scrub(f"GET http://h/v1?a=1&{name}=Zq81xyz#top") == f"GET http://h/v1?a=1&{name}=[redacted]#top"


@given(
    shape=st.sampled_from(["{}", "sk-proj-{}", "say 'gsk_{}', twice", "hf_{}"]),
    body=bodies,
    before=surroundings,
    after=surroundings,
    inner=st.tuples(st.integers(0, 30), st.integers(8, 40)),
    cuts=st.lists(st.integers(1, 9), max_size=80),
)
def test_no_secret_survives_being_cut_into_pieces(
    shape: str, body: str, before: str, after: str, inner: tuple[int, int], cuts: list[int]
) -> None:
    """Piece by piece shows what scrubbing the whole shows, also for a secret that holds another.

    An end that a secret begins with is hidden as well: it may be one that was cut.
    """
    known.registry = known.Known()
    if shape == "{}":
        learn(body, body[inner[0] : sum(inner)])
    body = body if shape == "{}" else f"{body.replace('_', '')}0123456789abcdef"
    text, stream, shown, at = f"{before} {shape.format(body)} {after}", StreamScrubber(), [], 0
    for size in [*cuts, len(text)]:
        shown.append(stream.take(text[at : at + size]))
        at += size
    shown.append(stream.flush())
    whole = scrub_keys(text)
    cut = cut_key(whole)
    assert body not in "".join(shown)
    assert "".join(shown) == (whole if cut is None else whole[:cut] + "[redacted]")


@given(st.lists(st.text(max_size=12), max_size=30))
def test_a_stream_without_secrets_is_passed_on_whole(pieces: list[str]) -> None:
    """Nothing is lost, doubled or reordered."""
    stream = StreamScrubber()
    assert "".join([*map(stream.take, pieces), stream.flush()]) == scrub_keys("".join(pieces))


def test_values_are_scrubbed_inside() -> None:
    """Frozen values, mappings and lists come back scrubbed; clean ones come back themselves."""
    learn("Zebra-4711-secret")
    message = Message(1, "user", "my key: zebra-4711-SECRET")
    assert scrub_value(message) == Message(1, "user", "my key: [redacted]")
    assert scrub_value({"a": ["x", "Zebra-4711-secret"], "b": (1, None)}) == {
        "a": ["x", "[redacted]"],
        "b": (1, None),
    }
    clean = Message(1, "user", "hello")
    assert scrub_value(clean) is clean


@pytest.mark.parametrize(
    "text",
    [
        "bearer " * 200_000,
        "authorization: " * 90_000,
        "://" * 400_000,
        "sk-" * 400_000,
        "bearer" + " " * 1_000_000,
        "-----begin private key-----" * 20_000,
        "?key=" * 300_000,
    ],
)
def test_scrubbing_takes_time_in_proportion_to_the_text(text: str) -> None:
    """A megabyte of what our patterns begin with is done in a second or two; its square would take hours."""
    assert scrub(text)


@pytest.mark.parametrize("text", ["{}", "é{}", "{}\u017f", "\u0130{}"])
def test_a_known_secret_is_found_in_any_case_and_beside_any_letter(text: str) -> None:
    """Also spelled with the letters that match i, k and s where case is ignored."""
    learn("Kilo-Sierra-India-77")
    odd = "\u212a\u0131lo-\u017f\u0131erra-\u0130nd\u0131a-77"
    for spelling in ("Kilo-Sierra-India-77", "KILO-SIERRA-INDIA-77", odd):
        assert "77" not in scrub_keys(text.format(f" {spelling} "))


@pytest.mark.parametrize("key", ["sk-test", "pw-1", "a1b2c3d"])
def test_a_short_key_is_hidden_in_rows_too(key: str) -> None:
    """What is known to be a key is hidden in a value that is nothing but the key, as it is in a sentence."""
    Secret(key)
    assert scrub_value(Message(1, "user", key)) == Message(1, "user", "[redacted]")
    assert scrub_value({key: [key]}) == {"[redacted]": ["[redacted]"]}
    assert scrub_keys(f"it is {key}.") == "it is [redacted]."


@pytest.mark.parametrize(
    "secret",
    [*(f"ib_{kind}_{'aB3-_x9Z' * 5}" for kind in "cgil"), "K7QM-92QX-4MDP-W8ZT@https://host.example"],
)
def test_what_a_host_hands_out_is_known_by_its_shape(secret: str) -> None:
    """Tokens and the codes of join lines are hidden wherever they turn up, also in another process."""
    for text in (secret, f"token={secret}", f"x {secret} y"):
        assert secret.partition("@")[0] not in scrub_keys(text)


def test_a_key_that_the_end_of_a_stream_cuts_is_hidden() -> None:
    """A reply that ends at its cap inside a key tells nothing of it; short beginnings are words."""
    Secret("sk-cut-0123456789abcdefghij")
    stream = StreamScrubber()
    shown = stream.take("the key is sk-cut-01234567") + stream.flush()
    assert shown == "the key is [redacted]"
    stream = StreamScrubber()
    assert stream.take("it begins with sk-cut-") + stream.flush() == "it begins with sk-cut-"


# --- random bytes


def test_random_bytes_are_handed_out_once_whoever_asks() -> None:
    """Threads that ask at once get different ones, and those of a page's end are as long as any."""
    drawn: list[bytes] = []

    def draw() -> None:
        drawn.extend(random_bytes(16) for _ in range(1_000))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == 4_000
    assert {len(one) for one in drawn} == {16}
    assert len(random_bytes(10_000)) == 10_000
    assert len(random_hex(16)) == 32


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_draws_others_than_its_parent() -> None:
    """What the parent had in reserve is its own."""
    random_bytes(1)
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.write(theirs, random_bytes(16))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(ours, 16) != random_bytes(16)
    os.close(ours)
    os.close(theirs)


def test_a_text_that_was_clean_is_looked_at_again_once_a_secret_is_learned() -> None:
    """What is remembered of texts that repeat holds for the secrets that were known then."""
    text = "the-word-of-tomorrow-1"
    assert holds_no_key(["m", text], repeats=True)
    learn(text)
    assert not holds_no_key(["m", text], repeats=True)
