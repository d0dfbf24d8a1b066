"""What the tests of the ledger share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the ledger lives."""
    return tmp_path / "data"
