"""`HostStoreContract`: what a ledger must keep for a host, beside `BudgetStoreContract`.

A plugin author subclasses it as `BudgetStoreContract`, with the same `make_store` and `process_factory`; it
tests `ib_kernel.values.HostStore` and `ib_kernel.values.EvidenceStore`.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(f"ib_kernel.testing._host_{part}" for part in ("base", "people", "requests", "sessions", "shared"))
)  # before their import

from ib_kernel.testing._host_base import Ledger  # noqa: E402
from ib_kernel.testing._host_people import Invitations, PeopleAndTokens  # noqa: E402
from ib_kernel.testing._host_requests import Ceilings, Requests  # noqa: E402
from ib_kernel.testing._host_sessions import Evidence, SessionsOfAHost  # noqa: E402
from ib_kernel.testing._host_shared import SharedLedger  # noqa: E402
from ib_kernel.values import EvidenceStore, HostStore  # noqa: E402

__all__ = ["HostStoreContract"]


class HostStoreContract(
    PeopleAndTokens, Invitations, Requests, Ceilings, SessionsOfAHost, SharedLedger, Evidence
):
    """Subclass, define `make_store`, and pytest runs every test of this class against your store."""

    def test_it_is_a_store_for_a_host(self, store: Ledger) -> None:
        """The object has the protocols' methods."""
        assert isinstance(store, HostStore)
        assert isinstance(store, EvidenceStore)
