"""Which certificate a host has to show: a known authority's, one of the settings', or the join line's own."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from ib_kernel.errors import ConfigError, NotConnected


def context_for(
    address: str, fingerprint: str, ca_file: Path | None, connect_s: float
) -> ssl.SSLContext | bool:
    """Return what a client verifies the host at *address* with; False for this machine's own plain HTTP.

    Args:
        address: Scheme, name and port.
        fingerprint: SHA-256 of the host's certificate in hex, "" where an authority has signed it.
        ca_file: Certificates of further authorities (PEM).
        connect_s: Seconds to wait for a host whose certificate is compared.

    Raises:
        ConfigError: The file cannot be used.
        NotConnected: The host cannot be reached to compare its certificate, or has another one.
    """
    if not address.startswith("https://"):
        return False  # no certificate is asked for, and building a context takes a while
    if fingerprint:
        return _pinned(address, fingerprint, connect_s)
    if ca_file is None:
        return httpx2.create_ssl_context()
    try:
        context = ssl.create_default_context()
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or "it has no certificates"
        raise ConfigError(f"ca_file {ca_file} cannot be used: {reason}") from None
    return context


def _pinned(address: str, fingerprint: str, connect_s: float) -> ssl.SSLContext:
    """Return a context that accepts the one certificate with that fingerprint, and no authority."""
    parts = urlsplit(address)
    where = (parts.hostname or "", parts.port or 443)
    try:
        pem = ssl.get_server_certificate(where, timeout=connect_s)
    except (OSError, ssl.SSLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise NotConnected(f"the host {address} cannot be reached: {reason}") from None
    if hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() != fingerprint:
        raise NotConnected(
            f"the host {address} has another certificate than the join line says; somebody may stand between "
            "you and it: ask the interviewer for a new line",
            retryable=False,
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the certificate itself is what was promised
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=pem)
    return context
