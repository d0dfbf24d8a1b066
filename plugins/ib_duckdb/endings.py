"""Each of the ways a reservation can end: by its owner, or by somebody's decision when nobody knows."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from ib_duckdb.base import Part
from ib_duckdb.batch import Batch
from ib_duckdb.calls import charged_by
from ib_duckdb.rows import Row, get, select_reservations, select_sessions, to_standing
from ib_duckdb.writer import Joint, Operation
from ib_duckdb.writing import has_messages, make_unresolved, note, sweep, write_messages
from ib_kernel.errors import ConfigError, ReservationError
from ib_kernel.values import CallEnd, Message, Reservation
from ib_kernel.values.domain import clean
from ib_kernel.values.ownership import require_owner
from ib_kernel.values.taken import FIGURES, checked_usage, require_name
from ib_kernel.values.turn_view import Standing

_ENDED = ("rid", "session_key", "turn", "status", "owner_hash", "charged_tokens", *FIGURES)


class Endings(Part):
    """The ends of reservations."""

    def settle(self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()) -> bool:
        """End a reservation with its real usage (see `BudgetStore.settle`)."""
        same = self._writer.run(self._settling(reservation, end, messages))
        self._moved_soon()
        return same

    def _settling(
        self, reservation: Reservation, end: CallEnd, messages: Sequence[Message]
    ) -> Operation[bool]:
        end, texts = checked_usage(end), self._texts(messages)
        rid = reservation.reservation_id

        def settle(batch: Batch) -> bool | None:
            reserved = batch.reservation(rid)
            if reserved is None or (texts and _is_late(reserved, batch.now)):
                return None
            require_owner(reservation, reserved)
            batch.end(reserved, end, "settled", texts)
            return True

        def work(db: apsw.Connection) -> bool:
            batch, reserved = _read(db, rid, self._now())
            if reserved is None:
                ended = _find_settled(db, rid, "settled")
                require_owner(reservation, ended)
                return self._settle_again(db, ended, end, messages, "", batch.now)
            require_owner(reservation, reserved)
            kept = _not_kept(db, reserved, texts) if texts and _is_late(reserved, batch.now) else texts
            batch.end(reserved, end, "settled", kept)
            batch.write()
            return True

        return Operation(work, joint=Joint(settle, rid=rid))

    def settle_turn(
        self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()
    ) -> tuple[bool, Standing]:
        """Settle, and return the session as the same write has left it (see `TurnStore`)."""
        settling = self._settling(reservation, end, messages)

        def work(db: apsw.Connection) -> tuple[bool, Row, float]:
            same, now = settling.work(db), self._now()
            row = get(db, reservation.session_id)
            return same, self._applied(db, row, now) if self._is_due(db, row, now) else row, now

        same, row, now = self._writer.run(Operation(work))
        self._moved_soon()
        return same, to_standing(row, now)

    def resolve(self, reservation_id: str, end: CallEnd, *, who: str, reason: str = "") -> bool:
        """Settle an unresolved reservation by decision of *who* (see `BudgetStore.resolve`)."""
        end = checked_usage(end)
        require_name("settling what is in doubt", who)
        now = self._now()
        with self._hot.write() as db:
            reserved = _find_unresolved(db, reservation_id, "settled", now)
            if reserved is None:
                ended = _find_settled(db, reservation_id, "settled")
                same = self._settle_again(db, ended, end, (), who, now)
            else:
                _end(db, reserved, end, "settled", now)
                row = row_of(db, reserved)
                figures = {"input_tokens": end.input_tokens, "output_tokens": end.output_tokens}
                note(db, row, "resolved", now, who, **_detail(reserved, reason), **figures)
                same = True
        self._moved_soon()
        return same

    def release(self, reservation: Reservation, end: CallEnd | None = None) -> bool:
        """End a reservation that has cost nothing (see `BudgetStore.release`)."""
        released = self._writer.run(self._releasing(reservation, end))
        self._moved_soon()
        return released

    def _releasing(self, reservation: Reservation, end: CallEnd | None) -> Operation[bool]:
        if end is not None:
            end = checked_usage(end)
            if end.input_tokens or end.output_tokens:
                raise ConfigError("release() is for attempts that cost nothing; settle() this one")
        rid = reservation.reservation_id

        def work(db: apsw.Connection) -> bool:
            batch, reserved = _read(db, rid, self._now())
            if reserved is None:
                return _ended_before(db, rid, "released")
            require_owner(reservation, reserved)
            if reserved["state"] == "doubt":
                raise ReservationError(
                    f"reservation {rid} is in doubt ({reserved['doubt_reason']}); settle it or write it off"
                )
            if end is None:
                batch.free(reserved)
                db.execute("INSERT INTO released VALUES (?, ?)", (rid, batch.now))
            else:
                batch.end(reserved, end, "failed")
            batch.write()
            return True

        return Operation(work)

    def mark_unresolved(
        self, reservation: Reservation, reason: str, *, messages: Sequence[Message] = ()
    ) -> bool:
        """Say that nobody knows what the attempt has cost (see `BudgetStore.mark_unresolved`)."""
        marked = self._writer.run(self._marking(reservation, reason, messages))
        self._moved_soon()
        return marked

    def _marking(self, reservation: Reservation, reason: str, messages: Sequence[Message]) -> Operation[bool]:
        rid, texts = reservation.reservation_id, self._texts(messages)

        def work(db: apsw.Connection) -> bool:
            now, reserved = self._now(), find_reservation(db, rid)
            if reserved is None:
                return _ended_before(db, rid, "in doubt")
            require_owner(reservation, reserved)
            if reserved["state"] == "doubt":
                return False
            if reserved["state"] == "held":
                make_unresolved(db, reserved, "doubt", reason, now)
            else:  # only its lease was over, and its owner knows more than the lease did
                values = (clean(reason), rid)
                db.execute("UPDATE reservations SET state = 'doubt', doubt_reason = ? WHERE rid = ?", values)
            late = _is_late(reserved, now)
            if not (
                late and reserved["turn"] and has_messages(db, reserved["session_key"], reserved["turn"])
            ):
                write_messages(db, reserved["session_key"], texts, now, reserved["turn"])
            return bool(reserved["state"] == "held")

        return Operation(work)

    def write_off(self, reservation_id: str, *, who: str, reason: str = "") -> bool:
        """Free an unresolved reservation by decision of *who* (see `BudgetStore.write_off`)."""
        require_name("a write-off", who)
        now = self._now()
        with self._hot.write() as db:
            reserved = _find_unresolved(db, reservation_id, "written off", now)
            if reserved is None:
                if _ended_how(db, reservation_id) == "written off":
                    return False
                raise _ended_otherwise(db, reservation_id, "written off")
            _end(db, reserved, None, "written_off", now)
            row = row_of(db, reserved)
            note(db, row, "written_off", now, who, **_detail(reserved, reason))
        self._moved_soon()
        return True

    def _settle_again(
        self, db: apsw.Connection, ended: Row, end: CallEnd, messages: Sequence[Message], who: str, now: float
    ) -> bool:
        """Compare a repeated settle with the first; keep what it adds, and that it came."""
        texts = self._texts(messages)
        if texts and ended["turn"] > 0 and not has_messages(db, ended["session_key"], ended["turn"]):
            write_messages(db, ended["session_key"], texts, now, ended["turn"])
        row = row_of(db, ended)
        figures = {name: getattr(end, name) for name in FIGURES}
        figures["charged_tokens"] = charged_by(row["charge"], end)
        same = all(ended[name] == value for name, value in figures.items())
        if not same:
            note(db, row, "settled_again", now, who, reservation_id=ended["rid"], **figures)
        return same


def _read(db: apsw.Connection, rid: str, now: float) -> tuple[Batch, Row | None]:
    """Return what a transaction does with one reservation, and its row, None when it is not open."""
    batch = Batch(db, now)
    batch.read(rids=[rid])
    return batch, batch.reservation(rid)


def _end(db: apsw.Connection, reserved: Row, end: CallEnd | None, status: str, now: float) -> None:
    batch, found = _read(db, reserved["rid"], now)
    assert found is not None  # noqa: S101 (for the type checker)
    batch.end(found, end, status)
    batch.write()


def _is_late(reserved: Row, now: float) -> bool:
    """Return True if somebody may have kept messages of the attempt already."""
    return bool(reserved["state"] != "held" or reserved["lease_until"] <= now)


def find_reservation(db: apsw.Connection, rid: str) -> Row | None:
    """Return the open reservation of that id, or None."""
    rows = select_reservations(db, "rid = ?", (rid,))
    return rows[0] if rows else None


def row_of(db: apsw.Connection, reserved: Row) -> Row:
    """Return the row of the session that *reserved* belongs to."""
    return select_sessions(db, "WHERE session_key = ?", (reserved["session_key"],))[0]


def _find_unresolved(db: apsw.Connection, rid: str, wanted: str, now: float) -> Row | None:
    """Return the unresolved reservation of that id, or None; `ReservationError` for one that is held."""
    reserved = find_reservation(db, rid)
    if reserved is not None and reserved["state"] == "held":
        sweep(db, reserved["session_key"], now)
        reserved = find_reservation(db, rid)
    if reserved is not None and reserved["state"] == "held":
        raise ReservationError(
            f"reservation {rid} is still held by {reserved['owner']}; only one in doubt can be {wanted}"
        )
    return reserved


def _find_settled(db: apsw.Connection, rid: str, wanted: str) -> Row:
    sql = f"SELECT {', '.join(_ENDED)} FROM calls WHERE rid = ? AND status = 'settled'"  # noqa: S608 (our names)
    row = db.execute(sql, (rid,)).fetchone()
    if row is None:
        raise _ended_otherwise(db, rid, wanted)
    return dict(zip(_ENDED, row, strict=True))


def _ended_how(db: apsw.Connection, rid: str) -> str:
    """Return how a reservation that is no longer open ended; "" when there was none of that id."""
    row = db.execute("SELECT status FROM calls WHERE rid = ?", (rid,)).fetchone()
    if row:
        return {"failed": "released", "written_off": "written off"}.get(row[0], str(row[0]))
    return "released" if db.execute("SELECT 1 FROM released WHERE rid = ?", (rid,)).fetchone() else ""


def _ended_before(db: apsw.Connection, rid: str, wanted: str) -> bool:
    """Return False for a reservation that has ended; `ReservationError` when there was none."""
    if not _ended_how(db, rid):
        raise _ended_otherwise(db, rid, wanted)
    return False


def _ended_otherwise(db: apsw.Connection, rid: str, wanted: str) -> ReservationError:
    how = _ended_how(db, rid)
    if not how:
        return ReservationError(f"no reservation {rid!r} in this ledger")
    return ReservationError(f"reservation {rid} was {how}, so it cannot be {wanted}")


def _detail(reserved: Row, reason: str) -> dict[str, object]:
    return {"reservation_id": reserved["rid"], "tokens": reserved["tokens"], "reason": reason}


def _not_kept(db: apsw.Connection, reserved: Row, texts: Sequence[Message]) -> Sequence[Message]:
    """Return what of *texts* a late settle adds to its turn's messages, if there are any.

    What had arrived was kept when the call was marked. Where only its lease was over, another host may have
    closed its request: then the reply is added as it really was.
    """
    key, turn = reserved["session_key"], reserved["turn"]
    if turn < 1 or not has_messages(db, key, turn):
        return texts
    if reserved["state"] == "doubt":
        return ()
    kept = {text for (text,) in db.execute(_REPLIES, (key, turn))}
    return [m for m in texts if m.role == "assistant" and m.content not in kept]


_REPLIES = "SELECT content FROM messages WHERE session_key = ? AND turn = ? AND role = 'assistant'"
