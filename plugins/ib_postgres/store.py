"""`PostgresStore`: the ledger's parts put together, and what is read from it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence

from ib_kernel.values import CallEnd, LedgerEvent, Message, Reservation, Spent, Totals
from ib_kernel.values.turn_view import PHASE, Standing, TurnView
from ib_kernel.values.verified import Verification
from ib_postgres.address import Address
from ib_postgres.asking import Limits
from ib_postgres.asking_part import Asking
from ib_postgres.database import Database, Row
from ib_postgres.endings import Endings
from ib_postgres.evidence import Evidence
from ib_postgres.host_invitations import Invitations
from ib_postgres.host_people import People
from ib_postgres.host_requests import Requests
from ib_postgres.host_sessions import HostSessions
from ib_postgres.migrate import require_current
from ib_postgres.moving_part import Moving
from ib_postgres.news import News
from ib_postgres.privacy import Privacy
from ib_postgres.reservations import Reservations
from ib_postgres.rows import to_session, to_totals
from ib_postgres.text import given, given_json, given_value
from ib_postgres.upkeep import Upkeep
from ib_postgres.writer import Writer

_HISTORY = """
SELECT turn, role, content, created_at, partial, asked_at FROM ib.messages
WHERE session_key = %s ORDER BY seq"""

_EVENTS = "SELECT kind, created_at, who, detail FROM ib.events WHERE session_key = %s ORDER BY seq"

_NEWEST = """
SELECT kind, created_at, who, detail FROM ib.events WHERE session_key = %s AND kind = %s
ORDER BY seq DESC LIMIT 1"""

_SPENT = """
SELECT turn, ended_at, input_tokens, output_tokens, token_budget, model, counted_tokens, source,
    charged_tokens
FROM ib.calls WHERE session_key = %s AND status = 'settled' AND input_tokens + output_tokens > 0
ORDER BY seq"""

_LATELY = """
WITH mine AS NOT MATERIALIZED (
    SELECT * FROM ib.calls
    WHERE session_key = %(session)s AND status = 'settled' AND turn > 0 AND output_tokens > 0
), ends AS (
    (SELECT turn FROM mine ORDER BY turn LIMIT 1)
    UNION
    (SELECT DISTINCT turn FROM mine ORDER BY turn DESC LIMIT %(turns)s)
)
SELECT turn, ended_at, input_tokens, output_tokens, token_budget, model, counted_tokens, source,
    charged_tokens
FROM mine WHERE turn IN (SELECT turn FROM ends) ORDER BY seq"""


class PostgresStore(
    Reservations, Endings, Evidence, People, Invitations, Requests, HostSessions, Asking, Moving, Privacy
):
    """The ledger (`ib_kernel.values.BudgetStore`) in a PostgreSQL database that several hosts share.

    Args:
        url: Where it is, as psql takes it.
        store_transcript: False drops messages; everything else is recorded.
        clock: Gives seconds since 1970; None: the server's clock, which all hosts share.
        pool_size: Connections of this process at most.
        store_timeout_s: Seconds after which a ledger that does not answer refuses.
        pooler: It is reached through pgbouncer in transaction mode.
        limits: What one query of somebody's may take.
        tick_s: Seconds that a running session's clock gains at most between two looks at it.
        background: False lets nothing look at running sessions on its own.

    Raises:
        StoreError: The database does not answer, has no ledger, or one of another version.
        ConfigError: The address cannot be read.
    """

    name = "postgres"

    def __init__(
        self,
        url: str,
        *,
        store_transcript: bool = True,
        clock: Callable[[], float] | None = None,
        pool_size: int = 8,
        store_timeout_s: float = 5.0,
        pooler: bool = False,
        tick_s: float = 120.0,
        background: bool = True,
        limits: Limits | None = None,
    ) -> None:
        self._clock, self._keep_text, self._most = clock, store_transcript, tick_s
        self._news, self._news_count = threading.Condition(), 0
        self._database = Database(Address(url), size=pool_size, timeout_s=store_timeout_s, pooler=pooler)
        self._writer = Writer(self._database)
        self._limits = limits or Limits()
        self._closed = False
        try:
            with self._database.session() as db:
                require_current(db)
        except BaseException:
            self._database.close()
            raise
        self._others = News(self._database, self._wake, direct=not pooler)
        self._upkeep = Upkeep(self._database, tick_s) if background else None

    def location(self) -> str:
        """Where the ledger lives: hosts, database and user, without a password."""
        return str(self._database.address)

    def about(self) -> list[tuple[str, bool]]:
        """Return lines about the server, each with whether it is well so (see `HostStore`)."""
        from ib_postgres.server import about

        with self._database.session() as db:
            return about(db)

    def totals(self, session_id: str) -> Totals:
        """Return the session's sums, in about a millisecond. `UnknownSession`."""
        return to_totals(self._current(session_id))

    def standing(self, session_id: str) -> Standing:
        """Return the session and its sums, of one moment (see `TurnStore`)."""
        return self._standing(self._current(session_id))

    def _standing(self, row: Row) -> Standing:
        return Standing(to_session(row, row["now"], self._most), to_totals(row), row["events"])

    def turn_view(self, session_id: str, *, turns: int, known: TurnView | None = None) -> TurnView:
        """Return all that a turn is composed from (see `TurnStore`); the session's row is read once for it.

        Args:
            session_id: The session.
            turns: How many of the newest turns' figures.
            known: An earlier view.
        """
        row = self._current(session_id)
        standing = self._standing(row)
        if known is not None and known.is_of(standing):
            return known.now(standing)
        key, read = row["session_key"], self._database.read
        history = _as_messages(read(_HISTORY, (key,))) if row["messages"] else []
        spent = _as_spent(read(_LATELY, {"session": key, "turns": turns})) if row["calls"] else []
        phases = read(_NEWEST, (key, PHASE))
        phase = _as_event(session_id, phases[0]) if phases else None
        return TurnView(standing.session, standing.totals, standing.events, history, spent, phase)

    def settle_turn(
        self, reservation: Reservation, end: CallEnd, *, messages: Sequence[Message] = ()
    ) -> tuple[bool, Standing]:
        """Settle, and return the session as it is after that (see `TurnStore`)."""
        same = self.settle(reservation, end, messages=messages)
        return same, self.standing(reservation.session_id)

    def history(self, session_id: str) -> list[Message]:
        """Return the transcript in order; empty when transcripts are not stored."""
        return _as_messages(self._database.read(_HISTORY, (self._row(session_id)["session_key"],)))

    def events(self, session_id: str) -> list[LedgerEvent]:
        """Return the session's events in order."""
        rows = self._database.read(_EVENTS, (self._row(session_id)["session_key"],))
        return [_as_event(session_id, row) for row in rows]

    def spent(self, session_id: str) -> list[Spent]:
        """Return the session's settled attempts that used tokens, in order."""
        return _as_spent(self._database.read(_SPENT, (self._row(session_id)["session_key"],)))

    def spent_lately(self, session_id: str, turns: int) -> list[Spent]:
        """Return what `spent` has of the first answered turn and of the newest ones, in order.

        Args:
            session_id: The session.
            turns: How many of the newest.
        """
        key = self._row(session_id)["session_key"]
        return _as_spent(self._database.read(_LATELY, {"session": key, "turns": turns}))

    def check(self) -> list[str]:
        """Rebuild totals from rows; return one line per disagreement (empty: the ledger adds up)."""
        from ib_postgres.audit import check

        return check(self._database)

    def verify(self, session_id: str | None = None) -> list[str]:
        """Recompute the hash chain of a session, or of all; return one line for each that differs."""
        return list(self.verification(session_id).differences)

    def verification(self, session_id: str | None = None) -> Verification:
        """Do the same, and say how many sessions, rows and erased texts there are."""
        from ib_postgres.proof import verify

        key = None if session_id is None else self._row(session_id)["session_key"]
        return verify(self._database, key)

    def flush(self) -> None:
        """Return at once: what is written is where it is read."""

    def close(self) -> None:
        """End threads and connections. The store is not used afterwards. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._upkeep is not None:
            self._upkeep.stop()
        self._others.close()
        self._writer.close()
        self._database.close()


def _as_spent(rows: Sequence[Row]) -> list[Spent]:
    return [Spent(**{name: given_value(value) for name, value in row.items()}) for row in rows]


def _as_messages(rows: Sequence[Row]) -> list[Message]:
    return [Message(**{name: given_value(value) for name, value in row.items()}) for row in rows]


def _as_event(session_id: str, row: Row) -> LedgerEvent:
    detail = json.loads(given_json(row["detail"]))
    return LedgerEvent(session_id, given(row["kind"]), row["created_at"], given(row["who"]), detail)
