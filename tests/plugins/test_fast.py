"""The counter "fast" gives tiktoken's tokens on every input, and steps aside when it cannot promise that."""

from __future__ import annotations

import logging
import random
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ib_fast
import ib_tiktoken
from ib_fast import _encoder
from ib_kernel.counting import Encoder, RuleCounter, Uncountable
from ib_kernel.errors import BrokenPlugin, UnknownName
from ib_kernel.plugin.manager import Plugins
from ib_kernel.settings import Settings

NAMES = ["o200k_base", "cl100k_base"]
EXACT = ib_tiktoken.TiktokenCounter()


def fast() -> RuleCounter:
    """Return the fast counter, or skip where its engine is not installed in the tested version."""
    pytest.importorskip(
        "toktok", reason="toktok-rs is not installed: pip install 'interview-buddy-kernel[fast]'"
    )
    if _encoder.installed() != _encoder.TESTED:
        pytest.skip(f"another pair of versions is installed than the tested {_encoder.TESTED}")
    return ib_fast.FastCounter(None, EXACT.encoder)


def same(encoder: Encoder, text: str) -> bool:
    """Return True if ids and count equal tiktoken's."""
    expected = EXACT.encoder(encoder.name).encode(text)
    return encoder.encode(text) == expected and encoder.count(text) == len(expected)


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text(st.characters(categories=["L", "M", "N", "Z", "P"])), st.sampled_from(NAMES))
@example("<|endoftext|>", "o200k_base")
@example("a\ud83d", "cl100k_base")
@example("\ud83d\ude00", "o200k_base")
@example("\u088f\u1acf", "o200k_base")
def test_any_text_gets_tiktokens_tokens(text: str, name: str) -> None:
    """Ids and counts equal tiktoken's over random Unicode."""
    assert same(fast().encoder(name), text)


@pytest.mark.parametrize("name", NAMES)
def test_every_code_point_is_equal(name: str) -> None:
    """Each code point, assigned or not, between letters, digits and spaces, is encoded as tiktoken does.

    The guarded ranges are part of it; a new Unicode version in either package shows here.
    """
    encoder = fast().encoder(name)
    native, reference = encoder._count, EXACT.encoder(name)  # type: ignore[attr-defined]
    planes = [*range(0x34000), *range(0xE0000, 0xE0200), *range(0xF0000, 0xF0010), 0x10FFFF]
    points = [chr(c) for c in planes if not 0xD800 <= c < 0xE000 and not _encoder.risky(chr(c))]
    for start in range(0, len(points), 64):
        text = "".join(f"{c}a A{c}b 1{c}2 {c} .{c}\n" for c in points[start : start + 64])
        assert native(text) == reference.count(text), hex(start)


def test_random_mixtures_are_equal() -> None:
    """Thousands of random strings of words, spaces, marks, emoji and rare scripts are equal."""
    rng = random.Random(17)
    atoms = [
        "the",
        "Hello",
        "'s",
        "’re",
        " ",
        "  ",
        "\n",
        "\t",
        "\r\n",
        "1",
        "2024",
        "é",
        "́",
        "ñ",
        "中文",
        "ไทย",
    ]
    atoms += [
        "🙂",
        "👩‍💻",
        "\u200b",
        "\xa0",
        "\u3000",
        "ß",
        "İ",
        "Ж",
        "עב",
        "ار",
        "…",
        "//",
        "{}",
        "\x00",
        "\x85",
        "ǅ",
    ]
    atoms += [chr(c) for c in range(0x20, 0x2FFFF, 997) if unicodedata.category(chr(c)) != "Cs"]
    both = [fast().encoder(name) for name in NAMES]
    for _ in range(3000):
        text = "".join(rng.choices(atoms, k=rng.randint(1, 40)))
        assert all(same(encoder, text) for encoder in both), text


@pytest.mark.parametrize(
    "text",
    [
        " " * 300_000,
        " \t" * 60_000,
        "a" * 60_000,
        "\n" * 60_000 + "x",
        "!" * 30_000,
        "中" * 20_000,
        "\ud800 " * 9,
    ],
    ids=["spaces", "tabs", "letters", "newlines", "symbols", "han", "surrogates"],
)
def test_pathological_texts_are_equal(text: str) -> None:
    """Long runs that are slow or fatal elsewhere are encoded as tiktoken encodes them."""
    counter = fast()
    assert all(same(counter.encoder(name), text) for name in NAMES)


@given(st.text(st.characters(codec="utf-8"), max_size=600), st.integers(0, 0x33500), st.booleans())
def test_guard_finds_its_code_points_anywhere(text: str, point: int, long: bool) -> None:
    """A guarded code point or lone surrogate is found in texts of any length, and nothing else is."""
    inside = any(first <= ord(c) <= last for c in text for first, last in _encoder.UNICODE_17)
    assert _encoder.risky(text) == inside
    guarded = 0xD800 <= point < 0xE000 or any(first <= point <= last for first, last in _encoder.UNICODE_17)
    padded = text + chr(point) + "é文🙂" * (200 if long else 1)
    assert _encoder.risky(padded) == (inside or guarded)


def test_requests_count_as_with_tiktoken() -> None:
    """Both counters share one set of rules."""
    tool = {"type": "function", "function": {"name": "look", "description": "Look."}}
    body = {
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hé"}],
        "tools": [tool],
    }
    for model in ("gpt-4o", "gpt-5", "gpt-4"):
        assert fast().count_request(body, model) == EXACT.count_request(body, model)


class Native:
    """Stands for toktok-rs: counts characters, and panics on a bang."""

    def count(self, text: str) -> int:
        """Return a count no tokenizer would."""
        if "!" in text:
            raise RuntimeError
        return 1000

    def encode_ordinary(self, text: str) -> list[int]:
        """Return nothing useful."""
        return [0] * self.count(text)


@pytest.mark.parametrize("text", ["\u088f", "x\U00033479", "\ud800", "bang!"])
def test_guarded_or_failing_texts_go_to_the_reference(text: str) -> None:
    """Code points on which the engines differ, lone surrogates and failures are tiktoken's to count."""
    encoder = _encoder.FastEncoder("o200k_base", Native(), EXACT.encoder)
    assert encoder.count("plain é") == 1000
    assert encoder.count(text) == EXACT.count_text(text, "gpt-4o").tokens
    assert encoder.encode(text) == ib_tiktoken.encode(text, "gpt-4o")


def test_untested_versions_switch_the_fast_path_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With any other pair of versions the counter counts with tiktoken and says so."""
    monkeypatch.setattr(_encoder, "installed", lambda: {"toktok-rs": "9", "tiktoken": "0.14.0"})
    with caplog.at_level(logging.WARNING):
        counter = ib_fast.FastCounter(None, EXACT.encoder)
    assert counter.encoder("o200k_base") is EXACT.encoder("o200k_base")
    assert "using tiktoken" in caplog.text


def test_missing_engine_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without toktok-rs, choosing the counter says what to install."""

    def missing(package: str) -> str:
        raise _encoder.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(_encoder.importlib.metadata, "version", missing)
    with pytest.raises(BrokenPlugin, match=r"\[fast\]"):
        Plugins([ib_tiktoken, ib_fast], entry_points=False).counter(Settings(counter="fast"))


def test_plugin_borrows_its_reference_through_the_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter is built from the counter "tiktoken", and needs one."""
    monkeypatch.setattr(_encoder, "installed", dict)
    counter = Plugins([ib_tiktoken, ib_fast], entry_points=False).counter(Settings(counter="fast"))
    assert counter.name == "fast"
    assert counter.count_text("Hello there", "gpt-4o").tokens == 2
    with pytest.raises(UnknownName, match="tiktoken"):
        Plugins([ib_fast], entry_points=False).counter(Settings(counter="fast"))


def test_plugin_imports_no_engine_and_no_other_plugin() -> None:
    """Importing the plugin loads neither toktok-rs nor tiktoken nor another plugin."""
    import subprocess

    code = (
        "import sys, ib_fast; print([m for m in ('toktok', 'tiktoken', 'ib_tiktoken') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=280, check=True
    )
    assert done.stdout.strip() == "[]"


def test_uncountable_text_stays_uncountable() -> None:
    """When neither engine can encode a text, that is said."""

    def reference(name: str) -> Any:
        class Failing(Native):
            def encode(self, text: str) -> list[int]:
                raise Uncountable("no")

        return Failing()

    with pytest.raises(Uncountable):
        _encoder.FastEncoder("o200k_base", Native(), reference).encode("bang!")
