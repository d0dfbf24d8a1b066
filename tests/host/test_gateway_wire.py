"""HTTP with a service: whatever pieces an answer comes in, however it ends, and what a proxy is sent."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tls import certificate

from ib_kernel.errors import BadRequest, NotConnected
from ib_kernel.host.gateway import wires as wires_module
from ib_kernel.host.gateway.upstream import from_transport
from ib_kernel.host.gateway.wire import ENOUGH_BYTES, MAX_HEAD_BYTES, Answer
from ib_kernel.host.gateway.wires import Wires

try:
    from uvloop import run  # as the host does
except ImportError:  # pragma: no cover - on Windows
    from asyncio import run  # type: ignore[assignment]

HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer sk-wire"}
LENGTH, CHUNKED, EOF = "length", "chunked", "eof"


class Service:
    """Answers the requests of each connection with `answers`, one after the other, in the given pieces."""

    def __init__(self, *answers: Sequence[bytes], close: bool = False, trust: ssl.SSLContext | None = None):
        self._answers, self._close, self._tls = answers, close, trust
        self.asked: list[bytes] = []
        self.connections = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Service:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        self.connections += 1
        try:
            for pieces in self._answers:
                self.asked.append(await _request(reader))
                await self.answer(writer, pieces)
            if not self._close:
                await asyncio.sleep(60)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def answer(self, writer: asyncio.StreamWriter, pieces: Sequence[bytes]) -> None:
        """Write one answer."""
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return head + await reader.readexactly(int(length or b"0"))


async def ask(wires: Wires, port: int, body: bytes = b"{}", url: str = "") -> Answer:
    """Send a request and return its answer, which has begun."""
    target = wires.target(url or f"http://127.0.0.1:{port}/v1/x?a=b", HEADERS)
    answer = (await wires.wire(target)).ask(target.written(body))
    try:
        await answer.begun()
    except BaseException:
        answer.release()
        raise
    return answer


async def read(answer: Answer) -> bytes:
    """Return the rest of an answer, and release it."""
    found = b""
    try:
        while piece := await answer.read():
            found += piece
        return found
    finally:
        answer.release()


def asked(service: Service, work: Callable[[Wires, Service], Awaitable[Any]], **options: Any) -> Any:
    """Return what *work* does with connections to *service*."""

    async def main() -> Any:
        wires = Wires(**options)
        async with service:
            try:
                return await work(wires, service)
            finally:
                await asyncio.wait_for(wires.aclose(), 20)

    return run(main())


def written(body: Sequence[bytes], how: str, more: bytes = b"") -> bytes:
    """Return an answer whose body is *body*, with a length, in chunks, or up to the connection's end."""
    whole = b"".join(body)
    if how == LENGTH:
        return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (more, len(whole), whole)
    if how == EOF:
        return b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (more, whole)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in body if one)
    return b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (more, chunks)


def cut(data: bytes, at: Sequence[int]) -> list[bytes]:
    """Return *data* in pieces."""
    ends = sorted({min(one, len(data)) for one in at} | {0, len(data)})
    return [data[first:last] for first, last in itertools.pairwise(ends)]


HELLO = written([b"hello"], LENGTH)


class TestReading:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.binary(min_size=1, max_size=40), max_size=6),
        st.sampled_from([LENGTH, CHUNKED, EOF]),
        st.lists(st.integers(0, 400), max_size=8),
    )
    def test_an_answer_is_the_same_in_whatever_pieces_it_comes(
        self, body: list[bytes], how: str, at: list[int]
    ) -> None:
        """And its connection takes the next request, unless its end was the answer's."""
        pieces = cut(written(body, how, b"X-Is: there\r\nx-is: twice\r\n"), at)
        service = Service(pieces, cut(HELLO, at)) if how != EOF else Service(pieces, close=True)

        async def work(wires: Wires, service: Service) -> tuple[Any, ...]:
            answer = await ask(wires, service.port)
            said = answer.status, answer.headers["x-is"], await read(answer)
            if how != EOF:
                assert await read(await ask(wires, service.port)) == b"hello"
            return (*said, service.connections)

        assert asked(service, work) == (200, "twice", b"".join(body), 1)

    def test_what_comes_before_the_answer_proper_is_passed_over(self) -> None:
        early = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"

        async def work(wires: Wires, service: Service) -> Any:
            answer = await ask(wires, service.port)
            return answer.status, "link" in answer.headers, await read(answer)

        assert asked(Service([early, HELLO]), work) == (200, False, b"hello")

    def test_trailers_are_not_taken_for_headers(self) -> None:
        answer = written([b"hello"], CHUNKED)[:-2] + b"x-late: yes\r\n\r\n"

        async def work(wires: Wires, service: Service) -> Any:
            came = await ask(wires, service.port)
            return await read(came), "x-late" in came.headers

        assert asked(Service([answer]), work) == (b"hello", False)

    def test_a_reader_that_waits_makes_the_service_wait(self) -> None:
        """No more than a little of a long answer is kept for it, and all of it comes in the end."""
        size = 40 * ENOUGH_BYTES

        async def work(wires: Wires, service: Service) -> Any:
            answer = await ask(wires, service.port)
            await asyncio.sleep(0.3)
            kept = answer._size
            return kept < 4 * ENOUGH_BYTES, len(await read(answer))

        assert asked(Service([written([bytes(size)], LENGTH)]), work) == (True, size)


class TestEnds:
    @pytest.mark.parametrize("how", [LENGTH, CHUNKED])
    def test_what_came_of_an_answer_that_breaks_off_is_read_first(self, how: str) -> None:
        async def work(wires: Wires, service: Service) -> bytes:
            answer = await ask(wires, service.port)
            found = b""
            while len(found) < 5:
                found += await answer.read()
            for _ in range(2):
                with pytest.raises(aiohttp.ClientPayloadError, match="broke off"):
                    await answer.read()
            answer.release()
            return found

        begun = {
            LENGTH: b"Content-Length: 9\r\n\r\nhello",
            CHUNKED: b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello",
        }
        service = Service([b"HTTP/1.1 200 OK\r\n" + begun[how]], close=True)
        assert asked(service, work) == b"hello"

    @pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-", b"HTTP/1.1 100 Continue\r\n\r\n"])
    def test_a_connection_that_ends_before_the_head_is_no_answer(self, begun: bytes) -> None:
        async def work(wires: Wires, service: Service) -> None:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await ask(wires, service.port)

        asked(Service([begun], close=True), work)

    @pytest.mark.parametrize(
        "junk",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
        ],
        ids=["not http", "two lengths", "upgrade", "bad chunk"],
    )
    def test_junk_ends_the_connection(self, junk: bytes) -> None:
        async def work(wires: Wires, service: Service) -> int:
            with pytest.raises(aiohttp.ClientPayloadError, match="no HTTP"):
                await read(await ask(wires, service.port))
            with pytest.raises(aiohttp.ClientPayloadError):
                await read(await ask(wires, service.port))
            return service.connections

        assert asked(Service([junk], [junk]), work) == 2

    @pytest.mark.parametrize(
        "start",
        [
            b"HTTP/1.1 200 OK\r\nx-long: ",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-late: ",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;name=",
        ],
        ids=["header", "trailer", "chunk"],
    )
    def test_a_head_without_an_end_is_not_kept(self, start: bytes) -> None:
        class Endless(Service):
            async def answer(self, writer: asyncio.StreamWriter, pieces: Sequence[bytes]) -> None:
                writer.write(start)
                for _ in range(1_000):
                    writer.write(bytes(b"a" * 8_192))
                    await writer.drain()
                    self.sent = getattr(self, "sent", 0) + 8_192

        async def work(wires: Wires, service: Service) -> None:
            with pytest.raises(aiohttp.ClientPayloadError, match="head is too long"):
                await read(await ask(wires, service.port))

        asked(Endless([]), work)

    def test_the_longest_head_is_longer_than_any_that_is_sent(self) -> None:
        assert MAX_HEAD_BYTES >= 4 * 8_190  # one header's length in nginx's default buffers


class TestConnections:
    @pytest.mark.parametrize(
        ("first", "again"),
        [
            (HELLO, True),
            (written([b"hello"], LENGTH, b"Connection: close\r\n"), False),
            (HELLO.replace(b"1.1", b"1.0"), False),
            (HELLO + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", False),
            (HELLO + b"forged", False),
        ],
        ids=["kept", "closed", "old", "second answer", "more bytes"],
    )
    def test_is_used_again_where_the_answer_allows_it(self, first: bytes, again: bool) -> None:
        """What follows an answer that nobody has asked for is no answer to the next request."""

        async def work(wires: Wires, service: Service) -> Any:
            said = [await read(await ask(wires, service.port)) for _ in range(2)]
            return said, service.connections

        assert asked(Service([first], [HELLO]), work) == ([b"hello", b"hello"], 1 if again else 2)

    def test_that_says_something_while_it_is_idle_is_not_used_again(self) -> None:
        class Talking(Service):
            async def answer(self, writer: asyncio.StreamWriter, pieces: Sequence[bytes]) -> None:
                await super().answer(writer, pieces)
                await asyncio.sleep(0.05)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")

        async def work(wires: Wires, service: Service) -> Any:
            said = [await read(await ask(wires, service.port))]
            await asyncio.sleep(0.2)
            return [*said, await read(await ask(wires, service.port))], service.connections

        assert asked(Talking([HELLO], [HELLO]), work) == ([b"hello", b"hello"], 2)

    def test_that_was_closed_while_it_was_idle_is_not_used_again(self) -> None:
        async def work(wires: Wires, service: Service) -> Any:
            said = []
            for _ in range(3):
                said.append(await read(await ask(wires, service.port)))
                await asyncio.sleep(0.05)
            return said, service.connections

        assert asked(Service([HELLO], close=True), work) == ([b"hello"] * 3, 3)

    def test_ends_with_an_answer_that_is_given_up(self) -> None:
        """The service is not left writing, and the rest is no part of another answer."""

        async def work(wires: Wires, service: Service) -> Any:
            answer = await ask(wires, service.port)
            answer.release()
            answer.release()
            return await read(await ask(wires, service.port)), service.connections

        begun = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello"

        class Once(Service):
            async def answer(self, writer: asyncio.StreamWriter, pieces: Sequence[bytes]) -> None:
                await super().answer(writer, [begun] if self.connections == 1 else [HELLO])

        assert asked(Once([], []), work) == (b"hello", 2)

    def test_is_not_touched_by_an_answer_that_was_released(self) -> None:
        """Its reader may still hold it while the next request runs."""

        async def work(wires: Wires, service: Service) -> Any:
            first = await ask(wires, service.port)
            assert await read(first) == b"hello"
            second = await ask(wires, service.port)
            first.release()
            first.resume()
            ended = second.pause()
            return (first.pause(), ended), await read(second), service.connections

        assert asked(Service([HELLO], [HELLO]), work) == ((False, False), b"hello", 1)

    def test_pauses_only_while_something_may_come(self) -> None:
        """A transport that is closing takes no orders: some event loops raise."""

        async def work(wires: Wires, service: Service) -> Any:
            answer = await ask(wires, service.port)
            open_one = answer.pause()
            answer.resume()
            answer._wire.close()  # type: ignore[union-attr]
            closing = answer.pause()
            answer.resume()
            return open_one, closing

        begun = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello"
        assert asked(Service([begun]), work) == (True, False)

    def test_takes_no_request_once_it_is_closed(self) -> None:
        """Nothing has been sent then, and the error says so."""

        async def work(wires: Wires, service: Service) -> BaseException:
            target = wires.target(f"http://127.0.0.1:{service.port}/", HEADERS)
            wire = await wires.wire(target)
            wire.close()
            with pytest.raises(aiohttp.ClientConnectionResetError) as caught:
                wire.ask(target.written(b"{}"))
            return from_transport(caught.value)

        service = Service([HELLO])
        assert isinstance(asked(service, work), NotConnected)
        assert service.asked == []

    def test_that_is_idle_for_long_is_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each in its time, also where another has become idle since."""
        monkeypatch.setattr(wires_module, "KEEP_S", 0.2)

        async def work(wires: Wires, service: Service) -> Any:
            first, second = await ask(wires, service.port), await ask(wires, service.port)
            await read(first)
            await asyncio.sleep(0.1)
            await read(second)
            for _ in range(400):
                if not wires._idle:
                    break
                await asyncio.sleep(0.02)
            return dict(wires._idle), await read(await ask(wires, service.port)), service.connections

        assert asked(Service([HELLO], [HELLO]), work) == ({}, b"hello", 3)

    def test_that_was_closed_while_the_loop_was_busy_is_not_used_again(self) -> None:
        """The loop has not heard of it yet, and the request could have been done or not."""
        listener = socket.create_server(("127.0.0.1", 0))
        kept, closed, served = threading.Event(), threading.Event(), []

        def serve() -> None:
            for _ in range(2):
                line, _ = listener.accept()
                served.append(line.recv(65_536))
                line.sendall(HELLO)
                kept.wait(30)
                line.close()
                closed.set()

        threading.Thread(target=serve, daemon=True).start()

        async def main() -> list[bytes]:
            wires, port = Wires(), listener.getsockname()[1]
            async with contextlib.aclosing(wires):
                answer = await ask(wires, port)
                while not answer.ended:
                    await asyncio.sleep(0)
                answer.release()
                assert wires._idle
                kept.set()
                closed.wait(30)
                return [await read(await ask(wires, port))]

        with listener:
            assert run(main()) == [b"hello"]
        assert len(served) == 2

    @pytest.mark.parametrize(("closed", "good"), [(2, True), (3, False)])
    def test_that_is_closed_before_it_is_used_is_opened_again(self, closed: int, good: bool) -> None:
        """Nothing has been sent then; but a service that closes each is not there."""

        async def work(wires: Wires, service: Service) -> Any:
            real, left = wires._connector.connect, [closed]

            async def connect(*given: Any) -> Any:
                opened = await real(*given)
                left[0] -= 1
                if left[0] >= 0:
                    opened.transport.close()
                return opened

            wires._connector.connect = connect  # type: ignore[method-assign]
            return await read(await ask(wires, service.port))

        if good:
            assert asked(Service([HELLO]), work) == b"hello"
            return
        with pytest.raises(aiohttp.ClientConnectionResetError):
            asked(Service([HELLO]), work)


class TestRequests:
    def test_say_who_asks_whom_for_what(self) -> None:
        async def work(wires: Wires, service: Service) -> None:
            await read(await ask(wires, service.port, b'{"a": 1}'))

        service = Service([HELLO])
        asked(service, work)
        head, _, body = service.asked[0].partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        said = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        assert len(said) == len(lines)
        assert (first, body) == ("POST /v1/x?a=b HTTP/1.1", b'{"a": 1}')
        assert said["host"] == f"127.0.0.1:{service.port}"
        assert said["authorization"] == "Bearer sk-wire"
        assert said["content-length"] == "8"
        assert said["user-agent"]

    def test_follow_the_headers_that_change(self) -> None:
        """A key that was changed goes along with the next request, on the same connection."""

        async def work(wires: Wires, service: Service) -> None:
            await read(await ask(wires, service.port))
            url = f"http://127.0.0.1:{service.port}/v1/x?a=b"
            target = wires.target(url, {**HEADERS, "Authorization": "Bearer sk-next"})
            answer = (await wires.wire(target)).ask(target.written(b"{}"))
            await answer.begun()
            await read(answer)

        service = Service([HELLO], [HELLO])
        asked(service, work)
        assert [b"sk-next" in one for one in service.asked] == [False, True]
        assert service.connections == 1

    @pytest.mark.parametrize("value", ["a\r\nx-forged: 1", "a\nb", "a\x00b"])
    def test_with_a_header_that_would_be_two_are_refused(self, value: str) -> None:
        async def work(wires: Wires, service: Service) -> None:
            with pytest.raises(BadRequest) as caught:
                wires.target("http://127.0.0.1:1/", {"Authorization": value})
            assert caught.value.outcome == "not_sent"
            assert value not in str(caught.value)

        asked(Service(), work)

    @pytest.mark.parametrize("url", ["ftp://service.test/", "service.test/v1", "http://", "http://[::1"])
    def test_to_no_address_are_not_sent(self, url: str) -> None:
        async def work(wires: Wires, service: Service) -> BaseException:
            with pytest.raises(aiohttp.InvalidURL) as caught:
                wires.target(url, HEADERS)
            return from_transport(caught.value)

        error = asked(Service(), work)
        assert (type(error), error.outcome) == (BadRequest, "not_sent")

    def test_go_through_the_proxy_that_the_environment_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the whole address, and the proxy's own password."""

        async def work(wires: Wires, service: Service) -> bytes:
            monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{service.port}")
            for name in ("no_proxy", "NO_PROXY"):
                monkeypatch.delenv(name, raising=False)
            return await read(await ask(wires, 0, url="http://service.test/v1/x?a=b"))

        service = Service([HELLO])
        assert asked(service, work) == b"hello"
        head = service.asked[0]
        assert head.startswith(b"POST http://service.test/v1/x?a=b HTTP/1.1\r\n")
        assert b"\r\nHost: service.test\r\n" in head
        assert b"\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n" in head


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The service's certificate and key."""
    return certificate(tmp_path_factory.mktemp("tls"), "service")


@pytest.fixture
def theirs(files: tuple[Path, Path]) -> ssl.SSLContext:
    """The service's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
class TestTLS:
    def test_a_service_that_is_trusted_is_asked(
        self, files: tuple[Path, Path], theirs: ssl.SSLContext
    ) -> None:
        """A connection is used again, and paused and read on, as without TLS."""
        ours = ssl.create_default_context(cafile=str(files[0]))
        big = written([bytes(3 * ENOUGH_BYTES)], LENGTH)

        async def work(wires: Wires, service: Service) -> Any:
            url = f"https://127.0.0.1:{service.port}/"
            answer = await ask(wires, 0, url=url)
            await asyncio.sleep(0.1)
            sizes = [len(await read(answer)), len(await read(await ask(wires, 0, url=url)))]
            return sizes, service.connections

        assert asked(Service([big], [HELLO], trust=theirs), work, trust=ours) == ([3 * ENOUGH_BYTES, 5], 1)

    def test_a_service_that_nobody_knows_is_sent_nothing(self, theirs: ssl.SSLContext) -> None:
        async def work(wires: Wires, service: Service) -> BaseException:
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await ask(wires, 0, url=f"https://127.0.0.1:{service.port}/")
            return from_transport(caught.value)

        service = Service([HELLO], trust=theirs)
        assert isinstance(asked(service, work), NotConnected)
        assert service.asked == []

    def test_a_proxy_is_asked_for_a_tunnel_to_it(
        self, files: tuple[Path, Path], theirs: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What passes through the proxy is TLS between the host and the service."""
        seen: list[bytes] = []

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            there, back = await asyncio.open_connection("127.0.0.1", port[0])
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

            async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
                while data := await source.read(65_536):
                    seen.append(data)
                    to.write(data)
                to.close()

            with contextlib.closing(writer), contextlib.closing(back):
                await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

        port = [0]
        ours = ssl.create_default_context(cafile=str(files[0]))
        ours.check_hostname = False

        async def work(wires: Wires, service: Service) -> Any:
            port[0] = service.port
            server = await asyncio.start_server(proxy, "127.0.0.1", 0)
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            for name in ("no_proxy", "NO_PROXY"):
                monkeypatch.delenv(name, raising=False)
            said = [await read(await ask(wires, 0, url="https://service.test/v1")) for _ in range(2)]
            server.close()
            return said, service.connections

        service = Service([HELLO], [HELLO], trust=theirs)
        assert asked(service, work, trust=ours) == ([b"hello"] * 2, 1)
        assert seen[0].startswith(b"CONNECT service.test:443 ")
        assert b"sk-wire" not in b"".join(seen)
        assert service.asked[0].startswith(b"POST /v1 HTTP/1.1\r\n")
