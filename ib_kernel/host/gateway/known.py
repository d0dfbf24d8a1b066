"""What the gateway's tokens stand for, remembered for seconds: most calls ask the ledger nothing about it.

Many tokens are looked up together, in one thread. One that was in use is looked up again while its calls go
on, so that none of them waits; after twice `KNOWN_S` it is taken for nothing until the ledger has answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from ib_kernel.errors import BuddyError
from ib_kernel.host.answers import Refused
from ib_kernel.host.auth import gateway_session, needs_hub, require_gateway
from ib_kernel.host.gateway.quota import Quota
from ib_kernel.models.limits import ModelInfo
from ib_kernel.turn.usage import UsageRecorder
from ib_kernel.values import Session, Totals
from ib_kernel.values.passage import Passage

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

    from ib_kernel.host.host import Host

KNOWN_S = 5.0
"""Seconds for which a token and its session are taken for what they were."""

KNOWN = 4_096
"""Tokens that are remembered."""

TOGETHER = 32
"""Tokens that are looked up in one go at most: the first does not wait for hundreds of others."""


@dataclass(frozen=True, slots=True)
class Way:
    """How calls of sessions with one client, API and model are served, until `until` (`time.monotonic`)."""

    passage: Passage
    model: ModelInfo
    recorder: UsageRecorder
    until: float


@dataclass(frozen=True, slots=True)
class Known:
    """What a token stands for: its session with its sums, and how that is served. Fresh until `until`."""

    session: Session
    totals: Totals
    passage: Passage
    model: ModelInfo
    recorder: UsageRecorder
    until: float


Found = tuple[Session, Totals, tuple[int, int] | None]
"""A session, its sums, and what it has written (None: known well enough)."""


class KnownTokens:
    """The tokens of one gateway, on one event loop."""

    def __init__(self, host: Host, quota: Quota) -> None:
        self._host, self._quota = host, quota
        self._known: dict[bytes, Known] = {}
        self._ways: dict[tuple[str, str, str], Way] = {}
        self._waiting: dict[bytes, asyncio.Future[Known]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def entered(self, scope: Scope, receive: Receive) -> Known:
        """Return what is known of the request's token.

        Raises:
            Refused: The token is not valid, or the session's client cannot pass requests on.
        """
        token = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                token = value
                break
        known, now = self._known.get(token), time.monotonic()
        if known is not None:
            if now < known.until:
                return known
            if now < known.until + KNOWN_S and not needs_hub(token):
                self._wanted(token)
                return known
            del self._known[token]
        if needs_hub(token):
            session = await require_gateway(Request(scope, receive))
            return self._remembered(token, await asyncio.to_thread(self._grown, session), now)
        return await asyncio.shield(self._wanted(token))

    def close(self) -> None:
        """Look nothing up any more."""
        if self._looking is not None:
            self._looking.cancel()

    # --- looking up

    def _wanted(self, token: bytes) -> asyncio.Future[Known]:
        """Return what will be known of *token*; it is looked up with all others that wait."""
        wanted = self._waiting.get(token)
        if wanted is None:
            loop = asyncio.get_running_loop()
            wanted = self._waiting[token] = loop.create_future()
            wanted.add_done_callback(_seen)
            if self._looking is None:
                self._looking = loop.create_task(self._look_up())
        return wanted

    async def _look_up(self) -> None:
        try:
            while self._waiting:
                tokens = list(self._waiting)[:TOGETHER]
                began = time.monotonic()
                found = await asyncio.to_thread(lambda those: [self._find(one) for one in those], tokens)
                for token, one in zip(tokens, found, strict=True):
                    self._tell(token, one, began)
        finally:
            self._looking = None
            for future in self._waiting.values():
                future.cancel()
            self._waiting.clear()

    def _find(self, token: bytes) -> Found | BaseException:
        """Read what the ledger has (in a thread)."""
        try:
            return self._grown(gateway_session(self._host, token))
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            return error

    def _grown(self, session: Session) -> Found:
        name = session.session_id
        written = self._quota.look(name) if self._quota.is_old(name) else None
        return session, self._host.service.totals(name), written

    def _tell(self, token: bytes, found: Found | BaseException, began: float) -> None:
        future = self._waiting.pop(token)
        if not isinstance(found, BaseException):
            try:
                known = self._remembered(token, found, began)
            except BuddyError as error:
                found = error
            else:
                if not future.done():
                    future.set_result(known)
                return
        self._known.pop(token, None)
        if not future.done():
            future.set_exception(found)

    def _remembered(self, token: bytes, found: Found, began: float) -> Known:
        session, totals, written = found
        way = self._way(session)
        if written is not None:
            self._quota.note(session.session_id, *written)
        known = Known(session, totals, way.passage, way.model, way.recorder, began + KNOWN_S)
        self._known.pop(token, None)
        while len(self._known) >= KNOWN:
            del self._known[next(iter(self._known))]
        self._known[token] = known
        return known

    # --- how a session is served

    def _way(self, session: Session) -> Way:
        service = self._host.service
        client = session.client or service.settings.client_name
        key = client, str(session.meta.get("api")), session.model
        way = self._ways.get(key)
        if way is None or time.monotonic() >= way.until:
            passage = self._passage(session)
            model = service.plugins.model(session.model, service.settings, client)
            counts_as, counter = model.counts_as or model.name, service.counter
            recorder = UsageRecorder(
                model, not model.counts_as, lambda text: counter.count_text(text, counts_as).tokens
            )
            way = self._ways[key] = Way(passage, model, recorder, time.monotonic() + KNOWN_S)
        return way

    def _passage(self, session: Session) -> Passage:
        name = session.client or self._host.service.settings.client_name
        client = self._host.engine.client(name, session.meta.get("api"))
        offered: Callable[[], Passage] | None = getattr(client, "passage", None)
        if offered is None:
            raise Refused(
                403,
                "client",
                f"this interview's AI is asked through the client {name!r}, which takes no requests of "
                "tools; only interviews with the client 'openai' do",
            )
        return offered()


def _seen(future: asyncio.Future[Known]) -> None:
    """Take note of how a lookup ended, which nobody may be waiting for."""
    if not future.cancelled():
        future.exception()
