"""The challenges an interview can pose: what they are made of, how they are read, where they are found."""

from ib_kernel.interview.challenges.find import (
    MAX_BYTES,
    list_challenges,
    load_challenge,
    offered_challenges,
)
from ib_kernel.interview.challenges.model import Challenge, Criterion, Reveal
from ib_kernel.interview.challenges.parse import parse_challenge

__all__ = [
    "MAX_BYTES",
    "Challenge",
    "Criterion",
    "Reveal",
    "list_challenges",
    "load_challenge",
    "offered_challenges",
    "parse_challenge",
]
