"""What earlier turns have left behind: holds of a kernel that was restarted, and calls in doubt."""

from __future__ import annotations

from collections.abc import Sequence

from ib_kernel.protocols import Reservation


def left_behind(reservations: Sequence[Reservation], *, own: str | None = None) -> str:
    """Say in one line what *reservations* charge, or "" when there are none.

    *own* is a session to go on with: without it, the line names the session to use. A hold becomes *in
    doubt* when its kernel no longer renews its lease (`Settings.lease_s`); until then nobody can tell a
    running turn in another kernel from one that was cut short.
    """
    if not reservations:
        return ""
    held = [r for r in reservations if not r.in_doubt]
    doubted = [r for r in reservations if r.in_doubt]
    parts = []
    if held:
        parts.append(
            f"{_tokens(held)} held by a turn that was cut short, or still runs in another kernel "
            "(in doubt when it is not heard of)"
        )
    if doubted:
        parts.append(f"{_tokens(doubted)} in doubt from a turn that was cut short")
    where = "%budget" if own else f"%interview use {reservations[-1].session_id}, then %budget,"
    return f"{' and '.join(parts)}: {where} shows more."


def _tokens(reservations: Sequence[Reservation]) -> str:
    total = sum(r.tokens for r in reservations)
    return f"{total:,} token{'' if total == 1 else 's'} {'is' if total == 1 else 'are'}"
