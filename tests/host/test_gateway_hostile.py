"""Services, proxies and networks that mean harm: what was not sent is known, and no answer is another's."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import inspect
import json
import random
import shutil
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from hosting import served
from test_gateway import HI, MODEL, hosted
from test_gateway_wire import (
    CHUNKED,
    EOF,
    HEADERS,
    HELLO,
    LENGTH,
    Service,
    _request,
    ask,
    asked,
    read,
    run,
    written,
)
from test_tls import certificate
from yarl import URL

from ib_kernel.errors import BadRequest, ClientError, NotConnected, RateLimited
from ib_kernel.host.gateway import wires as wires_module
from ib_kernel.host.gateway.upstream import Upstream, read_whole, unsent
from ib_kernel.host.gateway.wire import Wire
from ib_kernel.host.gateway.wires import TARGETS, Wires
from ib_kernel.secrets import Secret
from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer
from ib_openai.dialects import DIALECTS
from ib_openai.passage import OpenAIPassage

FORGED = HELLO.replace(b"hello", b"forge")
LONG = bytes(32 * 2**20)
"""A request that no socket's buffers take whole."""


def passage(url: str) -> OpenAIPassage:
    """Return the way to a service."""
    return OpenAIPassage(url, DIALECTS["openai"], Secret("sk-hostile-0123456789"), {})


def posted(url: str) -> bytes | ClientError:
    """Return the body of a service's answer, or what was raised instead."""

    async def main() -> bytes | ClientError:
        upstream = Upstream()
        try:
            answer = await upstream.post(passage(url), "chat", {"a": 1}, lambda: None)
            try:
                return await read_whole(answer)
            finally:
                answer.release()
        except ClientError as error:
            return error
        finally:
            await upstream.aclose()

    return run(main())


class Peer:
    """A service in threads: `serve` gets the connections, one after the other."""

    def __init__(self, serve: Callable[[int, socket.socket], None]) -> None:
        self._serve = serve
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections.append(connection)
                with contextlib.suppress(OSError):
                    self._serve(len(self.connections), connection)

    def close(self) -> None:
        """End."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def peer() -> Iterator[Callable[[Callable[[int, socket.socket], None]], Peer]]:
    """Return what makes services in threads."""
    made: list[Peer] = []

    def make(serve: Callable[[int, socket.socket], None]) -> Peer:
        made.append(Peer(serve))
        return made[-1]

    yield make
    for one in made:
        one.close()


Peers = Callable[[Callable[[int, socket.socket], None]], Peer]


def using(work: Callable[[Wires], Awaitable[Any]]) -> Any:
    """Return what *work* does with connections."""

    async def main() -> Any:
        wires = Wires()
        try:
            return await work(wires)
        finally:
            await asyncio.wait_for(wires.aclose(), 20)

    return run(main())


class TestReuse:
    @pytest.mark.parametrize("last", [b"", FORGED, b"f"], ids=["end", "answer", "byte"])
    def test_what_a_busy_loop_has_not_seen_yet_ends_an_idle_connection(
        self, peer: Peers, last: bytes
    ) -> None:
        """A request that went out there would be lost, or have an answer that is none to it."""
        go, done = threading.Event(), threading.Event()

        def serve(number: int, connection: socket.socket) -> None:
            connection.recv(65_536)
            connection.sendall(HELLO)
            if number == 1:
                go.wait()
                connection.sendall(last)
                if not last:
                    connection.close()
                done.set()

        service = peer(serve)

        async def work(wires: Wires) -> Any:
            said = [await read(await ask(wires, service.port))]
            go.set()
            done.wait()  # the loop stands still
            return [*said, await read(await ask(wires, service.port))]

        assert using(work) == [b"hello", b"hello"]
        assert len(service.connections) == 2

    def test_a_request_that_was_answered_before_it_was_read_takes_no_other_behind_it(
        self, peer: Peers
    ) -> None:
        def serve(_: int, connection: socket.socket) -> None:
            connection.recv(500)
            connection.sendall(HELLO)

        service = peer(serve)

        async def work(wires: Wires) -> Any:
            first = await read(await ask(wires, service.port, LONG))
            return first, await read(await ask(wires, service.port))

        assert using(work) == (b"hello", b"hello")
        assert len(service.connections) == 2

    def test_a_request_that_is_given_up_is_not_sent_to_its_end(self, peer: Peers) -> None:
        """What has not come whole is not worked on, and not billed."""
        service = peer(lambda _, connection: None)

        async def work(wires: Wires) -> int:
            target = wires.target(f"http://127.0.0.1:{service.port}/", HEADERS)
            answer = (await wires.wire(target)).ask(target.written(LONG))
            await asyncio.sleep(0.05)
            answer.release()
            return await asyncio.to_thread(_drained, service.connections[0])

        assert using(work) < len(LONG)

    def test_the_end_does_not_wait_for_a_service_that_does_not_read(self, peer: Peers) -> None:
        """And whoever still reads hears that it is over."""
        service = peer(lambda _, connection: None)

        async def main() -> None:
            wires = Wires()
            target = wires.target(f"http://127.0.0.1:{service.port}/", HEADERS)
            answer = (await wires.wire(target)).ask(target.written(LONG))
            await asyncio.wait_for(wires.aclose(), 20)
            with pytest.raises(aiohttp.ClientError):
                await answer.begun()
            answer.release()

        run(main())

    def test_the_end_of_the_host_is_no_good_end_of_an_answer(self) -> None:
        """Not of one that would have lasted as long as its connection either."""

        async def main() -> None:
            async with Service([b"HTTP/1.1 200 OK\r\n\r\nhel"]) as service:
                wires = Wires()
                answer = await ask(wires, service.port)
                assert await answer.read() == b"hel"
                await wires.aclose()
                with pytest.raises(aiohttp.ClientPayloadError):
                    await answer.read()
                answer.release()

        run(main())

    @pytest.mark.parametrize("seed", range(3))
    def test_no_answer_is_that_to_another_request(self, seed: int) -> None:
        """Whoever leaves when; and no request comes twice, nor does a connection stay behind."""
        rng = random.Random(seed)
        came: Counter[bytes] = Counter()

        class Echo(Service):
            async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                self._tasks.add(asyncio.current_task())  # type: ignore[arg-type]
                gone = (OSError, RuntimeError, asyncio.IncompleteReadError, asyncio.CancelledError)
                with contextlib.closing(writer), contextlib.suppress(*gone):
                    while await self._echo(reader, writer):
                        pass

            async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
                name = (await _request(reader)).partition(b"\r\n\r\n")[2]
                came[name] += 1
                body = [name] * rng.choice((1, 20, 9_000))
                how = rng.choice((LENGTH, CHUNKED, CHUNKED, EOF, "more"))
                out = written(body, LENGTH if how == "more" else how)
                out += rng.choice((FORGED, b"H", b"forge")) if how == "more" else b""
                while out:
                    at = rng.choice((1, 70, 40_000, len(out)))
                    writer.write(out[:at])
                    await writer.drain()
                    out = out[at:]
                    if rng.random() < 0.3:
                        await asyncio.sleep(0)
                return how != EOF

        async def one(wires: Wires, port: int, name: bytes) -> None:
            left = rng.random() < 0.1
            found = b""
            answer = await ask(wires, port, name)
            try:
                while not (left and found) and (piece := await answer.read()):
                    found += piece
            finally:
                answer.release()
            assert name.startswith(found.replace(name, b""))
            assert left or found.replace(name, b"") == b""

        async def caller(wires: Wires, port: int, number: int) -> None:
            for count in range(25):
                task = asyncio.create_task(one(wires, port, b"<%d.%d>" % (number, count)))
                if rng.random() < 0.4:
                    for _ in range(rng.randrange(12)):
                        await asyncio.sleep(0)
                    task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

        async def work(wires: Wires, service: Service) -> Any:
            await asyncio.gather(*(caller(wires, service.port, number) for number in range(12)))
            idle = sum(len(some) for some in wires._idle.values())
            for _ in range(200):
                gc.collect()
                if len(wires._connector._acquired) <= idle:
                    break
                await asyncio.sleep(0.02)
            return max(came.values()), len(wires._connector._acquired) <= idle

        assert asked(Echo(), work) == (1, True)


def _drained(connection: socket.socket) -> int:
    """Return how much still comes."""
    size = 0
    with contextlib.suppress(OSError):
        while data := connection.recv(2**20):
            size += len(data)
    return size


class TestAnswers:
    def test_a_refusal_that_breaks_off_is_still_one(self) -> None:
        """Its status says that nothing was billed, and its head how long to wait."""
        head = b"HTTP/1.1 429 Slow\r\nRetry-After: 9\r\nRetry-After: 7\r\nContent-Length: 500\r\n\r\nslow"

        async def work(_: Wires, service: Service) -> Any:
            upstream = Upstream()
            with pytest.raises(RateLimited) as caught:
                await upstream.post(passage(f"http://127.0.0.1:{service.port}"), "chat", {}, lambda: None)
            await upstream.aclose()
            return caught.value.outcome, caught.value.retry_after_s

        assert asked(Service([head], close=True), work) == ("rejected", 7.0)

    def test_no_status_is_no_answer(self) -> None:
        async def work(wires: Wires, service: Service) -> None:
            with pytest.raises(aiohttp.ClientPayloadError, match="no HTTP"):
                await ask(wires, service.port)

        asked(Service([HELLO.replace(b"200", b"000")]), work)

    def test_what_is_wrong_with_an_answer_is_said(self) -> None:
        async def work(_: Wires, service: Service) -> str:
            upstream = Upstream()
            with pytest.raises(ClientError) as caught:
                await upstream.post(passage(f"http://127.0.0.1:{service.port}"), "chat", {}, lambda: None)
            await upstream.aclose()
            return str(caught.value)

        assert "no HTTP" in asked(Service([b"220 mail.test ESMTP\r\n"]), work)

    @pytest.mark.parametrize(("first", "line"), [(HELLO, "speaks before it is asked"), (b"", "not sent")])
    def test_a_service_that_speaks_first_or_leaves_is_sent_nothing(
        self, monkeypatch: pytest.MonkeyPatch, first: bytes, line: str
    ) -> None:
        """It answers to something else, or means another protocol."""
        connect = aiohttp.TCPConnector.connect

        async def later(*given: Any) -> Any:
            opened = await connect(*given)
            await asyncio.sleep(0.2)  # until it has spoken, or left
            return opened

        class First(Service):
            async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with contextlib.closing(writer):
                    writer.write(first)
                    self.asked.append(await reader.read(100) if first else b"")

        async def work(wires: Wires, service: Service) -> Any:
            monkeypatch.setattr(aiohttp.TCPConnector, "connect", later)
            with pytest.raises((NotConnected, aiohttp.ClientError)) as caught:
                await ask(wires, service.port)
            await asyncio.sleep(0.05)
            error = unsent(caught.value)
            return error.outcome, line in str(error), set(service.asked)

        assert asked(First(), work) == ("not_sent", True, {b""})


class TestSecrets:
    @pytest.mark.parametrize("key", ["a\udce9b", "a\nb", "a\x7fb"])
    def test_a_key_that_cannot_be_sent_is_not_in_what_is_raised(self, key: str) -> None:
        """Nor in what led to it."""

        async def work(wires: Wires, _: Service) -> BaseException:
            with pytest.raises(BadRequest, match="check the key") as caught:
                wires.target("http://127.0.0.1:1/", {"Authorization": f"Bearer sk-hidden{key}"})
            return caught.value

        error: BaseException | None = asked(Service(), work)
        assert isinstance(error, BadRequest)
        assert error.outcome == "not_sent"
        while error is not None:
            assert "sk-hidden" not in f"{error!r} {vars(error)} {getattr(error, 'object', '')}"
            error = error.__cause__ or error.__context__

    def test_where_requests_go_shows_no_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nor the password of a proxy, also not by what aiohttp logs of connections."""
        _proxied(monkeypatch, "http", "http://me:topsecret@127.0.0.1:1")

        async def work(wires: Wires, _: Service) -> str:
            target = wires.target("http://service.test/", HEADERS)
            return f"{target!r} {target.request!r} {target.request.connection_key!r}"

        shown = asked(Service(), work)
        assert "sk-wire" not in shown
        assert "topsecret" not in shown

    def test_the_addresses_that_are_remembered_are_few(self) -> None:
        async def work(wires: Wires, _: Service) -> int:
            for number in range(3 * TARGETS):
                wires.target(f"http://127.0.0.1:1/{number}", HEADERS)
            return len(wires._targets)

        assert asked(Service(), work) <= TARGETS


def _proxied(monkeypatch: pytest.MonkeyPatch, scheme: str, named: str) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(f"{scheme}_proxy", named)


class TestNotSent:
    """What goes wrong before a request is written has cost nothing, whatever it was."""

    def test_when_the_candidate_leaves_while_the_service_is_still_being_reached(
        self, peer: Peers, settings: Settings
    ) -> None:
        """Here it takes the connection and begins no TLS."""
        with FaultServer() as known:
            hosts = hosted(settings, known, attempts=1)
        service = peer(lambda _, connection: None)
        with served(hosts.replace(base_url=f"https://127.0.0.1:{service.port}/v1")) as host:
            session = host.session()
            at = urlsplit(host.base_url)
            candidate = http.client.HTTPConnection(at.hostname or "", at.port)
            body = json.dumps({"model": MODEL, "messages": HI})
            headers = {"Authorization": f"Bearer {host.token(session)}", "Content-Type": "application/json"}
            candidate.request("POST", f"{at.path.rstrip('/')}/chat/completions", body, headers)
            while not service.connections:
                time.sleep(0.01)
            candidate.close()
            host.wait_until_idle(session)
            totals = host.host.service.totals(session.session_id)
        assert (totals.held, totals.in_doubt, totals.used) == (0, 0, 0)

    @pytest.mark.parametrize("host", ["a..b", "a" * 300 + ".test", "127.1"])
    def test_to_a_name_that_is_none(self, host: str) -> None:
        error = posted(f"http://{host}/v1")
        assert isinstance(error, BadRequest)
        assert error.outcome == "not_sent"
        assert "check base_url" in str(error)

    @pytest.mark.parametrize(
        ("said", "kind", "line"),
        [
            (b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", BadRequest, "wants a user and password"),
            (b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", NotConnected, "502"),
            (b"no proxy\r\n\r\n", NotConnected, "no connection"),
            (b"HTTP/1.1 200 OK\r\n\r\n", NotConnected, "cannot connect"),
            (b"", NotConnected, "no connection"),
        ],
        ids=["password", "error", "junk", "no way", "end"],
    )
    def test_through_a_proxy_that_opens_no_tunnel(
        self, peer: Peers, monkeypatch: pytest.MonkeyPatch, said: bytes, kind: type[ClientError], line: str
    ) -> None:
        def serve(_: int, connection: socket.socket) -> None:
            connection.recv(65_536)
            connection.sendall(said)
            connection.close()

        _proxied(monkeypatch, "https", f"http://me:topsecret@127.0.0.1:{peer(serve).port}")
        error = posted("https://service.test/v1")
        assert isinstance(error, kind)
        assert error.outcome == "not_sent"
        assert line in str(error)
        assert "topsecret" not in str(error)

    def test_through_a_proxy_that_says_nothing(self, peer: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wires_module, "READY_S", 0.1)
        service = peer(lambda _, connection: None)
        _proxied(monkeypatch, "https", f"http://127.0.0.1:{service.port}")
        error = posted("https://service.test/v1")
        assert isinstance(error, NotConnected)
        assert "in time" in str(error)

    @pytest.mark.parametrize(
        "named", ["socks5://me:topsecret@127.0.0.1:1", "http://", "http://[::1", "127.0.0.1:99999"]
    )
    def test_through_what_is_no_proxy(self, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
        _proxied(monkeypatch, "http", named)
        error = posted("http://service.test/v1")
        assert isinstance(error, BadRequest)
        assert error.outcome == "not_sent"
        assert "HTTP_PROXY" in str(error)
        assert "topsecret" not in str(error)

    def test_a_proxy_needs_no_scheme(self, peer: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
        """As for curl, and for the notebook's own calls."""

        def serve(_: int, connection: socket.socket) -> None:
            connection.recv(65_536)
            connection.sendall(HELLO)

        service = peer(serve)
        _proxied(monkeypatch, "all", f"127.0.0.1:{service.port}")
        assert posted("http://service.test/v1") == b"hello"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The service's certificate and key."""
    return certificate(tmp_path_factory.mktemp("tls"), "service")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize("runner", {run, asyncio.run}, ids=lambda one: one.__module__)
class TestTLS:
    """On the host's event loop, and on that of systems which have no other."""

    def asked(
        self, files: tuple[Path, Path], runner: Any, service: Service, work: Callable[[Wires, str], Any]
    ) -> Any:
        """Return what *work* does with connections to *service*."""
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.load_cert_chain(*files)
        service._tls = theirs

        async def main() -> Any:
            wires = Wires(ssl.create_default_context(cafile=str(files[0])))
            async with service:
                try:
                    return await work(wires, f"https://127.0.0.1:{service.port}/")
                finally:
                    await asyncio.wait_for(wires.aclose(), 20)

        return runner(main())

    @pytest.mark.parametrize("more", [FORGED, b"forge", b"H"])
    def test_what_follows_an_answer_ends_the_connection(
        self, files: tuple[Path, Path], runner: Any, more: bytes
    ) -> None:
        service = Service([HELLO + more], [HELLO])

        async def work(wires: Wires, url: str) -> Any:
            return [await read(await ask(wires, 0, url=url)) for _ in range(2)]

        assert self.asked(files, runner, service, work) == [b"hello", b"hello"]
        assert service.connections == 2

    def test_a_connection_that_is_ending_takes_nothing(self, files: tuple[Path, Path], runner: Any) -> None:
        """Neither orders nor requests: its end may have been told before it is there."""
        service = Service([HELLO], [HELLO])

        async def work(wires: Wires, url: str) -> Any:
            await read(await ask(wires, 0, url=url))
            (wire,) = wires._idle[wires.target(url, HEADERS).key]
            wire.eof_received()
            free = wire.free
            answer = await ask(wires, 0, url=url)
            answer._wire.close()  # type: ignore[union-attr]
            answer.resume()
            answer.release()
            return free, answer.pause()

        assert self.asked(files, runner, service, work) == (False, False)
        assert service.connections == 2

    def test_an_answer_may_end_without_a_farewell(self, files: tuple[Path, Path], runner: Any) -> None:
        """Many services leave out TLS's own end; whether the answer is whole is for its reader to see."""

        class Rude(Service):
            async def answer(self, writer: asyncio.StreamWriter, pieces: Any) -> None:
                await super().answer(writer, pieces)
                writer.transport.abort()

        async def work(wires: Wires, url: str) -> bytes:
            return await read(await ask(wires, 0, url=url))

        service = Rude([written([b"hello"], "eof")], close=True)
        assert self.asked(files, runner, service, work) == b"hello"


def test_what_is_used_of_aiohttp_is_there() -> None:
    """Connecting for a request is documented; how a request is made, and a connection's protocol, are not.

    When this fails, an update of aiohttp has changed what `wires` and `wire` stand on (decision 0048): adapt
    them, or state an older version in pyproject.toml.
    """
    why = f"aiohttp {aiohttp.__version__} has changed what the gateway's connections stand on (decision 0048)"

    async def work(wires: Wires, service: Service) -> None:
        taken = inspect.signature(aiohttp.ClientRequest.__init__).parameters
        wanted = {"self", "method", "url", "headers", "proxy", "proxy_headers"}
        needed = {
            name
            for name, one in taken.items()
            if one.default is one.empty and one.kind is not one.VAR_KEYWORD
        }
        assert needed <= wanted <= taken.keys(), f"{why}: ClientRequest takes {list(taken)}"
        request = aiohttp.ClientRequest("POST", URL(f"http://127.0.0.1:{service.port}/"), headers={"a": "b"})
        assert {"host", "a", "user-agent"} <= {name.lower() for name in request.headers}, why
        opened = await wires._connector.connect(request, [], aiohttp.ClientTimeout())
        try:
            assert opened.transport is not None, f"{why}: Connection.transport"
            assert opened.transport.get_extra_info("socket").fileno() > 0, f"{why}: Connection.transport"
            assert isinstance(opened.protocol, asyncio.Protocol), f"{why}: Connection.protocol"
            assert opened.protocol.should_close is False, f"{why}: should_close"
            assert opened.closed is False, f"{why}: Connection.closed"
            assert len(wires._connector._acquired) == 1, f"{why}: the connector's books"
            Wire(opened, lambda _: None).close()
            assert opened.closed, f"{why}: Connection.close"
            assert not wires._connector._acquired, f"{why}: the connector's books"
        finally:
            opened.close()

    asked(Service(), work)
