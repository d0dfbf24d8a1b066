"""Part of benchmarks/host.py: what runs in a process of its own, the gateway and what it is compared with.

    python benchmarks/host_bases.py bare|parsing|gateway|turns UPSTREAM_PORT

prints ``PORT PATH TOKEN …`` when it serves, and ends when its standard input closes.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import uvicorn
from host_wire import MODEL
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:  # the bare pass-throughs have nothing of ours in their memory
    from ib_kernel.settings import Settings
    from ib_kernel.values.host import GrantKind

SESSIONS = 200
KEY = "sk-bench-0123456789abcdefghij"


def passing(upstream: int, parses: bool) -> Starlette:
    """Return the least that forwards: bytes in, bytes out; *parses* reads and writes the request's JSON."""
    http: list[aiohttp.ClientSession] = []
    url = f"http://127.0.0.1:{upstream}/v1/chat/completions"
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}

    async def forward(request: Request) -> Response:
        if not http:
            http.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False))
        body = await request.body()
        if parses:
            body = json.dumps(json.loads(body)).encode()
        response = await http[0].post(url, data=body, headers=headers)
        if response.headers["content-type"].startswith("text/event-stream"):

            async def chunks() -> AsyncIterator[bytes]:
                async for chunk in response.content.iter_any():
                    yield chunk
                response.release()

            return StreamingResponse(chunks(), media_type="text/event-stream")
        answer = await response.read()
        response.release()
        return Response(answer, media_type="application/json")

    return Starlette(routes=[Route("/v1/chat/completions", forward, methods=["POST"])])


def settings_of(folder: Path, upstream: int) -> Settings:
    """Return settings of an engine with its ledger in *folder*, before the service at port *upstream*."""
    from ib_kernel.settings import Settings

    return Settings(
        data_dir=folder,
        api_key=KEY,
        base_url=f"http://127.0.0.1:{upstream}/v1",
        dialect="openai",
        model=MODEL,
        client="openai",
    )


def hosted(upstream: int, port: int, kind: GrantKind) -> tuple[Any, list[str]]:
    """Return the host's application, its ledger durable, and a token of *kind* for each of its sessions."""
    from ib_kernel.budget.service import TokenService
    from ib_kernel.host.app import build_app
    from ib_kernel.host.host import Host, HostOptions
    from ib_kernel.host.notice import notice_of, record_shown
    from ib_kernel.host.process import tune
    from ib_kernel.host.tokens import hashed, new_token
    from ib_kernel.values.host import Grant

    settings = settings_of(Path(tempfile.mkdtemp(prefix="bench-host-")), upstream)
    options = HostOptions(address=f"http://127.0.0.1:{port}", listen=f"127.0.0.1:{port}")
    host = Host(settings, TokenService(settings), options)
    tokens = []
    for number in range(SESSIONS):
        session = host.service.create_session(
            f"candidate {number}", 10**12, role="Backend engineer", model=MODEL, client="openai"
        )
        tokens.append(new_token(kind))
        now = time.time()
        host.store.add_grant(Grant(hashed(tokens[-1]), kind, session.session_id, now, now + 86_400.0))
        if kind == "candidate":
            record_shown(host.store, session.session_id, notice_of(settings, session), session.candidate)
    tune()
    return build_app(host), tokens


def main() -> None:
    """Serve until standard input closes."""
    kind, upstream = sys.argv[1], int(sys.argv[2])
    bound = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = bound.getsockname()[1]
    os.environ["IB_CONFIG"] = os.devnull
    if kind == "gateway":
        (app, tokens), path = hosted(upstream, port, "gateway"), "/openai/v1"
    elif kind == "turns":
        (app, tokens), path = hosted(upstream, port, "candidate"), "/v1"
    else:
        app, tokens, path = passing(upstream, kind == "parsing"), ["none"], "/v1"
    own: dict[str, Any] = {}
    if kind in ("gateway", "turns"):  # as `ib host` does
        from ib_kernel.host.one_write import OneWriteProtocol

        own = {"http": OneWriteProtocol, "ws": "none", "server_header": False, "proxy_headers": False}
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, **own))

    def watch() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    print(port, path, *tokens, flush=True)
    server.run(sockets=[bound])


if __name__ == "__main__":
    main()
