"""A person's rows: whose they are, which are due, and what erasing them reaches and does not reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ib_kernel.errors import ConfigError, UnknownName, did_you_mean
from ib_kernel.text import one_line, several
from ib_kernel.values.erasure import PSEUDONYM, Erasure
from ib_kernel.values.privacy import KnownSession, PrivacyStore

ELSEWHERE = (
    "notebooks that the person or you have saved, with their outputs",
    "files that were written before: transcripts, reports, exports, query results",
    "logs of a proxy or a hub in front of the host",
)
"""What no ledger reaches, whatever it is kept in."""

_SHORTEST = 4
"""Characters of a name that is looked for in other people's texts; shorter ones are in ordinary words."""

_LISTED = 20


class Ambiguous(ConfigError):
    """What was given may be several people; `matches` are their sessions."""

    def __init__(self, line: str, matches: Sequence[KnownSession]) -> None:
        super().__init__(line)
        self.matches = tuple(matches)


@dataclass(frozen=True, slots=True)
class Person:
    """One person's sessions, those about them (a judge's) included."""

    sessions: tuple[KnownSession, ...]

    @property
    def session_ids(self) -> list[str]:
        """The sessions' ids."""
        return [session.session_id for session in self.sessions]

    @property
    def names(self) -> list[str]:
        """What the person is called in their own sessions, names first."""
        own = [s for s in self.sessions if not s.about]
        return list(
            dict.fromkeys([*(s.candidate for s in own), *(s.external_id for s in own if s.external_id)])
        )


def privacy_store(store: Any) -> PrivacyStore:
    """Return *store* where it can show and erase a person's rows. `ConfigError` where it cannot."""
    if not hasattr(store, "known_sessions"):
        raise ConfigError(f"the ledger {store.name} cannot export or erase people's rows; use its own tools")
    found: PrivacyStore = store
    return found


def find_person(
    store: PrivacyStore, wanted: str = "", *, session_ids: Sequence[str] = (), everything: bool = False
) -> Person:
    """Return one person's sessions.

    Args:
        store: The ledger.
        wanted: A candidate's id, or a name where no id is known by it.
        session_ids: The sessions themselves, by the beginning of their ids, instead.
        everything: Whether all sessions with that name are one person's.

    Raises:
        UnknownName: Nobody, or no session, is called that.
        Ambiguous: Several people may be meant.
    """
    known = store.known_sessions()
    if session_ids:
        return _with_those_about([_by_id(known, typed) for typed in session_ids], known)
    wanted = wanted.strip()
    if not wanted:
        raise ConfigError("whose rows? give --candidate-id ID, or --session ID")
    own = [session for session in known if not session.about]
    by_id = [session for session in own if session.external_id == wanted]
    if by_id:
        return _with_those_about(by_id, known)
    called = [session for session in own if session.candidate.casefold() == wanted.casefold()]
    if not called:
        names = {name for s in own for name in (s.candidate, s.external_id) if name}
        hint = did_you_mean(wanted, names) or "; %interview sessions lists who has been interviewed"
        raise UnknownName(f"no candidate has the id or the name {one_line(wanted)!r}{hint}")
    ids = {session.external_id for session in called}
    if len(called) > 1 and not everything and (len(ids) > 1 or ids == {""}):
        raise Ambiguous(
            f"{several(len(called), 'session')} are of somebody called {one_line(wanted)}, perhaps of "
            "several people: give --candidate-id, or --session ID for each, or --same-person if it is one",
            called,
        )
    return _with_those_about(called, known)


def _by_id(known: Sequence[KnownSession], typed: str) -> KnownSession:
    found = [s for s in known if s.session_id == typed] or [
        s for s in known if typed and s.session_id.startswith(typed)
    ]
    if len(found) != 1:
        raise UnknownName(f"{len(found) or 'no'} sessions begin with {one_line(typed)!r}; type the whole ID")
    return found[0]


def _with_those_about(chosen: Sequence[KnownSession], known: Sequence[KnownSession]) -> Person:
    ids = {session.session_id for session in chosen}
    about = [s for s in known if s.about in ids and s.session_id not in ids]
    return Person((*chosen, *about))


def due(store: PrivacyStore, now: float) -> list[Person]:
    """Return whose time is over (`keep_until`), session by session, oldest first.

    Args:
        store: The ledger.
        now: Seconds since the epoch.
    """
    known = store.known_sessions()
    over = [s for s in known if s.keep_until is not None and s.keep_until <= now and not s.about]
    return [_with_those_about([s], known) for s in sorted(over, key=lambda s: s.keep_until or 0.0)]


def session_line(session: KnownSession) -> str:
    """Return a session in one line for people: whose, since when, how long it is kept."""
    parts = [f"{session.session_id}  {one_line(session.candidate)}"]
    if session.external_id:
        parts.append(f"id {one_line(session.external_id)}")
    parts += [session.status, day(session.created_at)]
    if session.keep_until is not None:
        parts.append(f"kept until {day(session.keep_until)}")
    if session.about:
        parts.append(f"about session {session.about}")
    return " · ".join(parts)


def session_lines(sessions: Sequence[KnownSession]) -> list[str]:
    """Return sessions, a line each, and how many more there are."""
    more = [f"… and {len(sessions) - _LISTED:,} more"] if len(sessions) > _LISTED else []
    return [*map(session_line, sessions[:_LISTED]), *more]


def day(at: float) -> str:
    """Return a moment's day (UTC)."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def mentions(store: Any, person: Person) -> list[str]:
    """Return the sessions of others whose messages have the person's name or id in them, at most twenty.

    They are other people's texts, and are not changed.
    """
    names = [n for n in person.names if len(n) >= _SHORTEST and not n.startswith(PSEUDONYM)]
    if not names:
        return []
    forms = {form.replace("'", "''") for name in names for form in (name, name.lower(), name.upper())}
    places = ("content", "lower(content)")  # whose letters have two cases, a database's locale decides
    like = " OR ".join(f"position('{form}' in {place}) > 0" for form in sorted(forms) for place in places)
    ids = ", ".join("'{}'".format(name.replace("'", "''")) for name in person.session_ids)
    sql = (
        f"SELECT DISTINCT session_id FROM messages WHERE session_id NOT IN ({ids})"  # noqa: S608 (quoted)
        f" AND ({like}) ORDER BY session_id LIMIT {_LISTED}"
    )
    return [str(name) for (name,) in store.sql(sql)]


def erase(store: PrivacyStore, person: Person, who: str) -> Erasure:
    """Erase a person from their sessions.

    Args:
        store: The ledger.
        person: Whose sessions.
        who: Who erases, for the record.

    Raises:
        SessionInactive: One of the sessions is going on; nothing was changed.
        StoreBusy: Another program has a file open; what was begun goes on at the next attempt.
    """
    return store.erase(person.session_ids, who=who)


def told(done: Erasure, models: Sequence[str] = (), named: Sequence[str] = ()) -> list[str]:
    """Return what an erasure has done and what it cannot reach, a line each.

    Args:
        done: The erasure.
        models: The services and models that have read the person's texts.
        named: Sessions of others in which the person is named.
    """
    rows = ", ".join(f"{n:,} of {table}" for table, n in sorted(done.rows.items()) if n)
    lines = [f"erased: {several(len(done.sessions), 'session')} ({', '.join(done.sessions)})"]
    if rows:
        lines.append(f"rows without their texts now: {rows}; times, tokens and costs stay as counts")
    lines.append(f"written anew: {', '.join(done.rewritten)}")
    if done.removed:
        lines.append(f"removed, because they could not be read: {', '.join(done.removed)}")
    lines += [f"not reached: {place}" for place in (*done.elsewhere, *ELSEWHERE)]
    if models:
        lines.append(
            f"not reached: the service that answered ({', '.join(models)}); ask it to delete what it keeps: "
            "calls.response_id has its names of the replies"
        )
    if named:
        lines.append(f"not changed: texts of other sessions that name the person: {', '.join(named)}")
    return lines


def models_of(store: Any, session_ids: Sequence[str]) -> list[str]:
    """Return the services and models that have read some sessions' texts, by the names of their clients."""
    ids = ", ".join("'{}'".format(name.replace("'", "''")) for name in session_ids)
    sql = f"SELECT DISTINCT client, model FROM calls WHERE session_id IN ({ids}) ORDER BY 1, 2"  # noqa: S608
    return [f"{client} {model}" for client, model in store.sql(sql) if client and client != "demo"]
