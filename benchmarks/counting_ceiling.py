"""Say how many recorded requests a rule can count at best where an alias has named snapshots that differ.

    IB_COUNTING_CORPUS=FOLDER python benchmarks/counting_ceiling.py [--keep 0.987]

A rule that does not read what people wrote sees of a plain request its model, its fields and the roles of its
messages. Requests that look the same to it get the same reading, the alias's or its oldest snapshot's, so of
each such group it counts one part or the other; and one rule has to serve every corpus. Which reading a group
gets is chosen here in hindsight, from the answers: the figures are bounds, not goals.
"""

from __future__ import annotations

import argparse
import collections
import json
import lzma
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ib_tiktoken
from ib_kernel.counting import profile

OLDEST = {"gpt-3.5-turbo": "gpt-3.5-turbo-0301"}
"""The aliases of which a snapshot counts differently, and that snapshot."""
Row = Mapping[str, Any]
Rows = Sequence[Row]
VIEWS: dict[str, Callable[[Row], tuple[Any, ...]]] = {
    "the model": lambda request: (),
    "the model and the fields": lambda request: (*sorted(request),),
    "these and how many messages": lambda request: (*sorted(request), len(request["messages"])),
    "these and the roles in their order": lambda request: (
        *sorted(request),
        *(message["role"] for message in request["messages"]),
    ),
}


def read(path: Path) -> list[Row]:
    """Return the countable chat requests of a corpus."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row for row in rows if row["api"] == "chat" and row["locally_countable"]]


def is_ambiguous(row: Row) -> bool:
    """Return True if the request names an alias that moved and has no field that dates it."""
    if row["model_requested"] not in OLDEST:
        return False
    doubt = profile(row["model_requested"]).doubt("before tools")
    return doubt in ib_tiktoken.count_request(row["request"], row["model_requested"]).reason


def is_oldest(row: Row) -> bool:
    """Return True if the recorded count is what the oldest snapshot counts."""
    counted = ib_tiktoken.count_request(row["request"], OLDEST[row["model_requested"]]).tokens
    return bool(counted == row["usage"]["input"])


def is_counted(row: Row) -> bool:
    """Return True if our rules count the request exactly."""
    model = row["model_requested"] or row["model_returned"]
    return bool(ib_tiktoken.count_request(row["request"], model).tokens == row["usage"]["input"])


def most_gained(rows: Rows, others: Rows, view: Callable[[Row], tuple[Any, ...]], spare: int) -> int:
    """Return how many more of *rows* are exact with the oldest reading where it helps, at best.

    Args:
        rows: The requests that are to be counted.
        others: Those for which the same rule has to do.
        view: What the rule sees of an ambiguous request.
        spare: How many of the *others* it may lose.
    """
    gain: collections.Counter[tuple[Any, ...]] = collections.Counter()
    loss: collections.Counter[tuple[Any, ...]] = collections.Counter()
    for counter, sign, part in ((gain, 1, rows), (loss, -1, others)):
        for row in filter(is_ambiguous, part):
            group = (row["model_requested"], *view(row["request"]))
            counter[group] += sign if is_oldest(row) else -sign
    best = [0] * (spare + 1)  # by what is spared; a group is read one way or the other
    for group in gain:
        cost = max(0, loss[group])
        for left in range(spare, cost - 1, -1):
            best[left] = max(best[left], best[left - cost] + gain[group])
    return best[spare]


def say(name: str, rows: Rows, others: Rows, keep: float) -> None:
    """Print the ceilings of one corpus, where *keep* of the others must stay exact."""
    open_rows = [row for row in rows if is_ambiguous(row)]
    old = sum(map(is_oldest, open_rows))
    counted = sum(map(is_counted, rows))
    sys.stdout.write(
        f"{name}: {len(rows)} chat requests, {counted} ({100 * counted / len(rows):.1f} %) exact; "
        f"{len(open_rows)} ambiguous, {old} of them by the oldest snapshot\n"
    )
    for about, view in VIEWS.items():
        all_else = most_gained(rows, others, view, max(0, math.floor((1 - keep) * len(others))))
        as_it_is = most_gained(
            rows, others, view, max(0, math.floor(sum(map(is_counted, others)) - keep * len(others)))
        )
        most, more = len(rows) - old + all_else, counted + as_it_is
        sys.stdout.write(
            f"  by {about}: {more} ({100 * more / len(rows):.1f} %), "
            f"{most} ({100 * most / len(rows):.1f} %) if all others were exact\n"
        )


def main() -> None:
    """Print the ceiling of each corpus under one rule that serves the others too."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", type=float, default=0.987, help="the share of the others to keep exact")
    keep = parser.parse_args().keep
    folder = os.environ.get("IB_COUNTING_CORPUS")
    if not folder:
        raise SystemExit("IB_COUNTING_CORPUS is not set: the recorded requests are not part of the project")
    corpora = {path.name.partition(".")[0]: read(path) for path in sorted(Path(folder).glob("*.jsonl.xz"))}
    for name, rows in corpora.items():
        say(name, rows, [row for other in corpora if other != name for row in corpora[other]], keep)


if __name__ == "__main__":
    main()
