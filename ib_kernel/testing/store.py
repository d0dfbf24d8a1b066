"""`BudgetStoreContract`: what every ledger must keep, whoever wrote it and wherever it lives.

A plugin author writes::

    from ib_kernel.testing import BudgetStoreContract

    class TestMyStore(BudgetStoreContract):
        process_factory = "my_plugin:open_store"      # leave out: one process only

        def make_store(self, folder, clock, *, store_transcript=True):
            return MyStore(folder, clock=clock, store_transcript=store_transcript)

and runs pytest. `folder` is where the ledger may live (a store without files keys its memory by it). `clock`
returns seconds since 1970 and is moved by the tests, also backwards: a store takes its time from nowhere
else. `process_factory` names a callable that opens the same ledger in another process, given the folder as
text, on real time. A store that cannot do something says so (`answers_sql`, `budgets_money`,
`process_factory`) and the tests of it are skipped with that reason. Overriding a test needs an xfail with a
reason.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from ib_kernel.values import BudgetStore

_PARTS = ("base", "reservations", "charges", "owners", "unresolved", "model", "sessions", "shared", "turns")
pytest.register_assert_rewrite(
    *(f"ib_kernel.testing._store_{part}" for part in _PARTS)
)  # before their import

from ib_kernel.testing._store_base import Clock  # noqa: E402
from ib_kernel.testing._store_charges import Charging  # noqa: E402
from ib_kernel.testing._store_owners import Owners, Turns  # noqa: E402
from ib_kernel.testing._store_reservations import Admission, Endings  # noqa: E402
from ib_kernel.testing._store_sessions import Queries, Sessions  # noqa: E402
from ib_kernel.testing._store_shared import Persistence, Processes, Threads  # noqa: E402
from ib_kernel.testing._store_turns import TurnViews  # noqa: E402
from ib_kernel.testing._store_unresolved import Unresolved  # noqa: E402

__all__ = ["BudgetStoreContract", "Clock"]


class BudgetStoreContract(
    Admission,
    Charging,
    Endings,
    Turns,
    Owners,
    Unresolved,
    Sessions,
    TurnViews,
    Queries,
    Threads,
    Persistence,
    Processes,
):
    """Subclass, define `make_store`, and pytest runs every test of this class against your store."""

    histories = 25
    """How many random histories `test_any_history_keeps_the_invariants` tries."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, test in vars(cls).items():
            inherited = name.startswith("test_") and hasattr(BudgetStoreContract, name)
            if inherited and not any(m.name == "xfail" and m.kwargs.get("reason") for m in _marks(test)):
                raise TypeError(
                    f"{cls.__name__}.{name} overrides a contract test; mark it with "
                    "pytest.mark.xfail(reason=…) and say why the store cannot keep the promise"
                )

    def test_it_is_a_store(self, store: BudgetStore) -> None:
        """The object has the protocol's methods, a name, and says where its ledger lives."""
        assert isinstance(store, BudgetStore)
        assert store.name
        assert store.location()

    def test_any_history_keeps_the_invariants(self, folder: Path) -> None:
        """Random histories of calls, budgets and clock steps agree with a ten-line model."""
        hypothesis = pytest.importorskip("hypothesis")
        stateful = pytest.importorskip("hypothesis.stateful")
        from ib_kernel.testing._store_model import machine

        count = itertools.count()
        machines = machine(lambda clock: self.make_store(folder / str(next(count)), clock))
        settings = hypothesis.settings(
            max_examples=self.histories,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        stateful.run_state_machine_as_test(machines, settings=settings)


def _marks(test: Any) -> list[Any]:
    return list(getattr(test, "pytestmark", []))
