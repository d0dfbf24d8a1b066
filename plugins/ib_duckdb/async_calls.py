"""The same writes for callers on an event loop: they wait for no lock, no disk and no thread of their own."""

from __future__ import annotations

from collections.abc import Sequence

from ib_duckdb.endings import Endings
from ib_duckdb.reservations import Reservations
from ib_kernel.values import CallEnd, CallStart, Message, Refusal, Reservation, Totals


class AsyncCalls(Reservations, Endings):
    """Each method does what its namesake does; callers that write at the same time share a transaction.

    A caller that is cancelled while it waits gets no answer: its write may be done, and a reservation that
    was made for it is released. Errors and refusals are those of the namesakes.
    """

    async def areserve(
        self,
        session_id: str,
        tokens: int,
        *,
        lease_s: float,
        nano_usd: int = 0,
        owner: str = "",
        call: CallStart | None = None,
        billed_tokens: int | None = None,
    ) -> Reservation | Refusal:
        """Reserve *tokens* for one attempt, durably, or say why not (see `BudgetStore.reserve`)."""
        held = (tokens, billed_tokens, nano_usd)
        return await self._writer.arun(self._reserving(session_id, held, lease_s, owner, call))

    async def arenew(self, reservations: Sequence[Reservation], *, lease_s: float) -> set[str]:
        """Extend leases; return the ids that are still held by their owner (see `BudgetStore.renew`)."""
        return await self._writer.arun(self._renewing(reservations, lease_s))

    async def asettle(
        self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()
    ) -> bool:
        """End a reservation with its real usage (see `BudgetStore.settle`)."""
        same = await self._writer.arun(self._settling(reservation, end, messages))
        self._moved_soon()
        return same

    async def arelease(self, reservation: Reservation, end: CallEnd | None = None) -> bool:
        """End a reservation that has cost nothing (see `BudgetStore.release`)."""
        released = await self._writer.arun(self._releasing(reservation, end))
        self._moved_soon()
        return released

    async def amark_unresolved(
        self, reservation: Reservation, reason: str, *, messages: Sequence[Message] = ()
    ) -> bool:
        """Say that nobody knows what the attempt has cost (see `BudgetStore.mark_unresolved`)."""
        marked = await self._writer.arun(self._marking(reservation, reason, messages))
        self._moved_soon()
        return marked

    async def acharge(
        self,
        session_id: str,
        end: CallEnd,
        *,
        call: CallStart | None = None,
        messages: Sequence[Message] = (),
    ) -> Totals:
        """Record usage that nothing was held for (see `BudgetStore.charge`)."""
        totals = await self._writer.arun(self._charging(session_id, end, call, messages))
        self._moved_soon()
        return totals
