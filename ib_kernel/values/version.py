"""This package's version, for rooms that must not import its public names."""

from __future__ import annotations

import sys

VERSION: str = sys.modules["ib_kernel"].__dict__["__version__"]
"""The version, such as "0.1.0"; the package's first lines have set it."""


def which_side_upgrades(mine: str, theirs: str) -> str:
    """Return the line about two versions that do not fit, "" for two that do.

    Versions fit when they agree in all but the last number.
    """
    a, b = _numbers(mine), _numbers(theirs)
    if a[:2] == b[:2]:
        return ""
    if not b:
        return f"this host does not say its version; is it the right address? This notebook has {mine}"
    if a < b:
        return (
            f"the host has version {theirs} and this notebook {mine}: upgrade the notebook with "
            f"%pip install 'interview-buddy-kernel=={theirs}' and restart the kernel"
        )
    return (
        f"this notebook has version {mine} and the host {theirs}: ask the interviewer to upgrade the host, "
        f"or type %pip install 'interview-buddy-kernel=={theirs}'"
    )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 8)
