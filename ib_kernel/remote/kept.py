"""What a notebook keeps of an interview that it has joined: 0600 in the data directory, one file a host.

Beside the token stands what the code was asked for with, so that a lost answer can be asked for again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ib_kernel.errors import ConfigError, StoreError
from ib_kernel.remote import hub
from ib_kernel.secrets import learn
from ib_kernel.settings.files import read_text
from ib_kernel.values import wire
from ib_kernel.values.joining import JoinLine

FOLDER = "joined"


@dataclass(frozen=True, slots=True)
class Kept:
    """One interview at one host; without a `token` it is being joined.

    With `by_hub`, the tokens work only beside the hub's token of this user's server. `others` are the hosts
    that the host has told of, to go on at when it is away.
    """

    address: str
    fingerprint: str
    code_hash: str
    nonce: str
    token: str = ""
    gateway_token: str = ""
    session_id: str = ""
    at: float = 0.0
    by_hub: bool = False
    others: tuple[str, ...] = ()

    def sent(self, token: str) -> str:
        """Return *token* as the host is shown it: beside this server's hub token where a hub has to vouch."""
        return f"{token}.{hub.own_token()}" if token and self.by_hub else token

    def __repr__(self) -> str:
        """Return what is no secret."""
        return f"Kept(address={self.address!r}, session_id={self.session_id!r})"


def find(data_dir: Path, line: JoinLine) -> Kept | None:
    """Return what was kept of joining with this very line, None for a new one."""
    known = _read(_file(data_dir, line.address))
    return known if known is not None and (not line.code or known.code_hash == _hash(line.code)) else None


def last(data_dir: Path) -> Kept | None:
    """Return the interview that was joined last, None when there is none."""
    found = [_read(file) for file in sorted((data_dir / FOLDER).glob("*.json"))]
    return max((k for k in found if k is not None and k.token), key=lambda k: k.at, default=None)


def begin(data_dir: Path, line: JoinLine) -> Kept:
    """Keep that *line* is about to be used, before it is."""
    kept = Kept(line.address, line.fingerprint, _hash(line.code), secrets.token_urlsafe(24))
    write(data_dir, kept)
    return kept


def write(data_dir: Path, kept: Kept) -> None:
    """Keep *kept* in place of what was kept for that host.

    Raises:
        ConfigError: It cannot be written.
    """
    learn(kept.token or None, kept.gateway_token or None)
    folder = data_dir / FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", dir=folder)  # 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(kept), file)
        os.replace(name, _file(data_dir, kept.address))
    except OSError as error:
        raise ConfigError(f"cannot keep the token in {folder}: {error.strerror}") from None


def forget(data_dir: Path, kept: Kept) -> None:
    """Forget the token and all that was kept with it."""
    with contextlib.suppress(OSError):
        _file(data_dir, kept.address).unlink()


def joined(kept: Kept, answer: dict[str, Any], now: float) -> Kept:
    """Return *kept* with what a host has answered to the code."""
    token, gateway = answer.get("token"), answer.get("gateway_token")
    session_id = _session_id(answer)
    if not isinstance(token, str) or not token.startswith("ib_c_") or len(token) > 200:
        raise ConfigError("the host's answer has no token; ask the interviewer for a new line")
    gateway = (
        gateway if isinstance(gateway, str) and gateway.startswith("ib_g_") and len(gateway) <= 200 else ""
    )
    return replace(kept, token=token, gateway_token=gateway, session_id=session_id, at=now)


def _file(data_dir: Path, address: str) -> Path:
    return data_dir / FOLDER / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.json"


def _read(file: Path) -> Kept | None:
    try:
        kept = wire.read(Kept, json.loads(read_text(file, limit=20_000)))
    except (OSError, ValueError, RecursionError, ConfigError, StoreError):
        return None
    learn(kept.token or None, kept.gateway_token or None)
    return kept


def _hash(code: str) -> str:
    return hashlib.sha256(f"joined\0{code}".encode()).hexdigest()


def _session_id(answer: dict[str, Any]) -> str:
    try:
        found = answer["me"]["session"]["session_id"]
    except (KeyError, TypeError):
        found = None
    if not isinstance(found, str) or not 0 < len(found) <= 200:
        raise ConfigError("the host's answer names no session; ask the interviewer for a new line")
    return found
