"""Mistakes in the environment (proxies, certificates, packages), each as one line that names the variable.

For authors of clients: they are found before anything is sent, so they cost nothing, and trying again cannot
help.
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


def not_ready(error: BaseException, package: str = "openai") -> NotConnected:
    """Return the error for whatever kept a connection from being made ready.

    Args:
        error: What was raised while it was set up.
        package: The library that was imported for it, where the error does not name one.
    """
    text = " ".join(scrub(str(error)).split())[:200]
    what = mistake(error)
    if not what and isinstance(error, ImportError):
        what = f"the package {error.name or package} cannot be imported ({text}); install it again with pip"
    elif not what and isinstance(error, OSError):
        what = f"a file that the connection needs cannot be read ({text})"
    return NotConnected(
        f"not sent: {what or f'the connection cannot be set up ({type(error).__name__}: {text})'}",
        retryable=False,
    )


def mistake(error: BaseException) -> str:
    """Return which variable made this error, its value, and what to do; "" when no variable did.

    Args:
        error: What was raised while a connection was set up.
    """
    if isinstance(error, ImportError):
        return _socks_without_package(error)
    return _bad_file() if isinstance(error, OSError) else _bad_proxy()  # ssl.SSLError is an OSError, too


def _socks_without_package(error: ImportError) -> str:
    name, value = next(((n, v) for n, v in _set(_PROXIES) if v.lower().startswith("socks")), ("", ""))
    if not name or "socks" not in str(error).lower():
        return ""
    return (
        f"{name} is {shown_proxy(value)} and SOCKS proxies need the package socksio; "
        "pip install socksio, or unset it"
    )


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
    """Return the proxy that requests go through, without its password; "" for none.

    Args:
        url: Where they go; None: OpenAI's address.
    """
    parts = urlsplit(url or "https://api.openai.com/v1")
    host = parts.hostname or ""
    found = urllib.request.getproxies_environment()
    proxy = found.get(parts.scheme) or found.get("all")
    if not proxy or urllib.request.proxy_bypass(host):
        return ""
    return shown_proxy(proxy)


def shown_proxy(value: str) -> str:
    """Return a proxy's address without user and password.

    Args:
        value: The address as the variable has it.
    """
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        if "@" in parts.netloc:
            parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        shown = urlunsplit(parts._replace(query="", fragment=""))
    except ValueError:
        shown = value.rpartition("@")[2]
    return scrub(shown)[:200]
