"""What a candidate does besides talking: checks and hints, each recorded."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from ib_kernel.errors import ConfigError, SessionInactive
from ib_kernel.evidence.hidden import HiddenChecks, RunOutcome
from ib_kernel.evidence.visible import VisibleOutcome, check_visible
from ib_kernel.interview.challenges import Challenge
from ib_kernel.text import cut
from ib_kernel.values import Check, LedgerEvent, Message, NewSession, Session, Status
from ib_kernel.values.evidence import Place
from ib_kernel.values.wire import to_value
from ib_kernel.values.work import CheckReport, Hint, TestResult

MOST_HIDDEN = 5
"""Hidden checks of one session at most, because counts are an oracle."""

HIDDEN_BEGUN, HIDDEN_VOID = "hidden_check_begun", "hidden_check_void"
"""The events by which a hidden check is taken before it runs, and given back when it could not."""

MOST_TESTS = 200
"""Tests of one check that are recorded."""

MOST_SHOWN = 2_000
"""Characters of one text about a test that are recorded."""

_TEXTS = ("name", "why", "expected", "got", "source", "said")


class Work:
    """Runs and records checks and hints of the sessions in one ledger.

    Args:
        store: The ledger.
        given: Returns what a session was given, its private part included.
        checks: Where hidden runs are run; None: made at the first one.
        place: Where this is: a candidate's machine, or the host.
        most_hidden: Hidden checks that one session may have.
    """

    def __init__(
        self,
        store: Any,
        given: Callable[[NewSession], Challenge | None],
        *,
        checks: HiddenChecks | None = None,
        place: Place = "candidate",
        most_hidden: int = MOST_HIDDEN,
    ) -> None:
        self._store, self._given, self._place = store, given, place
        self._checks, self._most_hidden = checks, most_hidden

    def visible(self, session: Session, code: str) -> CheckReport:
        """Run the visible tests beside *code* and record what they showed.

        Args:
            session: An active session.
            code: What the candidate has written.

        Raises:
            SessionInactive: The session is not active.
            ConfigError: It was given no challenge with visible tests.
        """
        challenge = self._challenge(session)
        began = time.time()
        report = report_of(check_visible(challenge, code))
        self._record(session, challenge, report, code, began)
        return report

    def take_visible(self, session: Session, told: Mapping[str, Any], code: str) -> CheckReport:
        """Record a visible check that ran on the candidate's machine, as the candidate's side tells it.

        Args:
            session: An active session.
            told: A `CheckReport` as JSON-able values; everything in it is somebody's text.
            code: What was checked.

        Raises:
            SessionInactive: The session is not active.
            ConfigError: It is no report.
        """
        challenge = self._challenge(session)
        tests = told.get("tests")
        if not isinstance(tests, list) or not all(isinstance(test, Mapping) for test in tests):
            raise ConfigError("tests: give a list of objects, one a test")
        rows = tuple(_test_row(test) for test in tests[:MOST_TESTS])
        report = CheckReport("visible", sum(row.ok for row in rows), len(rows), rows)
        self._record(session, challenge, report, code, time.time(), place="candidate")
        return report

    def hidden(self, session: Session, code: str, *, practice: bool = False) -> CheckReport:
        """Run the hidden checks beside *code*, record them, and say as much as the challenge reveals.

        Args:
            session: An active session.
            code: What the candidate has written.
            practice: Whether the private part is on the candidate's own machine.

        Raises:
            SessionInactive: The session is not active.
            NoSandbox: Code cannot be run safely here.
            ConfigError: The challenge has no hidden checks, or the session has none left.
        """
        challenge = self._challenge(session)
        left, ticket = self._take_hidden(session)
        if self._checks is None:
            self._checks = HiddenChecks()
        began = time.time()
        try:
            outcomes = self._checks.check(challenge, code)
        except BaseException:
            self._note(session, HIDDEN_VOID, {"ticket": ticket})
            raise
        rows = tuple(TestResult(o.name, o.passed, o.why) for o in outcomes)
        passed = sum(o.passed for o in outcomes)
        whole = CheckReport("hidden", passed, len(rows), rows, left=left, practice=practice)
        self._record(session, challenge, whole, code, began)
        return _revealed(whole, challenge, outcomes)

    def hint(self, session: Session) -> Hint:
        """Give the next rung of the challenge's ladder: no model is asked, no token is spent.

        Raises:
            SessionInactive: The session is not active.
            ConfigError: There are no hints, or none are left.
        """
        challenge = self._challenge(session)
        events = self._store.events(session.session_id)
        given = max((int(event.detail.get("rung", 0)) for event in events if event.kind == "hint"), default=0)
        if not challenge.hints:
            raise ConfigError(f"the challenge {challenge.name} has no hints; ask the interviewer")
        if given >= len(challenge.hints):
            raise ConfigError(
                f"all {len(challenge.hints)} hints were given; %interview transcript shows them"
            )
        hint = Hint(given + 1, challenge.hints[given], len(challenge.hints) - given - 1)
        now = time.time()
        detail = {"rung": hint.rung, "of": len(challenge.hints)}
        self._store.add_event(LedgerEvent(session.session_id, "hint", now, session.candidate, detail))
        if hasattr(self._store, "add_message"):
            said = Message(0, "hint", hint.text, created_at=now, asked_at=now)
            self._store.add_message(session.session_id, said)
        return hint

    def _take_hidden(self, session: Session) -> tuple[int, str]:
        """Take one of the session's hidden checks; return how many are left after it, and what names it.

        A check takes seconds, and another host may begin one meanwhile: each writes down that it begins and
        then looks how many had begun before, in the ledger's order.
        """
        done = sum(check.suite == "hidden" for check in self._store.checks(session.session_id))
        if done >= self._most_hidden:
            raise self._used_up()
        ticket = secrets.token_hex(8)
        self._note(session, HIDDEN_BEGUN, {"ticket": ticket})
        events = self._store.events(session.session_id)
        void = {event.detail.get("ticket") for event in events if event.kind == HIDDEN_VOID}
        begun = [event.detail.get("ticket") for event in events if event.kind == HIDDEN_BEGUN]
        before = [one for one in begun[: begun.index(ticket)] if one not in void]
        left = self._most_hidden - 1 - max(len(before), done)
        if left < 0:
            self._note(session, HIDDEN_VOID, {"ticket": ticket})
            raise self._used_up()
        return left, ticket

    def _used_up(self) -> ConfigError:
        return ConfigError(
            f"this session's {self._most_hidden} hidden checks are used up; the visible tests can be run "
            "as often as you like"
        )

    def _note(self, session: Session, kind: str, detail: Mapping[str, Any]) -> None:
        self._store.add_event(LedgerEvent(session.session_id, kind, time.time(), session.candidate, detail))

    def _challenge(self, session: Session) -> Challenge:
        if session.status is not Status.ACTIVE:
            raise SessionInactive(
                f"session {session.session_id} is {session.status}; checks and hints need a running one"
            )
        challenge = self._given(session)
        if challenge is None:
            raise ConfigError("this session was given no challenge: start one with --challenge NAME")
        return challenge

    def _record(
        self,
        session: Session,
        challenge: Challenge,
        report: CheckReport,
        code: str,
        began: float,
        *,
        place: Place | None = None,
    ) -> None:
        if report.problem or not hasattr(self._store, "add_check"):
            return
        sha = hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
        detail: dict[str, Any] = {"suite": report.suite, "total": report.total}
        if report.suite == "visible" or challenge.reveal != "nothing":
            detail["passed"] = report.passed
        now = time.time()
        self._store.add_event(LedgerEvent(session.session_id, "check", now, session.candidate, detail))
        self._store.add_check(
            Check(
                session.session_id,
                report.suite,
                report.passed or 0,
                report.total,
                [to_value(test) for test in report.tests],
                challenge.challenge_sha,
                sha,
                place or self._place,
                began,
                time.time(),
            )
        )


def report_of(outcome: VisibleOutcome) -> CheckReport:
    """Return what visible tests showed as a report."""
    tests = tuple(
        TestResult(t.name, t.passed, t.why, t.expected, t.got, t.source, t.said) for t in outcome.tests
    )
    return CheckReport("visible", outcome.passed, len(tests), tests, outcome.problem)


def _revealed(report: CheckReport, challenge: Challenge, outcomes: list[RunOutcome]) -> CheckReport:
    if challenge.reveal == "names":
        return report
    passed = None if challenge.reveal == "nothing" else report.passed
    return CheckReport("hidden", passed, len(outcomes), (), left=report.left, practice=report.practice)


def _test_row(test: Mapping[str, Any]) -> TestResult:
    texts = {name: cut(str(test.get(name, "")), MOST_SHOWN) for name in _TEXTS}
    return TestResult(ok=test.get("ok") is True, **texts)
