"""Who asks, where a proxy stands in between: what the proxy says of it, and only what that proxy says.

``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed of a peer that is the proxy: over a unix socket
whoever may open it, else one of `HostOptions.trusted_proxies`. A proxy adds the address that it sees at the
end of the header, whatever its client has written before, so the last one is taken.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from starlette.requests import Request

from ib_kernel.host.answers import Refused

if TYPE_CHECKING:
    from starlette.types import Scope

    from ib_kernel.host.host import HostOptions

V6_BITS = 64
"""Bits of an IPv6 address that name a line: whoever has one has all addresses below it (RFC 6177)."""


def seen_through(scope: Scope, options: HostOptions) -> Scope:
    """Return *scope* with whoever stands before the proxy as its client.

    Raises:
        Refused: The proxy was reached without TLS: everything would be seen on the way.
    """
    peer = scope.get("client")
    through = options.behind_proxy or options.behind_hub
    if not through or not _is_proxy(peer[0] if peer else "", options):
        return scope
    headers = [(key.lower(), value.decode("latin-1")) for key, value in scope["headers"]]
    schemes = _listed(headers, b"x-forwarded-proto")
    if options.behind_proxy and schemes and schemes[-1].lower() != "https":
        raise Refused(403, "tls", f"this host is reached over TLS only: {options.address}")
    client = _client(_listed(headers, b"x-forwarded-for"), options)
    return {**scope, "client": client or peer}


def limited_address(request: Request) -> str:
    """Return what stands for the asker's line where tries are counted; "" where nobody knows."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, V6_BITS), strict=False))
    return str(address)


def is_address(text: str) -> bool:
    """Return True if *text* is an IP address."""
    return _parsed(text) is not None


def _is_proxy(peer: str, options: HostOptions) -> bool:
    if options.listen.startswith("unix:"):
        return True
    return _parsed(peer) in {_parsed(proxy) for proxy in options.trusted_proxies}


def _client(listed: list[str], options: HostOptions) -> tuple[str, int] | None:
    """Return the last address that is none of the named proxies' own; None where it is no address."""
    named = {_parsed(proxy) for proxy in options.named_proxies}
    for text in reversed(listed):
        address = _parsed(text)
        if address is None:
            return None
        if address not in named:
            return str(address), 0
    return None


def _listed(headers: list[tuple[bytes, str]], name: bytes) -> list[str]:
    whole = ",".join(value for key, value in headers if key == name)
    return [part.strip() for part in whole[-2_000:].split(",") if part.strip()]


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address that may stand with a port."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
