"""Inviting: open a session that has not begun, and make the code that lets one candidate into it, once."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ib_kernel.budget.access import default_candidate
from ib_kernel.errors import ConfigError, SessionInactive, UnknownName, UnknownSession
from ib_kernel.host.tokens import hashed
from ib_kernel.interview.challenges import list_challenges
from ib_kernel.interview.personas import load_persona, persona_names
from ib_kernel.interview.presets import with_preset
from ib_kernel.interview.sessions import DAY_S
from ib_kernel.values.host import Invitation
from ib_kernel.values.joining import JoinLine, new_code

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import Session

VALID_S = 48 * 3600.0
"""Seconds within which a code can be used, unless the interviewer says otherwise."""

MOST_HOURS = 24 * 31

OPTIONS = frozenset(
    {"role", "candidate", "candidate_id", "level", "challenge", "token_budget", "budget_usd", "minutes",
     "model", "client", "api", "temperature", "persona", "charge", "accommodation", "preset", "keep_days"}
)  # fmt: skip
"""What an invitation may say about the session that it opens."""


@dataclass(frozen=True, slots=True)
class Invited:
    """A new invitation; `line` is the one line for the candidate, and nothing else ever has its code."""

    invitation: Invitation
    session: Session
    line: str


def invite(
    host: Host, who: str, *, gateway: bool = False, hours: float | None = None, **options: Any
) -> Invited:
    """Open a session and invite one candidate into it.

    Args:
        host: The host; its address stands in the line.
        who: Who invites.
        gateway: Whether the candidate's own tools may spend from the session too.
        hours: For how long the code can be used; None: two days.
        options: What the session is like, as `OPTIONS` names it.

    Raises:
        ConfigError: One line about what cannot be used; nothing is opened then.
    """
    unknown = set(options) - OPTIONS
    if unknown:
        known = ", ".join(sorted(OPTIONS))
        raise ConfigError(f"an invitation has no {', '.join(sorted(unknown))}; known: {known}")
    valid_s = parse_hours(hours)
    given = {name: value for name, value in options.items() if value not in (None, "")}
    minutes = given.pop("minutes", None)
    if minutes is not None:
        given["time_limit_s"] = 60.0 * _number("minutes", minutes)
    if given.get("preset"):
        given = with_preset(host.settings, given.pop("preset"), given)
    days = given.pop("keep_days", None) or host.settings.keep_days
    if days:
        given["keep_until"] = host.clock() + DAY_S * _number("keep_days", days)
    if gateway:
        require_gateway_client(host, str(given.get("client") or host.settings.client_name))
    session = host.engine.beside(None).start(str(given.pop("role", "")), begin=False, **given)
    return _invited(host, session, who, gateway=gateway, valid_s=valid_s)


def readmit(
    host: Host, who: str, session_id: str, *, gateway: bool | None = None, hours: float | None = None
) -> Invited:
    """Invite into a session that is there: the new code's user gets in, and whoever was in is out.

    Args:
        host: The host.
        who: Who invites.
        session_id: The session.
        gateway: As in `invite`; None: as the session's last invitation said.
        hours: As in `invite`.

    Raises:
        UnknownSession: There is no such session.
        SessionInactive: It has ended.
    """
    session = host.service.get_session(session_id)
    if session.status in ("completed", "cancelled"):
        raise SessionInactive(
            f"session {session_id} is {session.status}; nobody can be let in", session.status
        )
    if gateway is None:
        earlier = host.store.invitations(session_id)
        gateway = bool(earlier and earlier[0].gateway)
    if gateway:
        require_gateway_client(host, session.client)
    for kind in ("candidate", "gateway"):
        host.store.revoke_grants(subject=session_id, kind=kind, who=who)
    for earlier in host.store.invitations(session_id):
        if earlier.used_at is None and earlier.revoked_at is None:
            host.store.revoke_invitation(earlier.invitation_id, who)
    return _invited(host, session, who, gateway=gateway, valid_s=parse_hours(hours))


def find_session_id(host: Host, typed: str) -> str:
    """Return the id of the one session that begins with *typed*.

    Raises:
        UnknownSession: There is none, or more than one.
    """
    found: list[str] = [s.session_id for s in host.store.sessions() if s.session_id.startswith(typed)]
    if typed in found:
        return typed
    if len(found) != 1:
        raise UnknownSession(f"{len(found) or 'no'} sessions begin with {typed}; type the whole ID")
    return found[0]


def parse_hours(hours: Any) -> float:
    """Return for how many seconds a code is valid. `ConfigError` for what is no number of hours."""
    if hours is None:
        return VALID_S
    number = _number("hours", hours)
    if number > MOST_HOURS:
        raise ConfigError(f"hours: give at most {MOST_HOURS}")
    return 3600.0 * number


def _number(name: str, value: Any) -> float:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not usable or value <= 0:
        raise ConfigError(f"{name}: give a number above 0")
    return float(value)


def require_offered(host: Host, challenge: str) -> None:
    """Refuse a challenge that is a file of the host's: an interviewer far away reads none of them.

    Raises:
        UnknownName: No challenge of that name is shipped or offered by a plugin.
    """
    names = [known.name for known in list_challenges(host.service.plugins)]
    if challenge.strip().lower() not in map(str.lower, names):
        raise UnknownName(
            f"this host offers no challenge {challenge!r}; it has: {', '.join(names)}. Files and folders are "
            "for whoever runs the host: ib invite --data DIR --challenge PATH"
        )


def require_persona(host: Host, name: str) -> str | None:
    """Return the persona that somebody far away may choose, None for the host's own setting.

    Raises:
        UnknownName: It is neither shipped nor offered by a plugin, nor the host's own: files are not read.
    """
    settings, plugins = host.settings, host.service.plugins
    if name.strip().lower() in persona_names(plugins):
        return name
    if name.strip() == load_persona(settings.persona, plugins).name:
        return None
    raise UnknownName(
        f"this host offers no persona {name[:80]!r}; it has: {', '.join(persona_names(plugins))}. Files are "
        "for whoever runs the host: ib invite --as FILE.md"
    )


def require_gateway_client(host: Host, client: str) -> None:
    """Refuse a gateway for a session whose client is another than ``openai``: it speaks OpenAI's API only."""
    if client != "openai":
        raise ConfigError(
            f"the gateway serves sessions whose client is openai, and this one's is {client}; "
            "leave --gateway out, or set OPENAI_API_KEY for the host"
        )


def _invited(host: Host, session: Session, who: str, *, gateway: bool, valid_s: float) -> Invited:
    code, now = new_code(), host.clock()
    invitation = Invitation(
        invitation_id=uuid.uuid4().hex[:12],
        session_id=session.session_id,
        code_hash=hashed(code),
        created_by=who or default_candidate(),
        created_at=now,
        expires_at=now + valid_s,
        gateway=gateway,
    )
    host.store.add_invitation(invitation)
    line = JoinLine(code, host.options.address, host.options.fingerprint).text()
    return Invited(invitation, session, f"%interview join {line}")
