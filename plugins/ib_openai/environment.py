"""Mistakes in the environment (proxies, certificates, packages), each as one line that names the variable.

They are found before anything is sent, so they cost nothing, and trying again cannot help.
"""

from __future__ import annotations

import os
import urllib.request
from urllib.parse import urlsplit, urlunsplit

from ib_kernel.errors import NotConnected
from ib_kernel.secrets import scrub

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_FILES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
_SCHEMES = ("http", "https", "socks5", "socks5h")


def not_ready(error: BaseException) -> NotConnected:
    """Return the line for whatever kept the connection from being made ready."""
    text = " ".join(scrub(str(error)).split())[:200]
    if isinstance(error, ImportError):
        what = _missing_package(error, text)
    elif isinstance(error, OSError):  # ssl.SSLError too
        what = _bad_file() or f"a file that the connection needs cannot be read ({text})"
    else:
        what = _bad_proxy() or f"the connection cannot be set up ({type(error).__name__}: {text})"
    return NotConnected(f"not sent: {what}", retryable=False)


def _missing_package(error: ImportError, text: str) -> str:
    name, value = next(((n, v) for n, v in _set(_PROXIES) if v.lower().startswith("socks")), ("", ""))
    if name and "socks" in text.lower():
        return (
            f"{name} is {shown_proxy(value)} and SOCKS proxies need the package socksio; "
            "pip install socksio, or unset it"
        )
    return f"the package {error.name or 'openai'} cannot be imported ({text}); install it again with pip"


def _bad_file() -> str:
    for name, value in _set(_FILES):
        if name == "SSLKEYLOGFILE":
            if not os.path.isdir(os.path.dirname(value) or "."):
                return f"{name} is {value[:200]} and its folder does not exist; unset it or make the folder"
        elif not os.path.exists(value):
            return f"{name} is {value[:200]} and there is no such file; correct it or unset it"
        elif os.path.isfile(value):
            size = os.path.getsize(value)
            why = "is empty" if not size else "has no certificate that can be read"
            return f"{name} is {value[:200]}, which {why}; give a PEM file or unset it"
    return ""


def _bad_proxy() -> str:
    for name, value in _set(_PROXIES):
        try:
            parts = urlsplit(value if "://" in value else f"http://{value}")
            good = parts.scheme.lower() in _SCHEMES and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            allowed = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
            return f"{name} is {shown_proxy(value)}, which is no proxy's address; it starts with {allowed}"
    return ""


def _set(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the variables of *names* that are set, in either case, with their values."""
    spelled = [spelling for name in names for spelling in (name, name.lower())]
    return [(name, os.environ[name].strip()) for name in spelled if os.environ.get(name, "").strip()]


def proxy_for(url: str | None) -> str:
    """Return the proxy that requests to *url* go through, without its password; "" for none."""
    parts = urlsplit(url or "https://api.openai.com/v1")
    host = parts.hostname or ""
    found = urllib.request.getproxies_environment()
    proxy = found.get(parts.scheme) or found.get("all")
    if not proxy or urllib.request.proxy_bypass(host):
        return ""
    return shown_proxy(proxy)


def shown_proxy(value: str) -> str:
    """Return a proxy's address without user and password."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        if "@" in parts.netloc:
            parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        shown = urlunsplit(parts._replace(query="", fragment=""))
    except ValueError:
        shown = value.rpartition("@")[2]
    return scrub(shown)[:200]
