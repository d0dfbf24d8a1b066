"""Responses prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ib_kernel.counting.ruler import Ruler


def add_responses(request: Mapping[str, Any], ruler: Ruler) -> None:
    """Add the prompt of a Responses body."""
    given = request["input"]
    ruler.tokens += ruler.profile.per_request
    ruler.tokens += ruler.profile.per_message + ruler.text(given)
