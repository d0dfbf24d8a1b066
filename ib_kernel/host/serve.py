"""`ib host`: bind, say where, serve until a signal, and leave nothing behind but the ledger."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ib_kernel.budget.service import TokenService
from ib_kernel.errors import ConfigError
from ib_kernel.host.address import Address, remove_address, write_address
from ib_kernel.host.bind import bind, unbind
from ib_kernel.host.folder import make_private
from ib_kernel.host.host import Host, HostOptions
from ib_kernel.host.hub import Hub, service_listen
from ib_kernel.host.idle import IdleConnections
from ib_kernel.host.people import first_person, new_link
from ib_kernel.host.process import tune
from ib_kernel.host.proxy import is_address
from ib_kernel.host.workers import Workers, parse_workers
from ib_kernel.settings import Settings
from ib_kernel.values.joining import is_loopback, parse_address

log = logging.getLogger(__name__)

DEFAULT_LISTEN = "127.0.0.1:8899"

LEASE_S = 5.0
"""Seconds after which a dead host's reservations become unresolved, unless the settings say otherwise:
candidates who come back wait no longer for what nobody reads any more."""

STOP_S = 5.0
"""Seconds that running requests get to end when the host is asked to stop."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What `ib host` was asked for.

    Attributes:
        listen: ``HOST:PORT`` or ``unix:PATH``.
        url: The address that people type; "": follows from *listen*.
        tls_cert: A certificate's file (PEM), with its chain.
        tls_key: Its key's file.
        behind_proxy: Whether a proxy on this machine ends TLS.
        hub: Whether JupyterHub has started it as a service.
        workers: How many processes serve.
        proxies: Addresses of the proxies that end TLS; none: this machine's own.
    """

    listen: str = DEFAULT_LISTEN
    url: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    behind_proxy: bool = False
    hub: bool = False
    workers: int = 1
    proxies: tuple[str, ...] = ()


def run(settings: Settings, serving: Serving, say: Callable[[str], None]) -> int:
    """Serve until SIGINT or SIGTERM. *say* gets each line for the person who started it.

    Raises:
        ConfigError: What was asked for cannot be served; nothing has happened then.
    """
    _server()
    require_safe(serving)
    if serving.hub:
        Hub.from_environment()
    closed = make_private(settings.data_dir)
    if closed:
        say(closed)
    settings = host_settings(settings)
    bound, shown = bind(serving.listen)
    with contextlib.closing(bound), contextlib.ExitStack() as stack:
        stack.callback(unbind, serving.listen)
        options = options_of(serving, shown)
        write_address(settings.data_dir, Address(options.address, options.fingerprint, os.getpid()))
        stack.callback(remove_address, settings.data_dir)
        if serving.workers == 1:
            return _serve(settings, serving, options, bound, say)

        def work(number: int, first: bool) -> int:
            greets = number == 1 and first
            return _serve(settings, serving, options, bound, say if greets else None)

        return Workers(serving.workers, work, say).run()


def _serve(
    settings: Settings,
    serving: Serving,
    options: HostOptions,
    bound: socket.socket,
    say: Callable[[str], None] | None,
) -> int:
    """Serve in this process; *say* gets what a host says first (None: another one says it)."""
    uvicorn, build_app = _server()
    hub = Hub.from_environment() if serving.hub else None
    host = Host(settings, TokenService(settings), options, hub=hub)
    with contextlib.closing(host):
        host.store.host_secret()  # a ledger that cannot be opened ends it here, in one line
        if say is not None:
            for line in greeting(host):
                say(line)
        threading.Thread(target=host.warm_up, name="ib-warm-up", daemon=True).start()
        server = _stoppable(uvicorn, _config(uvicorn, build_app(host), serving), host)
        tune()
        server.run(sockets=[bound])
    return 0


def host_settings(settings: Settings) -> Settings:
    """Return the settings that a host goes by where its owner has said nothing."""
    if settings.origins.get("lease_s") == "default":
        return settings.replace("ib host", lease_s=LEASE_S)
    return settings


def listen_of(given: str, *, hub: bool) -> str:
    """Return where to listen: as *given*, else where the hub expects its service, else the default."""
    return given or (service_listen() if hub else "") or DEFAULT_LISTEN


def require_safe(serving: Serving) -> None:
    """Refuse what would show tokens on the way.

    Raises:
        ConfigError: One line that says what to add.
    """
    name, _, port = serving.listen.rpartition(":")
    if not serving.listen.startswith("unix:") and not (name and port.isdigit()):
        raise ConfigError(f"--listen takes HOST:PORT, such as {DEFAULT_LISTEN}, or unix:PATH")
    if bool(serving.tls_cert) != bool(serving.tls_key):
        raise ConfigError("--tls-cert and --tls-key go together: the certificate's file and its key's")
    if serving.tls_cert and serving.behind_proxy:
        raise ConfigError("either the host ends TLS (--tls-cert) or a proxy does (--behind-proxy), not both")
    parse_workers(serving.workers)
    if serving.proxies and not serving.behind_proxy:
        raise ConfigError("--proxy names the proxy of --behind-proxy; add that, or leave --proxy out")
    for proxy in serving.proxies:
        if not is_address(proxy):
            raise ConfigError(f"--proxy takes a proxy's IP address, such as 10.0.0.5, not {proxy!r}")
    if serving.behind_proxy and not serving.url.startswith("https://"):
        raise ConfigError("--behind-proxy needs --url https://NAME, the address that people type")
    if serving.url and urlsplit(parse_address(serving.url)).path:
        raise ConfigError("--url is the page's own address, https://NAME, without a path")
    local = serving.listen.startswith("unix:") or is_loopback(name)
    if not local and not serving.tls_cert and not serving.behind_proxy:
        raise ConfigError(
            f"{serving.listen} can be reached from other machines, and without TLS every token would be seen "
            "on the way; add --tls-cert FILE --tls-key FILE, or --behind-proxy --url https://NAME"
        )
    if serving.listen.startswith("unix:") and not serving.behind_proxy:
        raise ConfigError("a unix socket is for a proxy: add --behind-proxy --url https://NAME")


def options_of(serving: Serving, shown: str) -> HostOptions:
    """Return how the host is reached, *shown* being where it listens now."""
    scheme = "https" if serving.tls_cert else "http"
    name, _, port = shown.rpartition(":")
    if name.strip("[]") in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        name = socket.gethostname()
    address = parse_address(serving.url or f"{scheme}://{name}:{port}")
    fingerprint = fingerprint_of(serving, address) if serving.tls_cert else ""
    return HostOptions(address, shown, fingerprint, serving.behind_proxy, serving.proxies, serving.hub)


def fingerprint_of(serving: Serving, address: str) -> str:
    """Return the certificate's SHA-256 unless every machine knows who has signed it; then ""."""
    name = address.split("://")[1].rpartition(":")[0] or address.split("://")[1]
    try:
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(serving.tls_cert, serving.tls_key)
        text = Path(serving.tls_cert).read_text(encoding="ascii")
        first = text[text.index("-----BEGIN CERTIFICATE") :]
        first = first[: first.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")]
        der = ssl.PEM_cert_to_DER_cert(first)
    except (OSError, ValueError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or "they do not fit"
        raise ConfigError(f"cannot use --tls-cert {serving.tls_cert} with its key: {reason}") from None
    return "" if _is_known(server, name.strip("[]")) else hashlib.sha256(der).hexdigest()


def _is_known(server: ssl.SSLContext, name: str) -> bool:
    """Return True if a client with the system's authorities would accept the certificate for *name*."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.wrap_bio(up, down, server_side=True)
    here = ssl.create_default_context().wrap_bio(down, up, server_hostname=name)
    for _ in range(10):
        try:
            here.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            return False
        else:
            return True
        with contextlib.suppress(ssl.SSLError):
            there.do_handshake()
    return False


def greeting(host: Host) -> list[str]:
    """Return what `ib host` says first: the link for the interviewer, and what answers.

    What a service of a hub says stands in the hub's log, and there a link is out of place.
    """
    person = first_person(host)
    if host.hub is None:
        link = new_link(host, person, host.options.address)
        lines = [f"Interviewer's page (opens once, within a day; ib link makes another): {link}"]
    else:
        page = f"ib link --data {host.data_dir} makes the link to the page at {host.options.address}"
        lines = [f"A service of JupyterHub at {host.hub.prefix}; {page}"]
    if host.settings.client_name == "demo":
        lines.append("No OPENAI_API_KEY is set, so the scripted demo interviewer answers.")
    lines.append(f"Ledger: {host.data_dir} · Ctrl-C stops the host")
    return lines


def _server() -> tuple[Any, Any]:
    try:
        import uvicorn

        from ib_kernel.host.app import build_app
    except ImportError as missing:
        raise ConfigError(
            f"ib host needs {missing.name}, which is not installed; "
            "pip install 'interview-buddy-kernel[host]'"
        ) from None
    return uvicorn, build_app


def _stoppable(uvicorn: Any, config: Any, host: Host) -> Any:
    """Return a server that tells the host as soon as it is asked to stop, so that open streams end."""
    idle = IdleConnections()

    class Server(uvicorn.Server):  # type: ignore[misc]
        should_exit: bool
        force_exit: bool

        async def on_tick(self, counter: int) -> bool:
            if counter % 20 == 0:
                idle.close_old(self.server_state.connections)
            return bool(await super().on_tick(counter))

        def handle_exit(self, sig: int, frame: Any) -> None:
            host.closing.set()
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True  # uvicorn's own would raise the signal again before we have tidied up

    return Server(config)


def _config(uvicorn: Any, app: Any, serving: Serving) -> Any:
    from ib_kernel.host.one_write import OneWriteProtocol

    return uvicorn.Config(
        app,
        http=OneWriteProtocol,
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        proxy_headers=False,  # `ib_kernel.host.proxy` reads them, and believes less
        timeout_graceful_shutdown=int(STOP_S),
        timeout_keep_alive=30,
        ssl_certfile=serving.tls_cert or None,
        ssl_keyfile=serving.tls_key or None,
    )
