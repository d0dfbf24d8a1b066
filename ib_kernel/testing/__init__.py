"""Tests that plugin authors inherit, and the services they run against.

`LLMClientContract`, `TokenCounterContract`, `BudgetStoreContract`, `HostStoreContract` and
`UsageViewsContract` are test classes: subclass one, say how to make your client, counter or store, and pytest
runs every promise of the protocol against it. `FaultServer` is an OpenAI-compatible service on a loopback
port that fails as it is told to. The classes need pytest, the server does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ib_kernel.testing.client import LLMClientContract
    from ib_kernel.testing.counter import TokenCounterContract
    from ib_kernel.testing.faults import FAULTS, Fault, Step
    from ib_kernel.testing.host import HostStoreContract
    from ib_kernel.testing.server import FaultServer
    from ib_kernel.testing.store import BudgetStoreContract
    from ib_kernel.testing.views import UsageViewsContract

_WHERE = {
    "BudgetStoreContract": "store",
    "FAULTS": "faults",
    "Fault": "faults",
    "FaultServer": "server",
    "HostStoreContract": "host",
    "LLMClientContract": "client",
    "Step": "faults",
    "TokenCounterContract": "counter",
    "UsageViewsContract": "views",
}

__all__ = [
    "FAULTS",
    "BudgetStoreContract",
    "Fault",
    "FaultServer",
    "HostStoreContract",
    "LLMClientContract",
    "Step",
    "TokenCounterContract",
    "UsageViewsContract",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
