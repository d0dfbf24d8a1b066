"""The interviewer's side from elsewhere: a notebook or `ib` that speaks to a host with a person's token."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ib_kernel.assessment.card import Scorecard
from ib_kernel.assessment.compared import Comparison
from ib_kernel.assessment.rubric import to_toml
from ib_kernel.errors import ConfigError
from ib_kernel.evidence.replay import received
from ib_kernel.remote.connection import Connection
from ib_kernel.secrets import Secret, learn
from ib_kernel.settings import Settings
from ib_kernel.text import plain
from ib_kernel.values.joining import parse_join
from ib_kernel.values.wire import read

if TYPE_CHECKING:
    from ib_kernel.interview.challenges import Criterion

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

    def scorecard(self, session_id: str, *, blind: bool = False) -> Scorecard:
        """Return this person's scorecard of a session.

        Args:
            session_id: The session at the host.
            blind: Whether names are replaced until this person has rated everything.
        """
        path = f"{_session(session_id)}/scorecard"
        return read(Scorecard, self.connection.get(path + ("?blind=1" if blind else "")))

    def score(
        self,
        session_id: str,
        criterion: str,
        level: int,
        why: str = "",
        *,
        turns: Iterable[int] = (),
        quotes: Iterable[Mapping[str, Any]] = (),
        blind: bool = False,
    ) -> Scorecard:
        """Give a level under this person's name, and return the scorecard with it.

        Args:
            session_id: The session at the host.
            criterion: Its name, or the beginning of it.
            level: 0 to 3.
            why: The reason.
            turns: The turns that show it.
            quotes: The candidate's words that show it: mappings with ``turn`` and ``words``.
            blind: As in `scorecard`.
        """
        given = {"criterion": criterion, "level": level, "why": why}
        given |= {"turns": list(turns), "quotes": [dict(quote) for quote in quotes]}
        path = f"{_session(session_id)}/score"
        return read(Scorecard, self.connection.post(path + ("?blind=1" if blind else ""), given))

    def replay(self, session_id: str, *, blind: bool = False) -> tuple[str, list[dict[str, Any]]]:
        """Return the line that names a session, and its moments to be played back.

        Args:
            session_id: The session at the host.
            blind: As in `scorecard`.
        """
        path = f"{_session(session_id)}/replay?markdown=1" + ("&blind=1" if blind else "")
        return received(self.connection.get(path))

    def note(self, session_id: str, text: str) -> None:
        """Keep a private note.

        Args:
            session_id: The session at the host.
            text: The note.
        """
        self.connection.post(f"{_session(session_id)}/note", {"text": text})

    def give_rubric(self, session_id: str, criteria: Iterable[Criterion]) -> Scorecard:
        """Give a session criteria of its own.

        Args:
            session_id: The session at the host.
            criteria: What `ib_kernel.assessment.rubric.read_rubric` returns.
        """
        text = {"text": to_toml(criteria)}
        return read(Scorecard, self.connection.post(f"{_session(session_id)}/rubric", text))

    def unfold(self, session_id: str) -> Scorecard:
        """See every level of a session without rating it; for coordinators, and recorded.

        Args:
            session_id: The session at the host.
        """
        return read(Scorecard, self.connection.post(f"{_session(session_id)}/unfold", {}))

    def compared(self) -> dict[str, int]:
        """Return the challenges that can be compared, with how many sessions each has."""
        found = self.connection.get("/v1/desk/compare").get("challenges")
        counts = found if isinstance(found, dict) else {}
        return {plain(str(name)): int(n) for name, n in counts.items() if isinstance(n, int)}

    def compare(self, challenge: str, *, blind: bool = False) -> Comparison:
        """Return the sessions on one challenge, grouped by equal conditions.

        Args:
            challenge: Its name.
            blind: Whether names are replaced until this person has rated a session.
        """
        path = f"/v1/desk/compare?challenge={quote(challenge[:500])}" + ("&blind=1" if blind else "")
        return read(Comparison, self.connection.get(path).get("comparison"))

    def _line(self, details: dict[str, Any]) -> str:
        value = {name: given for name, given in details.items() if given is not None}
        return str(self.connection.post("/v1/desk/invitations", value).get("line", ""))


def _session(session_id: str) -> str:
    return f"/v1/desk/sessions/{quote(session_id, safe='')}"
