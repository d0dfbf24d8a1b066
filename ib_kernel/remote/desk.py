"""The interviewer's side from elsewhere: a notebook or `ib` that speaks to a host with a person's token."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from ib_kernel.errors import ConfigError
from ib_kernel.remote.connection import Connection
from ib_kernel.secrets import Secret, learn
from ib_kernel.settings import Settings
from ib_kernel.values.joining import parse_join

TOKEN_VARIABLE = "IB_HOST_TOKEN"  # noqa: S105 - its name, not its value


class Desk:
    """One person's place at a host."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @classmethod
    def at(cls, address: str, settings: Settings) -> Desk:
        """Return a person's place at the host *address*, or that ``IB_HOST`` names when it is "".

        Raises:
            ConfigError: No host is named, or no token is there.
        """
        address = address or os.environ.get("IB_HOST", "").strip()
        if not address:
            raise ConfigError("which host? Name it, such as https://host.example, or put it into IB_HOST")
        return cls.from_environment(address, settings)

    @classmethod
    def from_environment(cls, address: str, settings: Settings) -> Desk:
        """Return the place of whoever ``IB_HOST_TOKEN`` belongs to, at the host *address*.

        Raises:
            ConfigError: The variable is not set.
        """
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not token:
            raise ConfigError(
                f"{TOKEN_VARIABLE} is not set; put a link or a token of yours there (ib link makes a link)"
            )
        return cls.with_token(address, token, settings)

    @classmethod
    def with_token(cls, address: str, token: str, settings: Settings) -> Desk:
        """Return the place of the owner of *token*, which may be a link that was not opened yet."""
        learn(token)
        line = parse_join(address if "://" in address else f"https://{address}")
        line_to = Connection(line.address, fingerprint=line.fingerprint, ca_file=settings.ca_file)
        with contextlib.closing(line_to) as connection:
            token = token.rpartition("#")[2]
            if token.startswith("ib_l_"):
                answer = connection.post("/v1/link", {"token": token, "as": "token"})
                token = str(answer.get("token", ""))
            return cls(connection.with_token(Secret(token)))

    def close(self) -> None:
        """Close connections. Idempotent."""
        self.connection.close()

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def invite(self, role: str, **details: Any) -> str:
        """Open a session at the host and return the line for its candidate."""
        return self._line({"role": role, **details})

    def readmit(self, session_id: str, **details: Any) -> str:
        """Return a new line for a session that is there; whoever was in is out."""
        return self._line({"session_id": session_id, **details})

    def _line(self, details: dict[str, Any]) -> str:
        value = {name: given for name, given in details.items() if given is not None}
        return str(self.connection.post("/v1/desk/invitations", value).get("line", ""))
