"""Every error this project raises on purpose, as one tree.

::

    BuddyError                    one clear line; shown without a traceback in a notebook
    ├── ConfigError               a setting or argument that cannot be used
    │   ├── UnknownName           no plugin, challenge or option of that name
    │   ├── NameClash             two plugins offer the same name
    │   ├── BrokenPlugin          the chosen plugin is installed but cannot be loaded
    │   └── UnknownModel          a model without known limits
    ├── SessionError              a session that cannot do what was asked
    │   ├── NoSession             nothing started or chosen yet
    │   ├── UnknownSession        no session of that id in the ledger
    │   ├── SessionInactive       the session is paused, ended or expired
    │   ├── NotHere               only the interviewer can do that, at the host
    │   └── Locked                the session is locked, and the passphrase is missing or wrong
    ├── BudgetRefused             not sent: the turn does not fit into what is left
    ├── ReservationError          an unknown reservation, or one that has already ended otherwise
    ├── RepeatedRequest           a request of this id was admitted before; nothing was reserved again
    ├── StoreError                the ledger cannot do what was asked
    │   ├── StoreBusy             another process holds the analysis file
    │   └── QueryError            a mistake in the user's SQL
    ├── Stopped                   the user interrupted the turn
    └── ClientError               the model's service did not answer as hoped
        ├── NoKey                 no API key is set
        ├── AuthFailed            the service refused the key (401, 403)
        ├── QuotaExceeded         out of credit or over a billing limit; never retried
        ├── RateLimited           429; retried, never sooner than the server asked
        ├── ContextTooLong        the prompt does not fit into the model's context window
        ├── ContentFiltered       the service's filter refused the prompt or the reply
        ├── BadRequest            any other request the service refuses (400, 404, 407, 422)
        ├── ServerFailed          5xx, or an error event inside a stream
        ├── NotConnected          the request never left: nothing was spent
        ├── TimedOut              sent, no answer in time
        └── StreamBroken          the answer ended without a finish reason, or was malformed

No message, ``repr`` or ``args`` of these holds a secret: `BuddyError` scrubs what looks like one
and everything that is known to be one (`ib_kernel.secrets`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from ib_kernel.secrets import scrub
from ib_kernel.text import as_sentence, one_line

Outcome = Literal["not_sent", "rejected", "prompt_billed", "unknown"]
"""What a failed attempt has cost: nothing, because it never left (`not_sent`) or because the server
answered with an error (`rejected`); its prompt (`prompt_billed`, a filtered prompt on Azure); or nobody
can say (`unknown`), in which case the reservation stays charged as *in doubt*."""


class BuddyError(Exception):
    """Base of all errors of this project. ``str(error)`` is one line that says what to do next.

    Text that looks like a key is redacted, also what the user typed: a notebook keeps its outputs.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(scrub(arg) if isinstance(arg, str) else arg for arg in args))

    def __str__(self) -> str:
        """Return the line, with what would steer a terminal made visible: a service may have written it."""
        return one_line(super().__str__())

    def _render_traceback_(self) -> list[str]:
        """Return the one line IPython shows instead of a traceback: a sentence, without the class's name."""
        return [as_sentence(str(self))]


class ConfigError(BuddyError, ValueError):
    """A setting or argument that cannot be used."""


class UnknownName(ConfigError):
    """No plugin, challenge or option of that name."""


class NameClash(ConfigError):
    """Two plugins offer the same name.

    `kind` ("counter", "client", "store") and `name` say what, `plugins` who.
    """

    def __init__(self, message: str, kind: str = "", name: str = "", plugins: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.kind, self.name, self.plugins = kind, name, plugins


class BrokenPlugin(ConfigError):
    """The chosen plugin is installed but cannot be loaded."""


class UnknownModel(ConfigError):
    """A model without known limits."""


class SessionError(BuddyError):
    """A session that cannot do what was asked."""


class NoSession(SessionError):
    """Nothing was started or chosen yet."""


class UnknownSession(SessionError, LookupError):
    """No session of that id in the ledger."""


class SessionInactive(SessionError):
    """The session is not in a state that allows this; `status` names the state it is in."""

    def __init__(self, message: str, status: str = "") -> None:
        super().__init__(message)
        self.status = status


class Locked(SessionError):
    """The session is locked, and the passphrase is missing or `wrong`."""

    def __init__(self, message: str, wrong: bool = False) -> None:
        super().__init__(message)
        self.wrong = wrong


class NotHere(SessionError):
    """Only the interviewer can do that: the session is held by a host."""


class BudgetRefused(BuddyError):
    """Not sent: the turn does not fit into what is left of the budget.

    `reason` says of what ("budget": charged tokens, "billed": the ceiling on the bill, "money", "output": the
    model's longest reply), `needed` and `left` how much of it, in tokens, or in nano-dollars for "money".
    """

    def __init__(self, message: str, *, reason: str = "budget", needed: int = 0, left: int = 0) -> None:
        super().__init__(message)
        self.reason, self.needed, self.left = reason, needed, left


class ReservationError(BuddyError):
    """An unknown reservation, or one that has already ended in another way."""


class RepeatedRequest(BuddyError):
    """A request of this id was admitted before; nothing was reserved again.

    `request` is what the ledger knows about it (an `ib_kernel.values.StoredRequest`).
    """

    def __init__(self, message: str, request: Any = None) -> None:
        super().__init__(message)
        self.request = request


class StoreError(BuddyError):
    """The ledger cannot do what was asked."""


class StoreBusy(StoreError):
    """Another process holds the analysis file; calls are not affected."""


class QueryError(StoreError):
    """A mistake in the user's SQL."""


class Stopped(BuddyError):
    """The user interrupted the turn; what had arrived is kept."""

    def _render_traceback_(self) -> list[str]:
        """Return one line that reads as a sentence, such as "Stopped. The reply so far is kept; …"."""
        return [f"Stopped. {self}"]


class ClientError(BuddyError):
    """The model's service did not answer as hoped.

    `outcome` says what the attempt has cost (see `Outcome`), `retryable` whether trying again can
    help, `retry_after_s` how many seconds the server asked to wait (None: it did not say), `status`
    the HTTP status (None: there was no answer), `code` the service's own error code. `usage` is what the
    service said that the failed attempt used (a `Reported` or `Usage`; None: nothing), `raw_usage` that as
    it came. `brief` is what has happened in a few words, for a line that is shown while waiting.
    """

    brief = "the service did not answer as hoped"

    outcome: Outcome = "rejected"
    retryable: bool = False
    usage: Any = None
    raw_usage: str | None = None

    def __init__(
        self,
        message: str,
        *,
        outcome: Outcome | None = None,
        retryable: bool | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.outcome = type(self).outcome if outcome is None else outcome
        self.retryable = type(self).retryable if retryable is None else retryable
        self.retry_after_s = retry_after_s
        self.status = status
        self.code = code


class NoKey(ClientError):
    """No API key is set."""

    outcome: Outcome = "not_sent"


class AuthFailed(ClientError):
    """The service refused the key (401) or its permissions (403)."""


class QuotaExceeded(ClientError):
    """Out of credit or over a billing limit; trying again cannot help."""


class RateLimited(ClientError):
    """The service asks to slow down (429)."""

    brief = "the service is busy"

    retryable = True


class ContextTooLong(ClientError):
    """The prompt does not fit into the model's context window."""


class ContentFiltered(ClientError):
    """The service's content filter refused the prompt or the reply."""


class BadRequest(ClientError):
    """Any other request the service refuses (400, 404, 422)."""


class ServerFailed(ClientError):
    """The service failed (5xx), or sent an error event inside a stream."""

    brief = "the service failed"

    retryable = True


class NotConnected(ClientError):
    """The request never left: connection refused, DNS failure, no free connection."""

    brief = "the service cannot be reached"

    outcome: Outcome = "not_sent"
    retryable = True


class TimedOut(ClientError):
    """The request was sent and no (further) answer came in time."""

    brief = "no answer in time"

    outcome: Outcome = "unknown"
    retryable = True


class StreamBroken(ClientError):
    """The answer ended without a finish reason, the connection was lost, or the data were malformed."""

    brief = "the connection broke"

    outcome: Outcome = "unknown"
    retryable = True


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean X?" for the closest of *known*, or "" when nothing is close."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
