"""The shipped ranks are the official ones; counting opens no socket and writes no file."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

import ib_tiktoken
from ib_tiktoken import _ranks


@pytest.mark.parametrize("name", sorted(_ranks.ENCODINGS))
def test_shipped_ranks_rebuild_the_official_file(name: str) -> None:
    """The packed ranks give back the official file, byte for byte, with the sha256 that tiktoken pins."""
    official = _ranks.official_file(name)
    assert hashlib.sha256(official).hexdigest() == _ranks.ENCODINGS[name].official_sha256


@pytest.mark.parametrize("name", sorted(_ranks.ENCODINGS))
def test_patterns_and_special_tokens_are_tiktokens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pattern, special tokens and expected sha256 equal those of the installed tiktoken."""
    from tiktoken_ext import openai_public

    asked: list[str] = []

    def pretend(url: str, expected_hash: str) -> dict[bytes, int]:
        asked.append(expected_hash)
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", pretend)
    theirs, ours = getattr(openai_public, name)(), _ranks.ENCODINGS[name]
    assert theirs["pat_str"] == ours.pattern
    assert theirs["special_tokens"] == ours.special_tokens
    assert asked == [ours.official_sha256]


def test_damaged_ranks_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed or missing rank file is refused, and counting falls back to a bound."""
    (tmp_path / "cl100k_base.xz").write_bytes(_ranks.lzma.compress(b"\0\0\0\1\1a"))
    monkeypatch.setattr(_ranks, "FOLDER", tmp_path)
    for name in ("cl100k_base", "o200k_base"):
        with pytest.raises(_ranks.DamagedRanks, match="reinstall"):
            _ranks.load_ranks(name)


def run(code: str) -> str:
    """Run *code* in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_importing_the_plugin_does_not_import_tiktoken() -> None:
    """tiktoken is imported when something is first counted."""
    code = "import sys, ib_tiktoken; print('tiktoken' in sys.modules)"
    code += "; ib_tiktoken.count_text('a', 'gpt-4o'); print('tiktoken' in sys.modules)"
    assert run(code) == "False\nTrue"


WATCH = """
import os, sys
seen = []
def watch(event, args):
    if event.startswith(("socket.", "subprocess.", "os.mkdir", "os.rename", "os.remove", "urllib.")):
        seen.append((event, args))
    if event == "open":
        mode, flags = args[1], args[2]
        writes = isinstance(mode, str) and set(mode) & set("wax+")
        if writes or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            seen.append((event, args))
sys.dont_write_bytecode = True
import tiktoken, ib_tiktoken
sys.addaudithook(watch)
body = {"messages": [{"role": "user", "content": "Name three primary colours."}]}
for model in ("gpt-4o", "gpt-4", "gpt-5"):
    print(ib_tiktoken.count_request(body, model).tokens, end=" ")
print(seen)
"""


def test_counting_opens_no_socket_and_writes_no_file() -> None:
    """An audit hook sees neither a socket nor a file opened for writing, for either encoding."""
    assert run(WATCH) == "12 12 11 []"


def test_nothing_is_registered_with_tiktoken() -> None:
    """Our encodings stay ours: tiktoken's own registry is left alone."""
    code = "import ib_tiktoken, tiktoken.registry as r; ib_tiktoken.count_text('a', 'gpt-4o')"
    code += "; print(r.ENCODINGS)"
    assert run(code) == "{}"


def test_plugin_offers_its_counter_by_name() -> None:
    """The hook offers a counter called tiktoken that settings choose by default."""
    from ib_kernel.plugin.manager import Plugins
    from ib_kernel.settings import Settings

    counter = Plugins([ib_tiktoken], entry_points=False).counter(Settings())
    assert counter.name == "tiktoken"
    assert counter.count_text("Hello there", "gpt-4o").tokens == 2
