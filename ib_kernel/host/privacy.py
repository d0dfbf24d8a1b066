"""`ib export`, `ib erase` and `ib retention`: what a person may have, and what is gone."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import SessionInactive
from ib_kernel.host.typed import able, opened, require_yes, say, say_all
from ib_kernel.text import several

if TYPE_CHECKING:
    from ib_kernel.assessment.privacy import Person
    from ib_kernel.host.host import Host
    from ib_kernel.values.privacy import PrivacyStore


def export(given: argparse.Namespace) -> int:
    """Write all rows about a person into a folder."""
    from ib_kernel.assessment import export as files
    from ib_kernel.assessment.privacy import day
    from ib_kernel.budget.access import default_candidate

    with opened(given, running=False) as host:
        person = _person(host, given)
        folder = given.out or f"export-{day(host.clock())}-{person.session_ids[0]}"
        for file in files.write(host.store, person, folder, host.clock(), default_candidate()):
            say(str(file))
        say(
            "all rows about the person, with raters' names and private notes: "
            "see docs/people.md before you hand them out"
        )
    return 0


def erase(given: argparse.Namespace) -> int:
    """Erase a person from their sessions, after a question."""
    from ib_kernel.assessment import privacy
    from ib_kernel.budget.access import default_candidate

    with opened(given, running=False) as host:
        store = privacy.privacy_store(host.store)
        resumed = store.resume_erasures()
        if resumed is not None:
            say("an erasure that was begun before is finished now:")
            say_all(privacy.told(resumed))
        if given.resume or (resumed is not None and not given.session and not given.candidate_id):
            if resumed is None:
                say("no erasure was begun and left")
            return 0
        person = _person(host, given)
        say_all(privacy.session_lines(person.sessions))
        _say_unreadable(store)
        require_yes(given, f"Erase {several(len(person.sessions), 'session')}? This cannot be undone.")
        for folder in given.backup:  # first: afterwards nobody knows whose a backup's sessions are
            found = able(store, "erase_in_backup")(folder, person.session_ids, who=default_candidate())
            say(f"erased in the backup {folder}: {several(len(found), 'session')}")
        _erase(host, store, person, default_candidate())
    return 0


def retention(given: argparse.Namespace) -> int:
    """List the sessions whose time is over, or erase them after a question."""
    from ib_kernel.assessment import privacy
    from ib_kernel.budget.access import default_candidate

    with opened(given, running=False) as host:
        store = privacy.privacy_store(host.store)
        store.resume_erasures()
        due = privacy.due(store, host.clock())
        if not due:
            say("no session is kept longer than was said")
            return 0
        for person in due:
            say_all(privacy.session_lines(person.sessions))
        if not given.erase:
            say(f"{several(len(due), 'session')} due; ib retention --erase erases them")
            return 0
        _say_unreadable(store)
        require_yes(given, f"Erase {several(len(due), 'session')}? This cannot be undone.")
        left = 0
        for person in due:
            try:
                _erase(host, store, person, default_candidate())
            except SessionInactive as error:
                left += 1
                say(f"not erased: {error}")
    return 1 if left else 0


def _say_unreadable(store: Any) -> None:
    """Name what an erasure removes because nobody can say what is in it."""
    for name in getattr(store, "unreadable_copies", list)():
        say(f"{name} will be removed: nobody can read it, so that it may have the person's texts")


def _erase(host: Host, store: PrivacyStore, person: Person, who: str) -> None:
    from ib_kernel.assessment import privacy

    named = privacy.mentions(host.store, person)
    models = privacy.models_of(host.store, person.session_ids)
    say_all(privacy.told(privacy.erase(store, person, who), models, named))


def _person(host: Host, given: argparse.Namespace) -> Person:
    """Return whose rows are meant; several people's are listed, and nothing is done."""
    from ib_kernel.assessment import privacy

    try:
        return privacy.find_person(
            privacy.privacy_store(host.store),
            given.candidate_id,
            session_ids=given.session,
            everything=given.same_person,
        )
    except privacy.Ambiguous as several_people:
        say_all(privacy.session_lines(several_people.matches))
        raise
