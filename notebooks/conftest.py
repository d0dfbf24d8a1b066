"""Notebooks are validated by nbval in strict mode: no key, a reply rendered once, nobody's own ledger."""

from __future__ import annotations

import os


def pytest_configure() -> None:
    """Prepare the environment that the notebooks' kernels inherit."""
    for name in [n for n in os.environ if n.startswith(("IB_", "OPENAI_")) and n != "IB_COUNTING_CORPUS"]:
        del os.environ[name]
    os.environ.update(IB_STREAM="final", IB_CONFIG=os.devnull)
