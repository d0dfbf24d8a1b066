"""Counters side by side: ours, tiktoken, and whichever peers are installed, on the same made-up texts.

    python benchmarks/counting.py [--strings 300000] [--out FILE]

Writes ``benchmarks/results/counting.md``. Ratios are what counts; times are of the machine it ran on. A peer
that is not installed is named and skipped: ``pip install quicktok-v1 splintr-rs bpe-openai rs_bpe``.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import importlib
import importlib.metadata
import json
import lzma
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ib_fast
import ib_tiktoken
from ib_kernel.counting import RuleCounter
from ib_kernel.errors import BrokenPlugin
from ib_tiktoken._ranks import official_file

ENCODING, MODEL, TURNS = "o200k_base", "gpt-4o", 200
CACHE_NAME = "fb374d419588a4632f3f557e76b4b70aebbca790"  # sha1 of the official file's address
WORDS = """
    the a of to and token bucket rate limiter user request window redis key shard cache latency because then
    queue allows burst clock drift retry after each server counts refill capacity interview candidate explains
    trade-off memory we would measure p99 under load first however second design answer {'limit': 100} def
""".split()  # noqa: SIM905
Count = Callable[[str], int]


def prose(words: int, seed: int = 0) -> str:
    """Return *words* made-up words with punctuation."""
    rng = random.Random(seed)
    parts = []
    for number in range(words):
        parts.append(rng.choice(WORDS) + (". " if number % 13 == 12 else "\n" if number % 61 == 60 else " "))
    return "".join(parts).strip()


def race(base: Callable[[], Any], other: Callable[[], Any], seconds: float = 0.03) -> tuple[float, float]:
    """Return the fastest of nine timed runs of each, in seconds per call; run in turn on the same machine."""
    found: list[list[float]] = [[], []]
    loops = []
    for call in (base, other):
        call()
        start = time.perf_counter()
        call()
        loops.append(max(1, int(seconds / max(1e-9, time.perf_counter() - start))))
    for _ in range(9):
        for times, call, often in zip(found, (base, other), loops, strict=True):
            start = time.perf_counter()
            for _ in range(often):
                call()
            times.append((time.perf_counter() - start) / often)
    return min(found[0]), min(found[1])


def peers() -> tuple[dict[str, Count], list[str]]:
    """Return the installed peers' counting functions, and the names of the missing ones."""
    makers: dict[str, tuple[str, Callable[[Any], Count]]] = {
        "toktok-rs": ("toktok", lambda m: m._encoding(ENCODING).count),
        "quicktok-v1": ("quicktok", lambda m: m.get_encoding(ENCODING).count),
        "splintr-rs": ("splintr", lambda m: _ids(m.Tokenizer.from_pretrained(ENCODING).encode)),
        "bpe-openai": ("bpe_openai", lambda m: _ids(m.get_encoding(ENCODING).encode_ordinary)),
        "rs_bpe": ("rs_bpe.bpe", lambda m: m.openai.o200k_base().count),
    }
    found: dict[str, Count] = {}
    missing = []
    for name, (module, make) in makers.items():
        try:
            found[name] = make(importlib.import_module(module))
        except Exception as error:
            missing.append(f"{name} ({type(error).__name__})")
    return found, missing


def _ids(encode: Callable[[str], Any]) -> Count:
    return lambda text: len(encode(text))


def fast_counter(exact: RuleCounter) -> RuleCounter | None:
    """Return the counter "fast", or None when its engine is missing."""
    try:
        return ib_fast.FastCounter(None, exact.encoder)
    except BrokenPlugin as error:
        print(error)
        return None


def texts_table(exact: RuleCounter, fast: RuleCounter | None) -> list[str]:
    """Compare counting one text, without and with our cache."""
    reference = exact.encoder(ENCODING)
    tiktoken = _ids(reference.tiktoken.encode_ordinary)
    texts = {"30 tokens": prose(26), "1 kB": prose(170)[:1000], "100 kB": prose(20_000)[:100_000]}
    mixed = "Grüße aus Köln, 東京の天気は晴れ。 Привет, мир! 🙂 "
    texts["100 kB, mixed scripts"] = ((prose(40) + mixed) * 400)[:100_000]
    rows: dict[str, Count] = {"tiktoken": tiktoken, "ib_tiktoken, encoder": reference.count}
    rows["ib_tiktoken, count_text (cached)"] = lambda text: exact.count_text(text, MODEL).tokens
    if fast:
        rows["ib_fast, encoder"] = fast.encoder(ENCODING).count
        rows["ib_fast, count_text (cached)"] = lambda text: fast.count_text(text, MODEL).tokens
    others, missing = peers()
    rows |= others
    head = "| | " + " | ".join(texts) + " | equal |"
    lines = ["## One text, warm", "", head, "|---" * (len(texts) + 2) + "|"]
    for row, count in rows.items():
        cells = []
        for text in texts.values():
            plain, took = race(functools.partial(tiktoken, text), functools.partial(count, text))
            cells.append(f"{took * 1e6:,.1f} µs ({plain / took:.1f}×)")
        equal = all(count(text) == tiktoken(text) for text in texts.values())
        lines.append(f"| {row} | " + " | ".join(cells) + f" | {'yes' if equal else '**no**'} |")
    return [*lines, "", f"Not installed here: {', '.join(missing) or 'none'}.", ""]


def conversation(count: Callable[[list[dict[str, str]]], Any]) -> float:
    """Return the total seconds of counting every turn of a growing conversation."""
    messages = [{"role": "system", "content": prose(60, seed=9)}]
    total = 0.0
    for turn in range(TURNS):
        messages.append({"role": "user", "content": prose(110, seed=2 * turn)})
        start = time.perf_counter()
        count(messages)
        total += time.perf_counter() - start
        messages.append({"role": "assistant", "content": prose(110, seed=2 * turn + 1)})
    return total


def conversation_table(exact: RuleCounter, fast: RuleCounter | None) -> list[str]:
    """Compare re-counting every turn with counting what is new."""
    reference = exact.encoder(ENCODING)

    def recount(messages: list[dict[str, str]]) -> int:
        encode = reference.tiktoken.encode_ordinary
        return 3 + sum(4 + len(encode(message["content"])) for message in messages)

    def ours(counter: RuleCounter) -> float:
        return min(conversation(_requests(counter)) for _ in range(3))

    plain = min(conversation(recount) for _ in range(2))
    rows = {"tiktoken, every turn counted anew": plain, "ib_tiktoken": ours(exact)}
    if fast:
        rows["ib_fast"] = ours(fast)
    lines = [f"## A conversation of {TURNS} turns", "", "| | total | ratio |", "|---|---|---|"]
    lines += [f"| {row} | {took * 1e3:,.1f} ms | {plain / took:.1f}× |" for row, took in rows.items()]
    return [*lines, ""]


def _requests(counter: RuleCounter) -> Callable[[list[dict[str, str]]], Any]:
    fresh = RuleCounter(counter.encoder)  # the same rules and encoder with an empty cache
    body = {"model": MODEL, "stream": True, "stream_options": {"include_usage": True}}
    return lambda messages: fresh.count_request({**body, "messages": messages}, MODEL)


def first_count_table(runs: int = 9) -> list[str]:
    """Compare the first count in a fresh process; tiktoken finds its ranks in a local cache."""
    text = "Name three primary colours."
    programs = {
        "tiktoken, ranks in its cache": (
            f"import tiktoken; tiktoken.get_encoding('{ENCODING}').encode_ordinary('{text}')"
        ),
        "ib_tiktoken": f"import ib_tiktoken; ib_tiktoken.count_text('{text}', '{MODEL}')",
        "ib_fast": (
            "import ib_fast, ib_tiktoken; c = ib_tiktoken.TiktokenCounter();"
            f" ib_fast.FastCounter(None, c.encoder).count_text('{text}', '{MODEL}')"
        ),
    }
    took: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / CACHE_NAME).write_bytes(official_file(ENCODING))
        environment = {**os.environ, "TIKTOKEN_CACHE_DIR": folder}
        for _ in range(runs):
            for name, code in programs.items():
                start = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, "-c", code], env=environment, capture_output=True, check=False
                )
                if done.returncode == 0:
                    took[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(found) for name, found in took.items() if found}
    plain = medians["tiktoken, ranks in its cache"]
    lines = ["## First count in a fresh process, ranks included", "", "| | median | ratio |", "|---|---|---|"]
    lines += [f"| {name} | {took * 1e3:.0f} ms | {took / plain:.2f} |" for name, took in medians.items()]
    return [*lines, ""]


def exactness(fast: RuleCounter | None, exact: RuleCounter, strings: int) -> list[str]:
    """Compare the fast encoder with tiktoken over random strings."""
    if fast is None:
        return ["## Exactness of ib_fast", "", "Not measured: its engine is not installed.", ""]
    rng = random.Random(2026)
    alphabets = [
        "abc XYZ.,'\n\t 019",
        "éñüßÅİǅ ʼ’\u0301",
        "中文字 。東京",
        "🙂👩‍💻 \u200d\ufe0f",
        "".join(map(chr, range(0x20, 0x7F))),
    ]
    wrong = dict.fromkeys((ENCODING, "cl100k_base"), 0)
    for number in range(strings):
        size = rng.randint(1, 30)
        if number % 2:
            points = (rng.randrange(0x110000 if number % 4 == 1 else 0x3000) for _ in range(size))
            text = "".join(map(chr, points))
        else:
            text = "".join(rng.choices(rng.choice(alphabets) + prose(3, seed=number), k=size))
        for name in wrong:
            wrong[name] += fast.encoder(name).encode(text) != exact.encoder(name).encode(text)
    found = ", ".join(f"{name}: {count}" for name, count in wrong.items())
    return [
        "## Exactness of ib_fast",
        "",
        f"Differences from tiktoken in {strings:,} random strings: {found}.",
        "",
    ]


def accuracy() -> list[str]:
    """Compare counts with recorded usage, where the corpus is at hand."""
    folder = os.environ.get("IB_COUNTING_CORPUS")
    lines = ["## Accuracy on recorded requests", ""]
    if not folder:
        return [*lines, "Not measured: IB_COUNTING_CORPUS is not set.", ""]
    with lzma.open(Path(folder) / "dev.jsonl.xz", "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["locally_countable"] and not row["anomaly"]]
    lines += [
        "| | requests | ours exact | flagged exact, of these wrong | messages only exact |",
        "|---|---|---|---|---|",
    ]
    for api in ("chat", "responses"):
        some = [row for row in rows if row["api"] == api]
        counts = [
            ib_tiktoken.count_request(row["request"], row["model_requested"] or row["model_returned"])
            for row in some
        ]
        right = [count.tokens == row["usage"]["input"] for row, count in zip(some, counts, strict=True)]
        claims = [good for good, count in zip(right, counts, strict=True) if count.exact]
        simple = statistics.mean(_messages_only(row) == row["usage"]["input"] for row in some)
        lines.append(
            f"| {api} | {len(some):,} | {statistics.mean(right):.1%} |"
            f" {len(claims):,}, {1 - statistics.mean(claims):.1%} | {simple:.1%} |"
        )
    return [
        *lines,
        "",
        "*Messages only*: the published formula, 3 + T(role and content) per message, + 3.",
        "",
    ]


def _messages_only(row: dict[str, Any]) -> int:
    model = row["model_returned"]
    given = row["request"].get("messages", row["request"].get("input"))
    messages = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    values = [str(v) for m in messages for k, v in m.items() if k in ("role", "content", "name")]
    return 3 + 3 * len(messages) + sum(ib_tiktoken.count_text(value, model).tokens for value in values)


def main() -> None:
    """Measure everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strings", type=int, default=300_000, help="random strings to compare")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "counting.md")
    given = parser.parse_args()
    exact = ib_tiktoken.TiktokenCounter()
    fast = fast_counter(exact)
    versions = ", ".join(f"{name} {_version(name)}" for name in ("tiktoken", "toktok-rs"))
    today = datetime.datetime.now(datetime.UTC).date()
    lines = [
        "# Counting, measured",
        "",
        f"{today}, Python {platform.python_version()}, {os.cpu_count()} cores, {versions}, {ENCODING}."
        " Use the ratios.",
        "",
        *texts_table(exact, fast),
        *conversation_table(exact, fast),
        *first_count_table(),
        *exactness(fast, exact, given.strings),
        *accuracy(),
    ]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
