"""No row holds a key, whoever writes it through the service, and the store stays the store."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from ib_kernel import TokenService
from ib_kernel.budget.scrubbed import WRITES, scrubbed
from ib_kernel.secrets import Secret
from ib_kernel.settings import Settings
from ib_kernel.values import (
    BudgetStore,
    CallEnd,
    CallStart,
    EvidenceStore,
    HostStore,
    LedgerEvent,
    Message,
    Reservation,
)
from ib_kernel.values.moving import LedgerSource, LedgerTarget
from ib_kernel.values.privacy import PrivacyStore
from ib_kernel.values.turn_view import TurnStore

KEY = "0123456789abcdef0123456789abcdef"
READS = {"location", "session", "sessions", "reservations", "totals", "history", "events", "sql", "check"}
READS |= {"people", "invitations", "grant", "grants", "request", "changes", "ceiling", "host_secret"}
READS |= {"cells", "checks", "challenge", "scores", "standing", "turn_view"}
NEITHER = {"renew", "flush", "close"}
HASHES = {
    "add_person",
    "remove_person",
    "add_invitation",
    "take_invitation",
    "revoke_invitation",
    "add_grant",
}
"""Names that a coordinator gives, and hashes of codes and tokens; nothing that somebody has said."""
HASHES |= {"revoke_grants", "set_ceiling"}


def test_each_method_of_a_store_is_known_to_write_words_or_not() -> None:
    """A method that a later edition adds is put on one of the lists before it is let through."""
    protocols = (BudgetStore, HostStore, EvidenceStore, TurnStore)
    methods = {
        name for p in protocols for name, _ in inspect.getmembers(p, inspect.isfunction) if name[0] != "_"
    }
    assert methods == WRITES | READS | NEITHER | HASHES


def test_no_table_holds_a_key_that_the_service_was_given(settings: Settings) -> None:
    """Not as a name, a model, a question, a reply, a finish reason, usage, an event or a reason."""
    Secret(KEY)
    service = TokenService(settings)
    said = f"it is {KEY.upper()}, I think"
    made = service.create_session(
        f"Ada {KEY}", 9_000, session_id="s", role=said, level=said, meta={"a": [said]}
    )
    assert KEY not in repr(made)
    reservation = service.reserve("s", 100, lease_s=60, call=CallStart(turn=None, model=said, client=said))
    messages = [Message(0, "user", said), Message(0, "assistant", said)]
    end = CallEnd(5, 5, model_returned=said, finish_reason=said, response_id=said, raw_usage=said, error=said)
    service.settle_call(reservation, end, messages=messages)
    other = service.reserve("s", 100, lease_s=60, call=CallStart(turn=None))
    service.mark_unresolved(other, said, messages=messages)
    service.write_off(other.reservation_id, reason=said)
    service.store.add_event(LedgerEvent("s", "note", 0.0, who=said, detail={said: said}))
    rows = [
        service.store.sql(f"FROM {table}").fetchall() for table in ("sessions", "calls", "messages", "events")
    ]
    service.close()
    assert all(rows)
    assert KEY not in repr(rows).lower()
    for file in settings.data_dir.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes().lower(), file.name


def test_what_is_no_write_is_the_stores_own(settings: Settings) -> None:
    """Optional methods, attributes and names pass; wrapping twice changes nothing."""
    with_store = TokenService(settings)
    store = with_store.store
    assert isinstance(store, BudgetStore)
    assert scrubbed(store) is store
    assert store.name == "duckdb"
    assert store.spent.__self__ is store._store  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        store.no_such_method  # type: ignore[attr-defined]  # noqa: B018
    with_store.close()


def test_what_a_store_has_is_on_its_wrapper(settings: Settings) -> None:
    """From Python 3.12 on, `isinstance` with a protocol asks the object and its class, not `__getattr__`."""

    class Moves:
        name = "moves"
        tables = 3

        def plan(self) -> int:
            return self.tables

    inner = Moves()
    store: Any = scrubbed(inner)  # type: ignore[arg-type]
    found = [inspect.getattr_static(store, name, None) for name in ("name", "tables", "plan", "no_such")]
    assert [one is not None for one in found] == [True, True, True, False]
    assert hasattr(type(store), "plan")
    inner.tables = 4
    assert (store.plan(), store.tables) == (4, 4)
    service = TokenService(settings)
    wrapped: Any = service.store
    protocols = (BudgetStore, EvidenceStore, HostStore, LedgerSource, LedgerTarget, PrivacyStore, TurnStore)
    has = [isinstance(wrapped._store, protocol) for protocol in protocols]
    assert [isinstance(wrapped, protocol) for protocol in protocols] == has
    assert has[0]
    service.close()


def test_what_is_awaited_is_written_without_a_key_too(settings: Settings) -> None:
    """Only the namesakes of what writes: other names that begin with an a are the store's own."""
    Secret(KEY)
    service = TokenService(settings)
    service.create_session("Ada", 9_000, session_id="s")
    said = f"it is {KEY}, I think"

    async def turn() -> None:
        held = await service.areserve("s", 100, lease_s=60, call=CallStart(turn=None, model=said))
        assert isinstance(held, Reservation)
        await service.asettle_call(held, CallEnd(5, 5, error=said), messages=[Message(1, "user", said)])

    asyncio.run(turn())
    rows = [service.store.sql(f"FROM {table}").fetchall() for table in ("calls", "messages")]
    assert all(rows)
    assert KEY not in repr(rows)
    assert service.store.arenew.__self__ is service.store._store  # type: ignore[attr-defined]
    service.close()
