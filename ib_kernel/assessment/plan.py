"""What a judge will be asked about one interview, in which order, and whether that was asked before."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.passages import Shown
from ib_kernel.values.judging import Case, Judge

if TYPE_CHECKING:
    from ib_kernel.assessment.rubric import Rubric
    from ib_kernel.values import LedgerEvent, Session

PASSES = 3
"""Looks at each criterion."""

BEGAN = "judging"
"""The kind of event of an interview: a judge was asked about it."""

SAME = ("judge", "model", "version", "rubric_sha", "record_sha")
"""What is equal where the same was asked about the same."""


def new_meta(
    session: Session, judge: Judge, model: str, rubric: Rubric, passages: Sequence[Shown]
) -> dict[str, Any]:
    """Return what a judge's new session keeps of what it is asked, its chance included."""
    return {
        "about": session.session_id,
        "judge": judge.name,
        "model": model,
        "version": judge.version,
        "rubric_sha": rubric.sha,
        "record_sha": _record_sha(passages),
        "passes": PASSES,
        "seed": secrets.randbits(31),
        "mark": secrets.token_hex(8),
    }


def plan_of(
    meta: Mapping[str, Any], rubric: Rubric, passages: Sequence[Shown], task: str, role: str
) -> list[Case]:
    """Return every look in its order, and the order of its levels: both follow from the seed."""
    said = tuple(shown.passage for shown in passages)
    plan: list[Case] = []
    for number in range(1, int(meta["passes"]) + 1):
        shuffled = list(rubric.criteria)
        random.Random(f"{meta['seed']}/{number}").shuffle(shuffled)  # noqa: S311 - an order, no secret
        for criterion in shuffled:
            levels = [0, 1, 2, 3]
            random.Random(f"{meta['seed']}/{number}/{criterion.name}").shuffle(levels)  # noqa: S311
            order = levels[0], levels[1], levels[2], levels[3]
            plan.append(
                Case(
                    criterion.name,
                    criterion.title,
                    criterion.anchors,
                    order,
                    number,
                    said,
                    str(meta["mark"]),
                    task,
                    role,
                )
            )
    return plan


def asked_before(events: Sequence[LedgerEvent], meta: Mapping[str, Any]) -> str | None:
    """Return the newest judge's session in which the same was asked about the same; None: there is none.

    Args:
        events: Of the interview.
        meta: What would be asked now (see `new_meta`).
    """
    for event in reversed(events):
        if event.kind == BEGAN and all(event.detail.get(name) == meta[name] for name in SAME):
            return str(event.detail["judge_session"])
    return None


def _record_sha(passages: Sequence[Shown]) -> str:
    import hashlib

    said = [[s.passage.place, s.passage.speaker, s.passage.text] for s in passages]
    return hashlib.sha256(json.dumps(said).encode("utf-8", "replace")).hexdigest()
