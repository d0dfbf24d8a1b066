"""What the tests of the ledger share."""

from __future__ import annotations

from pathlib import Path

import pytest
from postgres_servers import ledgers, postgres

__all__ = ["ledgers", "postgres"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the ledger lives."""
    return tmp_path / "data"
