"""Deciding what a reservation in doubt has cost: settle it with figures somebody has, or write it off.

A call ends up in doubt when it was sent and nobody knows what became of it: a timeout, a lost connection, a
killed kernel. It stays charged until somebody decides here; who and when is recorded in the ledger's events.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ib_kernel.budget.service import TokenService
from ib_kernel.errors import BuddyError, ReservationError
from ib_kernel.models import prices
from ib_kernel.values import CallEnd, Reservation, Usage


def find(service: TokenService, reservation_id: str | None, session_id: str) -> Reservation:
    """Return the reservation in doubt of that id, or the session's only one when the id is None.

    The beginning of an id is enough where it fits one. `ReservationError` says what is in doubt instead.
    """
    every = [r for r in service.store.reservations() if r.in_doubt]
    here = [r for r in every if r.session_id == session_id]
    named = here if reservation_id is None else [
        r for r in every if r.reservation_id.startswith(reservation_id)
    ]  # fmt: skip
    if len(named) == 1:
        return named[0]
    if not every:
        raise ReservationError("nothing is in doubt in this ledger")
    listed = ", ".join(r.reservation_id for r in (named or here or every)[:5])
    if reservation_id is None:
        raise ReservationError(f"{len(here)} calls of this session are in doubt; name one of: {listed}")
    fits = "fits several" if named else "is not in doubt"
    raise ReservationError(f"{reservation_id!r} {fits}; in doubt: {listed}")


def settle(
    service: TokenService,
    unresolved: Reservation,
    input_tokens: int,
    output_tokens: int,
    *,
    reason: str = "",
    passphrase: str | None = None,
) -> CallEnd:
    """End an unresolved reservation with the tokens that somebody knows, priced as the call would have been.

    Args:
        service: The ledger's service.
        unresolved: The reservation, as `find` returns it.
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the reply.
        reason: Why, for the event.
        passphrase: The session's, if it is locked.

    Returns:
        The row that was written.

    Raises:
        Locked: In a locked session without its passphrase.
        ReservationError: When it has ended meanwhile.
    """
    end = CallEnd(input_tokens, output_tokens, source="counted", finish_reason="resolved")
    end = _priced(service, unresolved, end)
    rid = unresolved.reservation_id
    if not service.resolve(rid, end, reason=reason, passphrase=passphrase):
        raise ReservationError(
            f"reservation {rid} was settled meanwhile, with other figures: %budget shows them"
        )
    return end


def _priced(service: TokenService, unresolved: Reservation, end: CallEnd) -> CallEnd:
    try:
        asked = unresolved.call.model or service.get_session(unresolved.session_id).model
        model = service.plugins.model(asked, service.settings, unresolved.call.client)
    except BuddyError:  # no longer known here: no price is better than a wrong one
        return end
    if model.counts_as:  # nobody bills a scripted model
        return end
    price = prices.price_call(model, Usage(end.input_tokens, end.output_tokens))
    return dataclasses.replace(end, cost_nano_usd=price.nano_usd, price_source=price.source)


def left_behind(reservations: Sequence[Reservation], *, own: str | None = None) -> str:
    """Describe in one line what *reservations* charge, or "" when there are none.

    *own* is a session to go on with: without it, the line names the session to use. A reservation becomes
    *in doubt* when its kernel no longer renews its lease (`Settings.lease_s`); until then a
    running turn in another kernel looks like one that was cut short.
    """
    if not reservations:
        return ""
    held = [r for r in reservations if not r.in_doubt]
    unresolved = [r for r in reservations if r.in_doubt]
    parts = []
    if held:
        parts.append(
            f"{_tokens(held)} held by a turn that was cut short, or still runs in another kernel "
            "(in doubt when that kernel no longer renews it)"
        )
    if unresolved:
        parts.append(f"{_tokens(unresolved)} in doubt from a turn that was cut short")
    where = "%budget" if own else f"%interview use {reservations[-1].session_id}, then %budget,"
    return f"{' and '.join(parts)}: {where} shows more."


def _tokens(reservations: Sequence[Reservation]) -> str:
    total = sum(r.tokens for r in reservations)
    return f"{total:,} token{'' if total == 1 else 's'} {'is' if total == 1 else 'are'}"
