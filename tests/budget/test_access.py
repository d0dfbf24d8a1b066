"""What the service's parts share: one ledger, opened once, closed by who opened it; one line a change."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Iterator

import pytest

from ib_duckdb.store import DuckDBStore
from ib_kernel import TokenService, hookimpl
from ib_kernel.budget.access import LedgerAccess, default_candidate
from ib_kernel.plugin.registry import Catalog
from ib_kernel.settings import Settings


@pytest.fixture
def lent(settings: Settings) -> Iterator[DuckDBStore]:
    """A ledger that somebody else opened and closes."""
    store = DuckDBStore(settings.data_dir, background=False)
    yield store
    store.close()


class Closes:
    """A ledger that counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        """Count."""
        self.closed += 1


def test_a_ledger_that_was_handed_in_is_used_and_left_open(settings: Settings, lent: DuckDBStore) -> None:
    """Its giver closes it; the settings' own ledger is not opened beside it."""
    access = LedgerAccess(settings, store=lent)
    assert access.store.sessions() == []
    access.close()
    assert lent.sessions() == []


def test_a_ledger_is_opened_once_at_first_use_and_closed_by_who_opened_it(settings: Settings) -> None:
    """Closing before that opens nothing."""
    access, opened = LedgerAccess(settings), Closes()
    access.close()
    access.plugins.register(_Offers(opened), name="counts")
    access.settings = settings.replace(store="counting")
    assert access.store is access.store
    access.close()
    assert opened.closed == 1


class _Offers:
    def __init__(self, store: Closes) -> None:
        self._store = store

    @hookimpl
    def ib_register(self, catalog: Catalog) -> None:
        """Offer the ledger."""
        catalog.add_store("counting", lambda settings: self._store)  # type: ignore[arg-type,return-value]


def test_each_change_of_a_session_is_one_line_of_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """It names the session and what has changed."""
    caplog.set_level(logging.INFO, logger="ib_kernel.budget.access")
    service = TokenService(settings)
    service.create_session("Ada", 1_000, session_id="s")
    service.pause("s")
    service.set_budget("s", 2_000)
    service.close()
    assert [record.getMessage() for record in caplog.records] == [
        "session s: created",
        "session s: started",
        "session s: paused",
        "session s: budget",
    ]


@pytest.mark.parametrize("error", [OSError, KeyError, ImportError])
def test_a_system_that_names_no_user_has_a_candidate_all_the_same(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """As in a container whose user is in no list."""

    def nobody() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert default_candidate() == "candidate"
