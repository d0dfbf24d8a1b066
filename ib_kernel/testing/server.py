"""`FaultServer`: an OpenAI-compatible service on a loopback port that fails as it is told to.

Real HTTP over a real socket, in a thread with an event loop of its own, so that any client library can be
tried against it. Each request is answered by the next scripted step, or well when none is scripted::

    with FaultServer() as server:
        server.script("429", retry_after=2)
        server.reply(pieces=["Hello", " Ada"])
        client = MyClient(server.base_url)      # its first request fails, its second is answered
        …
        assert server.requests[1].body["max_completion_tokens"] == 100

`FAULTS` lists the faults by name. What the server bills follows a rule that tests can predict: 3 tokens a
message plus one for every word of the prompt, and one for every piece of the reply that is sent.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

from ib_kernel.testing._http import Wire
from ib_kernel.testing._service import Recorded, Service
from ib_kernel.testing.faults import FAULTS, Step

__all__ = ["FaultServer", "Recorded"]

T = TypeVar("T")


class FaultServer(Service):
    """An OpenAI-compatible server for tests; a context manager. See the module's docstring.

    `cap_fields` are the body fields it takes for a cap (llama.cpp's server knows only ``max_tokens``),
    `api_key` the only key it accepts (None: any, or none), `headers` are added to every answer. `decide`,
    when set, is asked for the step of each request that nothing is scripted for. `on_hang`, when set, is
    called in a thread of its own with each request whose answer stops for good, so that a test with a clock
    of its own knows when to put it forward. `connections` counts the connections that clients have opened.
    """

    def __init__(
        self,
        *,
        cap_fields: Sequence[str] = ("max_completion_tokens", "max_tokens", "max_output_tokens"),
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        decide: Callable[[Recorded], Step | None] | None = None,
    ) -> None:
        super().__init__(tuple(cap_fields), api_key, headers or {})
        self.decide = decide
        self.port = 0
        self.connections = 0
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._wires: set[Wire] = set()
        self._thread = threading.Thread(target=self._run, name="FaultServer", daemon=True)
        self._ready = threading.Event()

    # --- for tests ---

    @property
    def base_url(self) -> str:
        """The address that clients are given."""
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, fault: str | Step, /, **changes: Any) -> None:
        """Answer one further request with a fault.

        Args:
            fault: A name of `FAULTS`, or a `Step`.
            changes: Fields of the step that are other than there.

        Raises:
            ValueError: There is no such fault.
        """
        if isinstance(fault, str) and fault not in FAULTS:
            raise ValueError(f"no fault called {fault!r}; known: {', '.join(FAULTS)}")
        step = FAULTS[fault].step if isinstance(fault, str) else fault
        with self.changed:
            self.steps.append(dataclasses.replace(step, **changes))

    def reply(self, text: str | None = None, *, pieces: Sequence[str] | None = None, **changes: Any) -> None:
        """Answer one further request well.

        Args:
            text: The reply's text.
            pieces: The same in pieces, one an event.
            changes: Any other field of `Step`.
        """
        self.script(Step(text=text, pieces=None if pieces is None else tuple(pieces), **changes))

    def wait_for_requests(self, count: int, timeout: float = 120.0) -> list[Recorded]:
        """Wait until so many requests have arrived.

        Args:
            count: How many.
            timeout: Seconds to wait at most.

        Returns:
            All requests so far.

        Raises:
            TimeoutError: It was not seen in time.
        """
        return self._wait(lambda: self.requests if len(self.requests) >= count else None, timeout)

    def wait_for_disconnect(self, timeout: float = 120.0, number: int | None = None) -> Recorded:
        """Wait until a client has left before the end of its answer.

        Args:
            timeout: Seconds to wait at most.
            number: The request; None: any.

        Returns:
            The request.

        Raises:
            TimeoutError: It was not seen in time.
        """

        def left() -> Recorded | None:
            gone = (r for r in reversed(self.requests) if r.stopped_early and number in (None, r.number))
            return next(gone, None)

        return self._wait(left, timeout)

    def wait_for_progress(self, headers: bool = True, timeout: float = 120.0) -> Recorded:
        """Wait until the last request has arrived.

        Args:
            headers: Whether its answer's headers must have been sent.
            timeout: Seconds to wait at most.

        Returns:
            The request.

        Raises:
            TimeoutError: It was not seen in time.
        """
        return self._wait(
            lambda: next((r for r in self.requests[-1:] if r.status or not headers), None), timeout
        )

    def wait_until_idle(self, timeout: float = 120.0) -> None:
        """Wait until every connection is closed.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: A client has left a connection open.
        """
        self._wait(lambda: True if not self._wires else None, timeout)

    def open_connections(self) -> int:
        """Return how many connections clients keep open right now."""
        return len(self._wires)

    def _wait(self, found: Callable[[], T | None], timeout: float) -> T:
        until = time.monotonic() + timeout
        with self.changed:
            while (value := found()) is None:
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not seen within {timeout:g} s; requests so far: {self.requests}")
                self.changed.wait(left)
            return value

    # --- life ---

    def start(self) -> Self:
        """Listen on a free loopback port."""
        self._thread.start()
        self._ready.wait()
        return self

    def stop(self) -> None:
        """Close every connection and end the thread. Idempotent."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        listener = await self._loop.create_server(lambda: Wire(self._connection, self._loop), "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        listener.close()
        for wire in list(self._wires):
            wire.writer.transport.abort()
        while self._wires:  # each ends by itself once its connection is gone
            await asyncio.sleep(0.001)

    async def _connection(self, wire: Wire) -> None:
        self._wires.add(wire)
        self.connections += 1
        try:
            await self.serve(wire)
        finally:
            with self.changed:
                self._wires.discard(wire)
                self.changed.notify_all()
