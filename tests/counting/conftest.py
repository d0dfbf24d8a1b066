"""What the tests of counting share."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from ib_kernel import counting


@pytest.fixture(scope="session", autouse=True)
def _rules_read_anew() -> None:
    """Nothing is remembered from before: a rule that was changed meanwhile (`make mutation`) is looked up."""
    for found in pkgutil.iter_modules(counting.__path__):
        for value in vars(importlib.import_module(f"{counting.__name__}.{found.name}")).values():
            if callable(forget := getattr(value, "cache_clear", None)):
                forget()
