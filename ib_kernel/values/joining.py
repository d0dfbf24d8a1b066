"""The line that lets a candidate join: a code, the host's address and, where needed, its certificate.

``7F3K-92QX-4MDP-W8ZT@https://host.example`` or ``…@https://host.example#sha256=AB12…``. The code is sixteen
letters of Crockford's base 32 (no I, L, O or U; https://www.crockford.com/base32.html, read 2026-11): 80
random bits. It is read leniently, as it may have been dictated: in any case, with spaces or hyphens, O for 0,
I and L for 1.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from ib_kernel.errors import ConfigError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LETTERS = 16

_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None, "\u2010": None, "\u2011": None,
                          "\u2013": None})  # fmt: skip
_SERVICE = re.compile(r"(?:/[A-Za-z0-9~][\w~-]{0,99}){0,4}/services/[A-Za-z0-9][\w~-]{0,99}", re.ASCII)
_FINGERPRINT = re.compile(r"sha256=([0-9a-fA-F:]{64,95})")


@dataclass(frozen=True, slots=True)
class JoinLine:
    """What a candidate types after ``%interview join``.

    `code` is "" where only the host is named, `address` is as `parse_address` returns it, and
    `fingerprint` is the SHA-256 of the host's certificate in lower-case hex, "" where its authority is known.
    """

    code: str
    address: str
    fingerprint: str = ""

    def __repr__(self) -> str:
        """Return the line without its code, which is a secret."""
        return f"JoinLine(code=…, address={self.address!r}, fingerprint={self.fingerprint!r})"

    def text(self) -> str:
        """Return the line as it is typed."""
        mark = f"#sha256={self.fingerprint}" if self.fingerprint else ""
        return f"{self.code}@{self.address}{mark}" if self.code else f"{self.address}{mark}"


def new_code() -> str:
    """Return a new code of 80 random bits, such as ``7F3K-92QX-4MDP-W8ZT``."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LETTERS))
    return "-".join(letters[at : at + 4] for at in range(0, CODE_LETTERS, 4))


def parse_code(text: str) -> str:
    """Return a code as it was made, however it was typed.

    Raises:
        ConfigError: It is none; the line does not repeat it.
    """
    letters = text.strip().upper().translate(_READ_AS)
    if len(letters) != CODE_LETTERS or any(letter not in ALPHABET for letter in letters):
        raise ConfigError(
            "that is no code of an invitation: it has sixteen letters and digits, such as "
            "7F3K-92QX-4MDP-W8ZT; copy the whole line that you were sent"
        )
    return "-".join(letters[at : at + 4] for at in range(0, CODE_LETTERS, 4))


def parse_join(text: str) -> JoinLine:
    """Read what was typed after ``%interview join``.

    Raises:
        ConfigError: One line that says what is missing.
    """
    text = text.strip()
    code, at, host = text.rpartition("@")
    if not at and "://" not in text:
        raise ConfigError("join needs a code and a host: %interview join CODE@https://host.example")
    host, _, mark = host.partition("#")
    fingerprint = ""
    if mark:
        found = _FINGERPRINT.fullmatch(mark)
        fingerprint = found[1].replace(":", "").lower() if found else ""
        if len(fingerprint) != 64:
            raise ConfigError("the line is not whole: what follows # is not a certificate's sha256; copy all")
    return JoinLine(parse_code(code) if at else "", parse_address(host), fingerprint)


def parse_address(text: str) -> str:
    """Return a host's address: scheme, name and port; a path only where it is a service of a JupyterHub.

    Plain HTTP is for this machine only.

    Raises:
        ConfigError: It is no such address.
    """
    text = text.strip()
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        name, port, parts = "", None, urlsplit("")
    path = parts.path.rstrip("/")
    foreign = path and not _SERVICE.fullmatch(path)
    odd = parts.query or parts.fragment or parts.username or parts.password or foreign
    if parts.scheme not in ("http", "https") or not name or odd or re.search(r"[\s\\]", text):
        raise ConfigError("a host's address is https://NAME or https://NAME:PORT, without a path")
    if parts.scheme == "http" and not is_loopback(name):
        raise ConfigError(
            f"{name} is another machine, and http:// would show everything on the way; use https://"
        )
    shown = f"[{name}]" if ":" in name else name
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{shown}" + (f":{port}" if port not in (None, usual) else "") + path


def is_loopback(name: str) -> bool:
    """Return True if *name* is this machine's own: ``localhost``, ``127.0.0.1``, ``::1``."""
    name = name.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
