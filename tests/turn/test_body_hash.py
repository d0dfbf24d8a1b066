"""The keyed hash of what was sent: the same body gives the same hash, today and in a year."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from ib_kernel.secrets import Secret
from ib_kernel.turn.body_hash import CAPS, canonical_body, sent_hmac

KEY = "0123456789abcdef0123456789abcdef"


def test_a_body_s_bytes_depend_on_nothing_but_what_it_says() -> None:
    """Sorted, without blanks, in ASCII; the reply's cap is left out under each of its names."""
    body = {"model": "m", "b": [1, 2.5, None, True], "a": {"z": "ü", "y": "x"}}
    expected = rb'{"a":{"y":"x","z":"\u00fc"},"b":[1,2.5,null,true],"model":"m"}'
    assert canonical_body(body) == expected
    for name in CAPS:
        assert canonical_body({**body, name: 5}) == expected
    assert {"max_tokens", "max_completion_tokens", "max_output_tokens"} == CAPS


def test_what_is_no_json_is_taken_by_its_words() -> None:
    """A body that a plugin makes may have anything in it."""
    assert canonical_body({"at": Path("x")}) == b'{"at":"x"}'


def test_keys_are_hidden_as_in_the_transcript() -> None:
    """So that the same body can be rebuilt from it."""
    Secret(KEY)
    assert KEY.encode() not in canonical_body({"content": f"it is {KEY}"})


@pytest.mark.parametrize("secret", [b"k" * 32, b"\0"])
def test_the_hash_is_an_hmac_of_these_bytes_under_a_label_of_its_own(secret: bytes) -> None:
    """Worked out apart from our code; without a secret there is none."""
    body = {"model": "m", "messages": []}
    expected = hmac.new(secret, b'sent\0{"messages":[],"model":"m"}', hashlib.sha256).hexdigest()
    assert sent_hmac(body, secret) == expected
    assert sent_hmac(body, b"") == ""
