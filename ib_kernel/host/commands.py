"""What each command of `ib` does, given what was typed. Each returns the exit status."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError, SessionInactive
from ib_kernel.text import several

if TYPE_CHECKING:
    from ib_kernel.assessment.privacy import Person
    from ib_kernel.assessment.report.values import Report
    from ib_kernel.host.host import Host
    from ib_kernel.settings import Settings
    from ib_kernel.values.privacy import PrivacyStore

_DETAILS = (
    "candidate", "candidate_id", "level", "challenge", "token_budget", "budget_usd", "minutes", "model",
    "client", "persona", "charge", "accommodation", "preset", "keep_days",
)  # fmt: skip


def host(given: argparse.Namespace) -> int:
    """Run the host until it is asked to stop."""
    from ib_kernel.host.serve import Serving, listen_of, run

    if given.access_log:
        logging.getLogger("ib_kernel.host.access").setLevel(logging.INFO)
    serving = Serving(
        listen_of(given.listen, hub=given.hub), given.url, given.tls_cert, given.tls_key, given.behind_proxy,
        given.hub, given.workers, tuple(given.proxy),
    )  # fmt: skip
    return run(settings_of(given), serving, say)


def say(line: str) -> None:
    """Print one line for the person who typed the command."""
    print(line, flush=True)  # noqa: T201


def invite(given: argparse.Namespace) -> int:
    """Invite a candidate and print the one line to send."""
    details = {name: getattr(given, name) for name in _DETAILS if getattr(given, name) is not None}
    if given.host:
        from ib_kernel.remote.desk import Desk

        desk = Desk.from_environment(given.host, settings_of(given))
        details |= {"gateway": given.gateway, "hours": given.hours}
        say(desk.readmit(given.session, **details) if given.session else desk.invite(given.role, **details))
        return 0
    from ib_kernel.budget.access import default_candidate
    from ib_kernel.host.invite import find_session_id, invite, readmit

    with _ledger(given) as host:
        who = default_candidate()
        if given.session:
            if details or given.role:
                raise ConfigError("--session readmits into a session as it is; leave the rest out")
            session_id, gateway = find_session_id(host, given.session), True if given.gateway else None
            made = readmit(host, who, session_id, gateway=gateway, hours=given.hours)
        else:
            made = invite(host, who, gateway=given.gateway, hours=given.hours, role=given.role, **details)
        say(made.line)
    return 0


def link(given: argparse.Namespace) -> int:
    """Print a new link to the interviewer's page."""
    from ib_kernel.host.people import find_person, first_person, new_link

    with _ledger(given) as host:
        person = find_person(host, given.name) if given.name else first_person(host)
        say(new_link(host, person, host.options.address))
    return 0


def people(given: argparse.Namespace) -> int:
    """List, add or remove people of the interviewer's side."""
    from ib_kernel.budget.access import default_candidate
    from ib_kernel.host.people import add_person, find_person, new_link, present

    if given.action != "list" and not given.name:
        raise ConfigError(f"ib interviewer {given.action} needs a NAME")
    with _ledger(given, running=given.action == "add") as host:
        if given.action == "add":
            person = add_person(host, given.name, given.role)
            say(f"{person.name} ({person.role}): {new_link(host, person, host.options.address)}")
        elif given.action == "remove":
            host.store.remove_person(find_person(host, given.name).name, default_candidate())
            say(f"{given.name} is out, with every token and link")
        else:
            for person in present(host):
                say(f"{person.name} ({person.role})")
    return 0


def challenge(given: argparse.Namespace) -> int:
    """Make, lint, probe or pack a challenge; no host and, but for a probe, no ledger is needed."""
    from ib_kernel.host import challenges

    status: int = getattr(challenges, given.action)(given, say)
    return status


def verify(given: argparse.Namespace) -> int:
    """Recompute the chain; status 1 where something does not agree."""
    from ib_kernel.host.invite import find_session_id
    from ib_kernel.host.verify import verify

    with _ledger(given, running=False) as host:
        session_id = find_session_id(host, given.session) if given.session else None
        problems = verify(host, session_id)
        for line in problems:
            say(line)
        if not problems:
            say("the chain and what was sent agree")
        counted = getattr(host.store, "verification", None)
        erased = counted(session_id).erased if counted is not None else 0
        if erased:
            say(
                f"{several(erased, 'row')} of people who were erased: texts are gone, figures are vouched for"
            )
    return 1 if problems else 0


def report(given: argparse.Namespace) -> int:
    """Write a session's report, and release it where that was asked."""
    from ib_kernel.assessment.report.release import release
    from ib_kernel.assessment.report.write import suffix_of, write_report
    from ib_kernel.host.invite import find_session_id

    suffix_of(given.file)
    if given.release and given.whom != "candidate":
        raise ConfigError("--release is for the candidate's edition: add --for candidate")
    with _ledger(given, running=False) as host:
        session_id = find_session_id(host, given.session)
        made = _report(host, session_id, given)
        say(f"the report is in {write_report(given.file, made, overwrite=given.overwrite)}")
        if given.release:
            release(host.service, made)
            say("released: the candidate can read it with %interview report FILE.html")
    return 0


def _report(host: Host, session_id: str, given: argparse.Namespace) -> Report:
    """Return the report that was asked for, after a judge where one was named."""
    from ib_kernel.assessment.judge.find import find_judge
    from ib_kernel.assessment.judging import Judging
    from ib_kernel.assessment.report.build import build
    from ib_kernel.assessment.report.candidate import build_for_candidate
    from ib_kernel.assessment.scores import Scorecards
    from ib_kernel.interview.interview import Interview

    session, model = host.service.get_session(session_id), not given.no_model
    if host.service.is_locked(session_id):
        from getpass import getpass

        host.service.unlock(session_id, getpass("Passphrase of this session: "), "its report")
    if given.judge:
        with Interview(host.settings, service=host.service) as engine:
            rubric = Scorecards(engine, guarded=False).rubric(session)
            judge = find_judge(engine.plugins, engine.settings, given.judge)
            judging = Judging(engine, session, rubric, judge)
            if not judging.is_done:
                estimate = judging.estimate()
                say(
                    f"{estimate.calls} calls, about {estimate.tokens:,} tokens, {estimate.most:,} at the most"
                )
                judging.run(lambda step: say(f"{step.done} of {step.total}: {step.look.criterion}"))
    if given.whom == "candidate":
        return build_for_candidate(host.engine, session, model=model, guarded=False)
    return build(host.engine, session, rater=given.rater, blind=given.blind, model=model, guarded=False)


def backup(given: argparse.Namespace) -> int:
    """Copy the ledger into a new folder, while a host goes on."""
    with _ledger(given, running=False) as host:
        files = _able(host.store, "backup")(given.folder)
        for name, sha in sorted(files.items()):
            say(f"{sha}  {name}")
        say(f"the ledger is backed up in {given.folder}; ib restore {given.folder} brings it back")
    return 0


def restore(given: argparse.Namespace) -> int:
    """Bring a backup back into a ledger that is new."""
    with _ledger(given, running=False) as host:
        _able(host.store, "restore")(given.folder)
        say(f"{host.data_dir} has what {given.folder} had")
    return 0


def export(given: argparse.Namespace) -> int:
    """Write all rows about a person into a folder."""
    from ib_kernel.assessment import export as files
    from ib_kernel.assessment.privacy import day
    from ib_kernel.budget.access import default_candidate

    with _ledger(given, running=False) as host:
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

    with _ledger(given, running=False) as host:
        store = privacy.privacy_store(host.store)
        resumed = store.resume_erasures()
        if resumed is not None:
            say("an erasure that was begun before is finished now:")
            _say_all(privacy.told(resumed))
        if given.resume or (resumed is not None and not given.session and not given.candidate_id):
            if resumed is None:
                say("no erasure was begun and left")
            return 0
        person = _person(host, given)
        _say_all(privacy.session_lines(person.sessions))
        _say_unreadable(store)
        require_yes(given, f"Erase {several(len(person.sessions), 'session')}? This cannot be undone.")
        for folder in given.backup:  # first: afterwards nobody knows whose a backup's sessions are
            found = _able(store, "erase_in_backup")(folder, person.session_ids, who=default_candidate())
            say(f"erased in the backup {folder}: {several(len(found), 'session')}")
        _erase(host, store, person, default_candidate())
    return 0


def retention(given: argparse.Namespace) -> int:
    """List the sessions whose time is over, or erase them after a question."""
    from ib_kernel.assessment import privacy
    from ib_kernel.budget.access import default_candidate

    with _ledger(given, running=False) as host:
        store = privacy.privacy_store(host.store)
        store.resume_erasures()
        due = privacy.due(store, host.clock())
        if not due:
            say("no session is kept longer than was said")
            return 0
        for person in due:
            _say_all(privacy.session_lines(person.sessions))
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
    _say_all(privacy.told(privacy.erase(store, person, who), models, named))


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
        _say_all(privacy.session_lines(several_people.matches))
        raise


def require_yes(given: argparse.Namespace, question: str) -> None:
    """Go on only after a yes, by ``--yes`` or typed. `ConfigError` where nobody can be asked, or says no."""
    if given.yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("nothing was done: there is nobody to ask here; add --yes")
    if input(f"{question} Type yes: ").strip().lower() != "yes":
        raise ConfigError("nothing was done")


def _say_all(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def _able(store: Any, name: str) -> Any:
    """Return what a ledger can do where its plugin offers it. `ConfigError` where it does not."""
    found = getattr(store, name, None)
    if found is None:
        raise ConfigError(f"the ledger {store.name} has no {name} of its own; use its own tools")
    return found


def store(given: argparse.Namespace) -> int:
    """Make, bring forward or check a ledger that has to be set up; move one in, or take one along."""
    from ib_kernel.host import moving, store_tools

    what, _, form = given.action.partition("-")
    if form:
        move = {"import": moving.bring, "export": moving.take_along}[what]
        return move(form, settings_of(given), given.place, say)
    status: int = getattr(store_tools, given.action)(settings_of(given), say)
    return status


def doctor(given: argparse.Namespace) -> int:
    """Print settings, the host's address and the ledger's health."""
    from ib_kernel.host.doctor import report

    with _ledger(given, running=False) as host:
        for line in report(host):
            say(line)
    return 0


@contextlib.contextmanager
def _ledger(given: argparse.Namespace, *, running: bool = True) -> Iterator[Host]:
    """Open the ledger beside a host that may run; *running*: one has to, because its address is needed."""
    from ib_kernel.budget.service import TokenService
    from ib_kernel.host.address import read_address
    from ib_kernel.host.host import Host, HostOptions

    settings = settings_of(given)
    options = HostOptions()
    if running:
        where = read_address(settings.data_dir)
        options = HostOptions(where.address, fingerprint=where.fingerprint)
    host = Host(settings, TokenService(settings), options)
    try:
        yield host
    finally:
        host.close()


def settings_of(given: argparse.Namespace) -> Settings:
    """Return the settings with what the command line names."""
    from ib_kernel.settings import Settings

    return Settings().replace("ib", data_dir=given.data, store=given.store)
