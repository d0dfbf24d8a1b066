"""The plain values that cross borders, and what the core asks of a counter, a client and a store.

All token figures are whole tokens, all times are seconds since the Unix epoch (UTC), all durations are
seconds unless the name ends in ``_ms``, and money is integer nano-dollars (10⁻⁹ USD) with None for
"no price known". Values are frozen; a store or client hands out new ones instead of changing old ones.

A value's module is imported when the first of its names is asked for: making all their classes takes as long
as everything else that ``%load_ext`` does.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ib_kernel.values.calls import (
        ChatRequest,
        Done,
        KeepAlive,
        LLMClient,
        Piece,
        RateLimits,
        ReplyStream,
        Source,
        Thinking,
        Usage,
    )
    from ib_kernel.values.counts import Count, TokenCounter
    from ib_kernel.values.evidence import Cell, Check, EvidenceStore, KeptChallenge, Score
    from ib_kernel.values.forecast import NextTurn
    from ib_kernel.values.host import Ceiling, Change, Grant, HostStore, Invitation, Person, StoredRequest
    from ib_kernel.values.judging import Case, Judge, JudgeRequest, Opinion, Passage, Quote
    from ib_kernel.values.ledger import (
        CallEnd,
        CallStart,
        LedgerEvent,
        Message,
        Refusal,
        Reservation,
        Spent,
        Totals,
    )
    from ib_kernel.values.moving import LedgerRows, LedgerSource, LedgerTarget, Moved, UsageFormat
    from ib_kernel.values.reader import Reader
    from ib_kernel.values.reported import Reported
    from ib_kernel.values.results import MAX_SHOWN, QueryResult
    from ib_kernel.values.session import TRANSITIONS, Charge, NewSession, Session, Status
    from ib_kernel.values.store import BudgetStore, StoreTools

__all__ = [
    "MAX_SHOWN",
    "TRANSITIONS",
    "BudgetStore",
    "CallEnd",
    "CallStart",
    "Case",
    "Ceiling",
    "Cell",
    "Change",
    "Charge",
    "ChatRequest",
    "Check",
    "Count",
    "Done",
    "EvidenceStore",
    "Grant",
    "HostStore",
    "Invitation",
    "Judge",
    "JudgeRequest",
    "KeepAlive",
    "KeptChallenge",
    "LLMClient",
    "LedgerEvent",
    "LedgerRows",
    "LedgerSource",
    "LedgerTarget",
    "Message",
    "Moved",
    "NewSession",
    "NextTurn",
    "Opinion",
    "Passage",
    "Person",
    "Piece",
    "QueryResult",
    "Quote",
    "RateLimits",
    "Reader",
    "Refusal",
    "ReplyStream",
    "Reported",
    "Reservation",
    "Score",
    "Session",
    "Source",
    "Spent",
    "Status",
    "StoreTools",
    "StoredRequest",
    "Thinking",
    "TokenCounter",
    "Totals",
    "Usage",
    "UsageFormat",
]

_MODULES = {
    "calls": (
        "ChatRequest",
        "Done",
        "KeepAlive",
        "LLMClient",
        "Piece",
        "RateLimits",
        "ReplyStream",
        "Source",
        "Thinking",
        "Usage",
    ),
    "counts": (
        "Count",
        "TokenCounter",
    ),
    "evidence": (
        "Cell",
        "Check",
        "EvidenceStore",
        "KeptChallenge",
        "Score",
    ),
    "forecast": ("NextTurn",),
    "host": (
        "Ceiling",
        "Change",
        "Grant",
        "HostStore",
        "Invitation",
        "Person",
        "StoredRequest",
    ),
    "judging": (
        "Case",
        "Judge",
        "JudgeRequest",
        "Opinion",
        "Passage",
        "Quote",
    ),
    "ledger": (
        "CallEnd",
        "CallStart",
        "LedgerEvent",
        "Message",
        "Refusal",
        "Reservation",
        "Spent",
        "Totals",
    ),
    "moving": (
        "LedgerRows",
        "LedgerSource",
        "LedgerTarget",
        "Moved",
        "UsageFormat",
    ),
    "reader": ("Reader",),
    "reported": ("Reported",),
    "results": (
        "MAX_SHOWN",
        "QueryResult",
    ),
    "session": (
        "TRANSITIONS",
        "Charge",
        "NewSession",
        "Session",
        "Status",
    ),
    "store": (
        "BudgetStore",
        "StoreTools",
    ),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
