"""Checks and hints of an interview at a host: visible tests run here, everything else there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ib_kernel.errors import ConfigError
from ib_kernel.evidence.visible import check_visible
from ib_kernel.evidence.work import report_of
from ib_kernel.values.work import CheckReport, Hint

if TYPE_CHECKING:
    from ib_kernel.remote.interview import RemoteInterview
    from ib_kernel.values import Session


class RemoteWork:
    """What `ib_kernel.evidence.work.Work` does, for a candidate who has joined a host."""

    def __init__(self, interview: RemoteInterview) -> None:
        self._interview = interview

    def visible(self, session: Session, code: str) -> CheckReport:
        """Run the visible tests on this machine, and tell the host what they showed."""
        challenge = self._interview.challenge(session)
        if challenge is None:
            raise ConfigError("this interview has no challenge")
        report = report_of(check_visible(challenge, code))
        if not report.problem:
            self._interview.send_check("visible", code, report.tests)
        return report

    def hidden(self, session: Session, code: str, *, practice: bool = False) -> CheckReport:
        """Have the host run the hidden checks."""
        if practice:
            raise ConfigError("leave --practice out: here the host runs the hidden checks")
        return self._interview.send_check("hidden", code)

    def hint(self, session: Session) -> Hint:
        """Ask the host for the next hint."""
        return self._interview.next_hint()
