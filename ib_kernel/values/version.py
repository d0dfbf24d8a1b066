"""This package's version, for rooms that must not import its public names."""

from __future__ import annotations

import sys

VERSION: str = sys.modules["ib_kernel"].__dict__["__version__"]
"""The version, such as "0.1.0"; the package's first lines have set it."""
