"""A place for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from desks import Place, place

from ib_kernel.settings import Settings


@pytest.fixture
def desk(settings: Settings) -> Iterator[Place]:
    """Yield a host and whoever asks it."""
    with place(settings) as running:
        yield running
