"""Named interviewers and coordinators, the links that let them in, and the cookie that a link becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ib_kernel.budget.access import default_candidate
from ib_kernel.budget.parsing import parse_name
from ib_kernel.errors import ConfigError, did_you_mean
from ib_kernel.host.tokens import hashed, new_token
from ib_kernel.values.host import Grant, Person, Role

if TYPE_CHECKING:
    from ib_kernel.host.host import Host

LINK_S = 24 * 3600.0
"""Seconds that a link can be opened within; once."""

SIGNED_IN_S = 12 * 3600.0
"""Seconds that a browser stays signed in."""


def present(host: Host) -> list[Person]:
    """Return the people who may come in, by name."""
    return [p for p in host.store.people() if p.removed_at is None]


def first_person(host: Host) -> Person:
    """Return the person that the host's own link is for; the first one ever is a coordinator."""
    name = default_candidate()
    known = present(host)
    mine = next((p for p in known if p.name == name), None)
    if mine is not None:
        return mine
    return add_person(host, name, "interviewer" if known else "coordinator")


def add_person(host: Host, name: str, role: Role) -> Person:
    """Add somebody to the interviewer's side.

    Raises:
        ConfigError: The name is empty, too long, or taken.
    """
    name = parse_name("the name", name).strip()
    if not name:
        raise ConfigError("a person on the interviewer's side needs a name")
    if any(p.name == name for p in present(host)):
        raise ConfigError(f"{name} is there already; ib link --name {name!r} makes a new link")
    person: Person = host.store.add_person(name, role, who=default_candidate())
    return person


def find_person(host: Host, name: str) -> Person:
    """Return the person of that name. `ConfigError` says who there is."""
    known = present(host)
    found = next((p for p in known if p.name == name), None)
    if found is None:
        names = [p.name for p in known]
        raise ConfigError(
            f"nobody called {name!r} is on the interviewer's side{did_you_mean(name, names)}; "
            "ib interviewer add NAME adds somebody"
        )
    return found


def new_link(host: Host, person: Person, address: str) -> str:
    """Return a new link that signs *person* in, once; its token stands behind the #, which no server sees."""
    return f"{address}/#{grant_token(host, 'link', person.name, LINK_S)}"


def sign_in(host: Host, link_token: str) -> tuple[Person, str] | None:
    """Exchange a link's token, once, for an interviewer's; None when it is not valid."""
    found: Any = host.store.grant(hashed(link_token))
    if found is None or found.kind != "link" or found.revoked_at or host.clock() >= found.expires_at:
        return None
    if not host.store.revoke_grants(token_hash=found.token_hash, who=found.subject):
        return None  # somebody else was faster
    person = next((p for p in present(host) if p.name == found.subject), None)
    return None if person is None else (person, grant_token(host, "interviewer", person.name, SIGNED_IN_S))


def grant_token(host: Host, kind: Literal["link", "interviewer"], name: str, seconds: float) -> str:
    """Return a new token of *kind* for the person *name*, valid for some seconds."""
    token, now = new_token(kind), host.clock()
    host.store.add_grant(Grant(hashed(token), kind, name, now, now + seconds, None, name))
    return token
