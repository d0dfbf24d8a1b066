"""The plain values that cross borders, and what the core asks of a counter, a client and a store.

All token figures are whole tokens, all times are seconds since the Unix epoch (UTC), all durations are
seconds unless the name ends in ``_ms``, and money is integer nano-dollars (10⁻⁹ USD) with None for
"no price known". Values are frozen; a store or client hands out new ones instead of changing old ones.
"""

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
