"""What the host's tests share: they are skipped where its extra is not installed."""

from __future__ import annotations

import pytest
from postgres_servers import ledgers, postgres

__all__ = ["ledgers", "postgres"]

pytest.importorskip("starlette", reason="the host's extra is missing: pip install -e '.[host]'")
pytest.importorskip("uvicorn", reason="the host's extra is missing: pip install -e '.[host]'")
pytest.importorskip("aiohttp", reason="the host's extra is missing: pip install -e '.[host]'")
