"""What a host keeps beside sessions: people, invitations, tokens, requests that may be repeated, a ceiling.

Every hash is a hex SHA-256: a ledger never sees a code or a token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from ib_kernel.values.ledger import Message, Reservation
from ib_kernel.values.session import Session

Role = Literal["interviewer", "coordinator"]
"""What somebody on the interviewer's side may do."""

GrantKind = Literal["candidate", "gateway", "interviewer", "link"]
"""What a token is for."""

RequestState = Literal["running", "finished", "unfinished"]
"""What has become of a request: `unfinished` means that whoever worked on it is gone."""

SEEN_S = 3_600.0
"""Seconds after which a host that has not said that it runs is forgotten."""

REPEAT_S = 600.0
"""Seconds within which an invitation may be taken again with the same nonce: an answer can get lost."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on the interviewer's side. `removed_at` is None while they may come in."""

    name: str
    role: Role
    created_at: float = 0.0
    removed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """A code that lets one candidate into one session, once.

    `code_hash` and `nonce_hash` are hashes of the code and of what the client sent with it ("": not used
    yet), `gateway` whether the candidate's own tools may spend from the session too. It can be taken until
    `expires_at` unless it was used or revoked before.
    """

    invitation_id: str
    session_id: str
    code_hash: str
    created_by: str
    created_at: float
    expires_at: float
    gateway: bool = False
    used_at: float | None = None
    nonce_hash: str = ""
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A token by its hash: what it is for (`kind`) and whose it is.

    `subject` is a session id for "candidate" and "gateway", a person's name for "interviewer" and "link".
    """

    token_hash: str
    kind: GrantKind
    subject: str
    created_at: float
    expires_at: float
    revoked_at: float | None = None
    created_by: str = ""

    def valid(self, now: float) -> bool:
        """Return True if the token is neither revoked nor expired at *now* (seconds since 1970)."""
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request that was admitted under an id of its client's choice, and what has come of it so far.

    `body_sha` is the hash of what was asked, `text` the reply as far as it was stored, `result` what else the
    client is told at the end (JSON-able: footer, figures).
    """

    session_id: str
    request_id: str
    body_sha: str
    turn: int
    reservation_id: str
    state: RequestState
    text: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """That something about a session has changed.

    `kind` is "session" (state, budget, time), "call", "message", "event", "reply" (a running request),
    "cell", "check" or "score".
    """

    session_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What all sessions together may cost, in nano-dollars (None: no ceiling), and what they have.

    `day_spent` is what was settled since midnight UTC, `held` what is held or in doubt and counts for both.
    """

    day_nano_usd: int | None = None
    total_nano_usd: int | None = None
    day_spent: int = 0
    total_spent: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class HostAddress:
    """A host that serves this ledger: where, its certificate's SHA-256 ("": signed by a known authority).

    `seen_at` is when it was last known to run.
    """

    address: str
    fingerprint: str = ""
    seen_at: float = 0.0


@runtime_checkable
class HostStore(Protocol):
    """What a ledger must do for a host beside `BudgetStore`, proven by `ib_kernel.testing.HostStoreContract`.

    Optional: ``unfinished_requests() -> list[StoredRequest]``, those whose worker is gone, so that a host
    puts what had come of them into the transcript though nobody asks for it again. And, in a ledger that
    hosts of several machines share, ``announce_host(address, fingerprint)`` (called every few seconds),
    ``withdraw_host(address)`` and ``hosts() -> list[HostAddress]``, those seen within `SEEN_S`; without these
    a host's address stands in its data directory. And ``about() -> list[tuple[str, bool]]``, what the doctor
    says of a ledger's server, each line with whether it is well so.

    Nothing of this reaches SQL or an export. Optional coroutines with the arguments, answers and errors of
    their namesakes, for callers on an event loop: ``agrant``, ``arequest``, ``awrite_reply``,
    ``atake_invitation``, ``aadd_message``, ``aadd_event``, ``acredit_time``, ``achanges``.
    """

    # people
    def add_person(self, name: str, role: Role, *, who: str = "") -> Person:
        """Let somebody in on the interviewer's side. `ConfigError` for an empty name or one that is there."""
        ...

    def people(self) -> list[Person]:
        """Return everybody by name, removed ones included."""
        ...

    def remove_person(self, name: str, who: str) -> bool:
        """Keep somebody out from now on and revoke their tokens; False if nobody of that name is there."""
        ...

    # invitations
    def add_invitation(self, invitation: Invitation) -> None:
        """Record an invitation and an event "invited". `UnknownSession`; `ConfigError` for a known code."""
        ...

    def invitations(self, session_id: str | None = None) -> list[Invitation]:
        """Return invitations, newest first."""
        ...

    def take_invitation(
        self, code_hash: str, nonce_hash: str, grants: Sequence[Grant] = ()
    ) -> Invitation | None:
        """Use an invitation, in one conditional write: only one caller can.

        Older tokens of the session (candidate and gateway) are revoked, *grants* are stored, and an event
        "joined" is recorded. With the same nonce within `REPEAT_S` seconds it answers the same again, and
        stores *grants* only if they are other ones.

        Returns:
            The invitation as it is then, or None: no such code, or used, expired or revoked.
        """
        ...

    def revoke_invitation(self, invitation_id: str, who: str) -> bool:
        """Make an unused invitation worthless; False if it was used, revoked or is not there."""
        ...

    # tokens
    def add_grant(self, grant: Grant) -> None:
        """Store a token's hash. `ConfigError` for one that is there."""
        ...

    def grant(self, token_hash: str) -> Grant | None:
        """Return what a token is for, revoked and expired ones too, or None."""
        ...

    def grants(self, subject: str | None = None, kind: GrantKind | None = None) -> list[Grant]:
        """Return tokens, newest first, revoked and expired ones too."""
        ...

    def revoke_grants(
        self,
        *,
        subject: str | None = None,
        kind: GrantKind | None = None,
        token_hash: str | None = None,
        who: str = "",
    ) -> int:
        """Revoke the tokens that match all that is given; return how many. `ConfigError` without any."""
        ...

    def host_secret(self) -> bytes:
        """Return the ledger's 32 random bytes, made once; they are listed and moved nowhere."""
        ...

    # requests
    def request(self, session_id: str, request_id: str) -> StoredRequest | None:
        """Return the request of that id, or None. A running one whose worker is gone is unfinished."""
        ...

    def write_reply(
        self,
        reservation: Reservation,
        text: str,
        *,
        state: RequestState = "running",
        result: Mapping[str, Any] | None = None,
    ) -> bool:
        """Store what has come of a request so far, durably.

        Args:
            reservation: The value that `reserve` returned, also after it was settled. `ReservationError` for
                one without its owner's token.
            text: The whole reply so far.
            state: What has become of it. A finished one stays finished.
            result: What else the client is told at the end; None leaves what is there.

        Returns:
            True if it was stored; False if the reservation has no request, or that was finished before.
        """
        ...

    def close_request(
        self, session_id: str, request_id: str, messages: Sequence[Message], result: Mapping[str, Any]
    ) -> bool:
        """Write down that a request stays unfinished, in one conditional write: only one caller can.

        Args:
            session_id: Its session.
            request_id: A request whose worker is gone (`request` says "unfinished").
            messages: What was asked and what had come of it; stored unless the turn has messages already.
            result: What the client is told at the end.

        Returns:
            True if this call did it; False, and nothing is written, if the request runs, is finished, is not
            there, or somebody else has done it.
        """
        ...

    # sessions
    def add_message(self, session_id: str, message: Message) -> None:
        """Store a message of the transcript outside any turn, such as a line of role "interviewer"."""
        ...

    def credit_time(
        self, session_id: str, seconds: float, reason: str, who: str = "", *, ending_now: bool = False
    ) -> Session:
        """Give back time that the clock should not have run, with an event "clock_stopped".

        Never more than has run. A session that had expired is active again when this leaves it time.

        Args:
            session_id: The session.
            seconds: How much.
            reason: Why, for the event.
            who: Who does it.
            ending_now: The seconds are those up to now: what another caller has given back of them since is
                not given back again, and where nothing is left of them nothing is written.
        """
        ...

    def changes(self, cursor: str = "", wait_s: float = 0.0) -> tuple[list[Change], str]:
        """Return what has changed since *cursor*, and the cursor to go on with; across processes.

        Args:
            cursor: What an earlier call returned; "" for now, with no changes.
            wait_s: Seconds to wait for a first change.
        """
        ...

    # money
    def set_ceiling(
        self, *, day_nano_usd: int | None = None, total_nano_usd: int | None = None, who: str = ""
    ) -> Ceiling:
        """Set what all sessions together may cost per day (UTC) and in all; None is no ceiling.

        `BudgetStore.reserve` checks it in its own conditional write; what does not fit is refused with reason
        "ceiling".
        """
        ...

    def ceiling(self) -> Ceiling:
        """Return the ceiling and what counts towards it; zeros while there is none."""
        ...
