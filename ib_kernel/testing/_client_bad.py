"""The parts of `LLMClientContract` about faults, about leaving early, and about the key."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import socket
import traceback
from collections.abc import Iterator

import pytest

from ib_kernel import errors
from ib_kernel.testing._client_base import EXPECTED, HANGS, KEY, ClientBase, Heard, listen
from ib_kernel.testing.faults import FAULTS
from ib_kernel.testing.server import FaultServer
from ib_kernel.values import LLMClient


class Faults(ClientBase):
    """Every fault ends in the right error, after one request, without a secret."""

    @pytest.mark.parametrize("fault", EXPECTED)
    def test_every_fault_ends_in_the_right_error(
        self, server: FaultServer, mode: str, fault: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Class, outcome, retryability and requested wait are right; the key shows up nowhere."""
        caplog.set_level(logging.DEBUG)
        server.script(fault)
        error = self.fails(server, mode)
        expected = EXPECTED[fault]
        assert isinstance(error, expected.kinds)
        outcome = expected.outcome
        if mode == "whole" and expected.whole_outcome is not None:
            outcome = expected.whole_outcome
        assert error.outcome == (outcome or error.outcome)
        free = expected.retryable is None or (mode == "whole" and expected.whole_retry_is_free)
        assert free or error.retryable == expected.retryable
        assert error.retry_after_s == expected.retry_after_s
        assert len(server.requests) == 1, "an attempt must be exactly one request: retrying is the pipeline's"
        assert "\n" not in str(error)
        self.no_key(error)
        assert KEY not in caplog.text

    def fails(self, server: FaultServer, mode: str = "stream") -> errors.ClientError:
        """Ask once and return the error."""

        async def scene(client: LLMClient) -> errors.ClientError:
            try:
                await listen(client, self.body(client, mode))
            except errors.ClientError as error:
                return error
            raise AssertionError("no error was raised")

        return self.run(server, scene)

    def no_key(self, error: BaseException) -> None:
        """Check that *error*, its chain, and the variables of its frames do not show the key."""
        for one in chain(error):
            shown = [str(one), repr(one), repr(one.args), repr(vars(one))]
            frames = traceback.TracebackException.from_exception(one, capture_locals=True)
            # the contract's own frames have the key on purpose
            shown += [f"{f.locals}" for f in frames.stack if "/ib_kernel/testing/" not in f.filename]
            assert not any(KEY in text for text in shown), f"{type(one).__name__} shows the key"

    def test_an_error_hides_what_caused_it(self, server: FaultServer) -> None:
        """No raw error, which may contain the key, hangs on ours."""
        server.script("401")
        assert list(chain(self.fails(server)))[1:] == []

    @pytest.mark.parametrize("fault", ["reset", "malformed", "error-event", "no-finish"])
    def test_pieces_before_a_fault_are_handed_on(self, server: FaultServer, fault: str) -> None:
        """What arrived before the fault was seen."""
        server.script(fault, pieces=("one ", "two ", "three"), after=2)
        heard = Heard()

        async def scene(client: LLMClient) -> None:
            with pytest.raises(errors.ClientError):
                await listen(client, self.body(client), heard)

        self.run(server, scene)
        assert "".join(heard.pieces).startswith("one two ")

    def test_a_service_that_is_not_there_is_not_sent(self) -> None:
        """Connection refused: the request never left, so it has cost nothing."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"

        async def scene() -> errors.ClientError:
            client = self.make_client(url, KEY)
            try:
                await listen(client, self.body(client))
            except errors.NotConnected as error:
                return error
            finally:
                await client.aclose()
            raise AssertionError("no NotConnected was raised")

        error = asyncio.run(scene())
        assert (error.outcome, error.retryable) == ("not_sent", True)
        self.no_key(error)

    def test_the_key_is_validated_without_spending_tokens(self, server: FaultServer) -> None:
        """True for a good key, False for a refused one, an error when nobody can say."""

        async def scene(client: LLMClient) -> list[bool]:
            answers = [await client.validate_api_key()]
            server.script("401")
            answers.append(await client.validate_api_key())
            server.script("500")
            with pytest.raises(errors.ClientError):
                await client.validate_api_key()
            return answers

        assert self.run(server, scene) == [True, False]
        assert all(r.method == "GET" for r in server.requests), "validating must not ask for a reply"

    def test_the_client_does_not_show_its_key(self, server: FaultServer) -> None:
        """Neither repr, nor vars, nor a pickle, nor a body contains the key."""

        async def scene(client: LLMClient) -> None:
            await listen(client, self.body(client))
            seen = [repr(client), repr(vars(client)), json.dumps(self.body(client))]
            seen += [repr(vars(part)) for part in vars(client).values() if hasattr(part, "__dict__")]
            assert not any(KEY in text for text in seen)
            try:
                pickled = pickle.dumps(client)
            except Exception:  # noqa: BLE001 - a client that cannot be pickled cannot leak
                return
            assert KEY.encode() not in pickled

        self.run(server, scene)


class Leaving(ClientBase):
    """Leaving the context, by whatever way, ends the HTTP response at once."""

    def test_a_break_ends_the_response(self, server: FaultServer) -> None:
        """After a break the service sees the connection close while it still has pieces to send."""
        server.script("stall", after=1)

        async def scene(client: LLMClient) -> None:
            async with client.stream(self.body(client)) as reply:
                async for _ in reply:
                    break
            await asyncio.to_thread(server.wait_for_disconnect)

        self.run(server, scene)

    def test_an_exception_inside_passes_and_ends_the_response(self, server: FaultServer) -> None:
        """The caller's own error comes out unchanged, and the response is closed."""
        server.script("stall", after=1)
        mine = ValueError("mine")

        async def scene(client: LLMClient) -> None:
            caught: BaseException | None = None
            try:
                async with client.stream(self.body(client)) as reply:
                    async for _ in reply:
                        raise mine
            except ValueError as error:
                caught = error
            assert caught is mine
            await asyncio.to_thread(server.wait_for_disconnect)

        self.run(server, scene)

    @pytest.mark.parametrize("fault", HANGS)
    def test_cancelling_ends_the_response(self, server: FaultServer, fault: str) -> None:
        """A cancelled attempt ends with `CancelledError` and closes its connection, wherever it waits."""
        server.script(fault)

        async def scene(client: LLMClient) -> None:
            task = asyncio.create_task(listen(client, self.body(client)))
            await asyncio.to_thread(server.wait_for_progress, fault != "hang-before-headers")
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(server.wait_for_disconnect)

        self.run(server, scene)
        assert FAULTS[fault].name == server.requests[0].fault

    def test_not_reading_at_all_ends_the_response(self, server: FaultServer) -> None:
        """A context that is left before anything was read leaves nothing open."""
        server.script("stall", after=0)

        async def scene(client: LLMClient) -> None:
            async with client.stream(self.body(client)):
                pass
            await asyncio.to_thread(server.wait_for_disconnect)

        self.run(server, scene)

    def test_thirty_streams_at_once_stay_apart(self, server: FaultServer) -> None:
        """Each of 30 concurrent streams gets its own reply; a third of them is left early."""
        for _ in range(30):
            server.script("slow-drip", write_bytes=64)

        async def one(client: LLMClient, number: int) -> str:
            words = tuple(f"n{number} " for _ in range(12))
            body = self.body(client, messages=({"role": "user", "content": "".join(words)},))
            heard = Heard()
            if number % 3:
                await listen(client, body, heard)
                return heard.text.removeprefix("You said:")
            async with client.stream(body) as reply:
                async for _ in reply:
                    return ""
            return ""

        async def scene(client: LLMClient) -> list[str]:
            return await asyncio.gather(*(one(client, number) for number in range(30)))

        texts = self.run(server, scene)
        assert [set(text.split()) for text in texts] == [{f"n{i}"} if i % 3 else set() for i in range(30)]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Return *error* and everything a traceback would show as its cause or context."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
