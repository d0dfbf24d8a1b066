"""Write the evidence table of the counting rules from recorded requests.

    IB_COUNTING_CORPUS=FOLDER python benchmarks/counting_evidence.py [--without REPOSITORY]

FOLDER holds ``*.jsonl.xz`` files of recorded requests with the service's own usage; they are not part of the
project. Writes ``ib_kernel/counting/constructs.toml``: for each construct and column the requests counted
exactly, their repositories, and the wrong counts that no other little-known construct explains.
``--without`` leaves a repository out and prints how the claims of the others' evidence fare on it.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import lzma
import math
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ib_tiktoken
from ib_kernel.counting import evidence, profile
from ib_kernel.counting.accumulator import TOO_FEW

TABLE = Path(evidence.__file__).with_name("constructs.toml")
NONE: collections.Counter[tuple[str, str]] = collections.Counter()
USUAL = 0.005  # the share of wrong counts among those that only use constructs which nobody contests
Key = tuple[str, str]
Row = tuple[int, int, int]


@dataclass(frozen=True)
class Sample:
    """A recorded request: the repository, its (construct, column) pairs and by how much our count was short.

    `doubted` says that a rule forbids the claim whatever the evidence; a wrong count is then explained.
    """

    repository: str
    keys: frozenset[Key]
    short: int
    doubted: bool

    @property
    def right(self) -> bool:
        """Whether our count was exact."""
        return self.short == 0


def samples(folder: Path) -> list[Sample]:
    """Return the countable recorded requests in *folder*, without those of known anomalies."""
    found = []
    for path in sorted(folder.glob("*.jsonl.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        found += [sample(row) for row in rows if row["locally_countable"] and not row["anomaly"]]
    return found


def sample(row: Mapping[str, Any]) -> Sample:
    """Return *row* with the constructs that our rules see in it."""
    model = row["model_requested"] or row["model_returned"]
    count = ib_tiktoken.count_request(row["request"], model)
    family = "reasoning" if profile(model).reasoning else "standard"
    keys = frozenset((name, evidence.column(name, row["api"], family)) for name in count.constructs)
    doubted = any(not reason.startswith(TOO_FEW) for reason in count.reason.split("; ") if reason)
    return Sample(row["source_repo"], keys, row["usage"]["input"] - count.tokens, doubted)


def support(found: Iterable[Sample]) -> dict[Key, Row]:
    """Return (right, repositories, wrong) of every construct.

    A wrong count speaks against the constructs of its request only while none of them is unsupported: of the
    contested, the one that explains most is taken out first.
    """
    right: collections.Counter[Key] = collections.Counter()
    repositories: dict[Key, set[str]] = collections.defaultdict(set)
    wrong: list[frozenset[Key]] = []
    keys: set[Key] = set()
    for one in found:
        keys |= one.keys
        if one.right:
            right.update(one.keys)
            for key in one.keys:
                repositories[key].add(one.repository)
        elif not one.doubted:
            wrong.append(one.keys)

    def row(key: Key, against: collections.Counter[Key]) -> Row:
        return right[key], len(repositories[key]), against[key]

    out = {key for key in keys if evidence.is_open(*key) or not evidence.is_supported(*row(key, NONE))}
    blamed: collections.Counter[Key] = collections.Counter()
    while True:
        against = collections.Counter(key for one in wrong if not one & out for key in one)
        contested = [key for key in against if not evidence.is_supported(*row(key, against))]
        if not contested:
            return {key: row(key, against + blamed) for key in keys}
        worst = max(contested, key=lambda key: (_contest(right[key], against[key]), key))
        blamed[worst] = against[worst]
        out.add(worst)


def shortfalls(found: Iterable[Sample], rows: Mapping[Key, Row]) -> dict[Key, int]:
    """Return the most tokens by which claims fell short, under the constructs that explain most of them.

    Of the constructs in the short claims, the one that most share is taken first (the rarer of two), then
    that of the others.
    """
    claims = [one for one in found if not one.doubted and all(_claimed(key, rows[key]) for key in one.keys)]
    left = [one for one in claims if one.short > 0]
    short: dict[Key, int] = {}
    while left:
        shared = collections.Counter(key for one in left for key in one.keys)
        worst = max(shared, key=lambda key: (shared[key], -rows[key][0], key))
        short[worst] = max(one.short for one in left if worst in one.keys)
        left = [one for one in left if worst not in one.keys]
    return short


def _claimed(key: Key, row: Row) -> bool:
    return evidence.is_supported(*row) and not evidence.is_open(*key)


def _contest(right: int, wrong: int) -> float:
    """Return how much better a construct explains its wrong counts than the usual rate does."""
    return wrong * math.log(wrong / (right + wrong) / USUAL)


def text(rows: Mapping[Key, Row], short: Mapping[Key, int]) -> str:
    """Return the tables as TOML."""
    columns: dict[str, dict[str, Row]] = collections.defaultdict(dict)
    for (name, column), row in sorted(rows.items()):
        columns[name][column] = row
    lines = [HEAD.format(date=datetime.datetime.now(tz=datetime.UTC).date())]
    for (name, column), tokens in sorted(short.items()):
        lines.append(f"\n[short.{json.dumps(name)}]\n{json.dumps(column)} = {tokens}\n")
    for name, found in sorted(columns.items()):
        lines.append(f"\n[construct.{json.dumps(name)}]\n")
        lines += [f"{json.dumps(column)} = {list(row)}\n" for column, row in found.items()]
    return "".join(lines)


HEAD = """\
# What is known of each construct of a request, by API and family: recorded requests that were counted
# exactly, the repositories they come from, and wrong counts that no other little-known construct explains.
# "short": the most tokens by which a claimed count fell short, at the construct that most such counts share.
#
# Written by benchmarks/counting_evidence.py from recorded requests (IB_COUNTING_CORPUS); not edited by hand.

[source]
what = "recorded calls of 2023-03 to 2026-08, countable offline and without known anomalies"
date = {date}
"""


def without(found: list[Sample], repository: str) -> str:
    """Return how claims made with the evidence of the other repositories fare on *repository*."""
    rows = support(one for one in found if one.repository != repository)
    known = {key for key, row in rows.items() if _claimed(key, row)}
    held = [one for one in found if one.repository == repository]
    claimed = [one.right for one in held if one.keys <= known and not one.doubted]
    return f"{repository}: {len(held)} requests, {len(claimed)} claimed, {claimed.count(False)} wrongly"


def main() -> None:
    """Write the table, or cross-check it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--without", metavar="REPOSITORY", help="'each' leaves out every one in turn")
    given = parser.parse_args()
    folder = os.environ.get("IB_COUNTING_CORPUS")
    if not folder:
        raise SystemExit("IB_COUNTING_CORPUS is not set: the recorded requests are not part of the project")
    found = samples(Path(folder))
    if not given.without:
        rows = support(found)
        TABLE.write_text(text(rows, shortfalls(found, rows)), encoding="utf-8")
        return
    names = sorted({one.repository for one in found}) if given.without == "each" else [given.without]
    for name in names:
        sys.stdout.write(without(found, name) + "\n")


if __name__ == "__main__":
    main()
