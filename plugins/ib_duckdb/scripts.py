"""The files of SQL statements beside this module."""

from __future__ import annotations

from pathlib import Path


def script(name: str) -> str:
    """Return the statements of ``NAME.sql``."""
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
