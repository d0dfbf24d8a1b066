"""A ledger with levels that not everybody may see, and queries that try to see them: for every store."""

from __future__ import annotations

import dataclasses
from typing import Any

from ib_kernel.values import LedgerEvent, Message, NewSession, Reader, Score, Status

ANN, BEN, CARA = Reader("Ann"), Reader("Ben"), Reader("Cara", coordinator=True)
OWNER = Reader("me", coordinator=True, all_scores=True, hides_locked=True)
PLANTED = "PLANTED-WORDS"
LOCK = {"ib_lock": {"kind": "scrypt"}}


def plant(store: Any) -> None:
    """Put levels into an empty ledger, an adapted and a locked session, and a judge's own."""
    usual = NewSession("usual", "Ada", 9_000, "m", time_limit_s=2_700.0)
    adapted = dataclasses.replace(usual, session_id="adapted", time_limit_s=2_970.0, accommodation="time=1.1")
    about = NewSession("judge", "judge", 9_000, "m", meta={"about": "usual"})
    for session in (usual, adapted, about, NewSession("locked", "Cy", 9_000, "m", meta=LOCK)):
        store.open_session(session)
        store.set_status(session.session_id, Status.ACTIVE)
    store.set_time_limit("adapted", 2_970.0 + 660.0)
    for session_id in ("usual", "locked"):
        store.add_score(Score(session_id, "races", "Ben", "person", level=3, reason=PLANTED))
        store.add_score(Score(session_id, "races", "judge", "model", level=2, reason=PLANTED))
        store.add_event(LedgerEvent(session_id, "note", 0.0, "Ben", {"text": "a note"}))
    judged = {"criterion": "races", "level": 2, "why": PLANTED}
    store.add_event(LedgerEvent("judge", "judged", 0.0, "", judged))
    store.add_message("judge", Message(1, "assistant", PLANTED))


ATTACKS = [
    "SELECT * FROM scores",
    "SELECT * FROM main.scores",
    "SELECT * FROM memory.main.scores",
    "SELECT * FROM latest_scores",
    "SELECT * FROM apart_scores",
    "SELECT * FROM hot.scores",
    "SELECT * FROM record.main.scores",
    "SELECT * FROM query_table('scores')",
    "SELECT * FROM query_table('sco' || 'res')",
    "SELECT * FROM query('SELECT * FROM scores')",
    "SUMMARIZE scores",
    "SELECT error(reason) FROM scores",
    "SELECT CASE WHEN level = 3 THEN error(reason) END FROM scores",
    "SELECT 1 FROM scores WHERE reason::INTEGER = 1",
    "SELECT error(detail::VARCHAR) FROM events WHERE kind = 'judged'",
    "SELECT 1 FROM events WHERE (detail ->> 'why')::INTEGER = 1",
    "SELECT 1 FROM events WHERE CASE WHEN detail ->> 'level' = '2' THEN error('PLANTED-WORDS') ELSE true END",
    "SELECT error(content) FROM messages",
    "SELECT 1 FROM messages WHERE content::INTEGER = 1",
    "SELECT * FROM timeline",
    "SELECT * FROM duckdb_views()",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM pragma_storage_info('scores')",
    "EXPLAIN ANALYZE SELECT * FROM scores WHERE level = 3",
    "EXPLAIN SELECT * FROM scores",
    "/* */ explain analyze SELECT * FROM scores",
    "SELECT list(scores) FROM scores",
    "SELECT (SELECT max(reason) FROM scores)",
    "WITH x AS (SELECT * FROM scores) SELECT * FROM x",
    "SELECT * FROM agreement",
    "SELECT * FROM calibration",
    "SELECT * FROM order_effect",
]
