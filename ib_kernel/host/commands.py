"""What each command of `ib` does, given what was typed. Each returns the exit status."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from ib_kernel.errors import ConfigError
from ib_kernel.host.privacy import erase, export, retention
from ib_kernel.host.typed import able, opened, say, settings_of
from ib_kernel.text import several

if TYPE_CHECKING:
    from ib_kernel.assessment.report.values import Report
    from ib_kernel.host.host import Host

__all__ = [
    "backup", "challenge", "doctor", "erase", "export", "host", "invite", "link", "people", "report",
    "restore", "retention", "store", "verify",
]  # fmt: skip
"""The commands by name: what a word of `ib` says is run."""

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

    with opened(given) as host:
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

    with opened(given) as host:
        person = find_person(host, given.name) if given.name else first_person(host)
        say(new_link(host, person, host.options.address))
    return 0


def people(given: argparse.Namespace) -> int:
    """List, add or remove people of the interviewer's side."""
    from ib_kernel.budget.access import default_candidate
    from ib_kernel.host.people import add_person, find_person, new_link, present

    if given.action != "list" and not given.name:
        raise ConfigError(f"ib interviewer {given.action} needs a NAME")
    with opened(given, running=given.action == "add") as host:
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

    with opened(given, running=False) as host:
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
    with opened(given, running=False) as host:
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
    with opened(given, running=False) as host:
        files = able(host.store, "backup")(given.folder)
        for name, sha in sorted(files.items()):
            say(f"{sha}  {name}")
        say(f"the ledger is backed up in {given.folder}; ib restore {given.folder} brings it back")
    return 0


def restore(given: argparse.Namespace) -> int:
    """Bring a backup back into a ledger that is new."""
    with opened(given, running=False) as host:
        able(host.store, "restore")(given.folder)
        say(f"{host.data_dir} has what {given.folder} had")
    return 0


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

    with opened(given, running=False) as host:
        for line in report(host):
            say(line)
    return 0
