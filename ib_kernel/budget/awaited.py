"""The same reservations for callers on an event loop: they wait for the ledger without a thread of their own.

A ledger that offers the optional coroutines of `BudgetStore` (``areserve``, …) is asked by them; any other in
a worker thread.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

from ib_kernel.budget.access import LedgerAccess
from ib_kernel.budget.reservations import OWNER
from ib_kernel.values import CallEnd, CallStart, Message, Refusal, Reservation


class AwaitedReservations:
    """Reserves and ends reservations from an event loop. What is awaited is durable when it returns."""

    def __init__(self, access: LedgerAccess) -> None:
        self._access = access

    async def areserve(
        self,
        session_id: str,
        tokens: int,
        *,
        lease_s: float,
        nano_usd: int = 0,
        call: CallStart | None = None,
    ) -> Reservation | Refusal:
        """Reserve *tokens* like `ReservationManager.reserve`; a caller that is cancelled leaves none.

        Args:
            session_id: The session that pays.
            tokens: Tokens to reserve.
            lease_s: Seconds until the reservation becomes unresolved unless renewed.
            nano_usd: Nano-dollars to reserve beside the tokens.
            call: What is known about the attempt.
        """
        given: dict[str, Any] = {"lease_s": lease_s, "nano_usd": nano_usd, "owner": OWNER, "call": call}
        write = getattr(self._access.store, "areserve", None)
        if write is not None:
            reserved: Reservation | Refusal = await write(session_id, tokens, **given)
            return reserved
        work = asyncio.get_running_loop().run_in_executor(
            None, functools.partial(self._access.store.reserve, session_id, tokens, **given)
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(self._release_unwanted)
            raise

    async def asettle_call(
        self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()
    ) -> bool:
        """End a reservation with what was used (see `ReservationManager.settle_call`).

        Args:
            reservation: What `areserve` returned.
            end: What the attempt has cost.
            messages: What was asked and answered, for the transcript.
        """
        return bool(await self._write("settle", reservation, end, messages=messages))

    async def arelease(self, reservation: Reservation, end: CallEnd | None = None) -> bool:
        """End a reservation that has cost nothing (see `ReservationManager.release`).

        Args:
            reservation: What `areserve` returned.
            end: How the attempt failed, to be kept as a row.
        """
        return bool(await self._write("release", reservation, end))

    async def amark_unresolved(
        self, reservation: Reservation, reason: str, *, messages: Sequence[Message] = ()
    ) -> bool:
        """Leave a reservation charged (see `ReservationManager.mark_unresolved`).

        Args:
            reservation: What `areserve` returned.
            reason: Why, in a few words.
            messages: What had arrived, for the transcript.
        """
        return bool(await self._write("mark_unresolved", reservation, reason, messages=messages))

    async def arenew(self, reservations: Sequence[Reservation], lease_s: float) -> set[str]:
        """Extend the leases of many reservations in one write.

        Args:
            reservations: What `areserve` returned.
            lease_s: Seconds from now on.

        Returns:
            The ids of those that are still held.
        """
        kept: set[str] = await self._write("renew", reservations, lease_s=lease_s)
        return kept

    async def _write(self, name: str, *args: Any, **given: Any) -> Any:
        """Call the store's coroutine, or its method in a thread; once begun, a write goes on to its end."""
        write = getattr(self._access.store, f"a{name}", None)
        if write is not None:
            return await write(*args, **given)
        return await asyncio.to_thread(getattr(self._access.store, name), *args, **given)

    def _release_unwanted(self, work: asyncio.Future[Reservation | Refusal]) -> None:
        if (
            not work.cancelled()
            and work.exception() is None
            and isinstance(held := work.result(), Reservation)
        ):
            self._access.store.release(held)
