"""Judges that a host asks in the background, one for a session at a time, with what has come of each."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.judge.find import find_judge
from ib_kernel.assessment.judgement import Estimate, Step
from ib_kernel.assessment.judging import Judging, client_of
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.budget.access import acting_as
from ib_kernel.errors import BuddyError
from ib_kernel.host.answers import Refused
from ib_kernel.interview.interview import Interview
from ib_kernel.values.wire import to_value

if TYPE_CHECKING:
    from ib_kernel.host.host import Host

log = logging.getLogger(__name__)


@dataclass
class Asked:
    """One judging that was begun here: how far it is, and how it ended."""

    estimate: Estimate
    done: int
    total: int
    running: bool = True
    problem: str = ""
    stop: bool = False


class _Stopped(Exception):
    """The host is closing."""


class Judges:
    """Asks judges for the people of one host.

    Args:
        host: Whose ledger, clients and queue.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._engine: Interview | None = None
        self._asked: dict[str, Asked] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def estimate(self, session_id: str, name: str = "") -> dict[str, Any]:
        """Return what a judge of a session would take now; nothing is asked.

        Args:
            session_id: The session. `UnknownSession`.
            name: The judge; "": the settings'.
        """
        judging = self._judging(session_id, name)
        return {**_value(judging.estimate()), "is_done": judging.is_done}

    def begin(self, session_id: str, who: str, name: str = "", *, again: bool = False) -> dict[str, Any]:
        """Ask a judge in the background.

        Args:
            session_id: The session. `UnknownSession`.
            who: Who asks.
            name: The judge; "": the settings'.
            again: Whether what was judged is judged anew.

        Returns:
            What it takes.

        Raises:
            Refused: One is being asked already.
        """
        judging = self._judging(session_id, name, again=again)
        estimate = judging.estimate()
        with self._lock:
            before = self._asked.get(session_id)
            if before is not None and before.running:
                raise Refused(409, "judging", "a judge is being asked about this session already")
            asked = Asked(estimate, estimate.total - estimate.calls, estimate.total)
            self._asked[session_id] = asked
            thread = threading.Thread(target=self._run, args=(judging, asked, who), daemon=True)
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()
        return _value(estimate)

    def progress(self, session_id: str) -> dict[str, Any] | None:
        """Return how far the judging is that was begun here last; None where none was."""
        asked = self._asked.get(session_id)
        if asked is None:
            return None
        return {
            "running": asked.running,
            "done": asked.done,
            "total": asked.total,
            "problem": asked.problem,
            "is_demo": asked.estimate.is_demo,
        }

    def close(self) -> None:
        """Let running ones end after the look that they wait for; what was answered is kept."""
        for asked in self._asked.values():
            asked.stop = True
        for thread in self._threads:
            thread.join(timeout=5.0)
        if self._engine is not None:
            self._engine.close()

    def _judging(self, session_id: str, name: str, *, again: bool = False) -> Judging:
        engine = self._own()
        session = self._host.service.get_session(session_id)
        judge = find_judge(engine.plugins, engine.settings, name, client_of(engine, session))
        rubric = Scorecards(engine, guarded=False).rubric(session)
        return Judging(engine, session, rubric, judge, again=again)

    def _own(self) -> Interview:
        """Return the engine of interviewers: its refusals name commands, and it goes through the queue."""
        with self._lock:
            if self._engine is None:
                self._engine = Interview(self._host.settings, service=self._host.service)
                self._engine.share(self._host.pacing, self._host.pacing.retries)
            return self._engine

    def _run(self, judging: Judging, asked: Asked, who: str) -> None:
        def on_step(step: Step) -> None:
            asked.done = step.done
            if asked.stop:
                raise _Stopped

        try:
            with acting_as(who):
                judging.run(on_step)
        except _Stopped:
            asked.problem = "the host was closed; asking again goes on from there"
        except BuddyError as error:
            asked.problem = str(error)
        except Exception:
            log.exception("a judge failed unexpectedly")
            asked.problem = "the judge failed unexpectedly; the host's log says more"
        finally:
            asked.running = False


def _value(estimate: Estimate) -> dict[str, Any]:
    value: dict[str, Any] = to_value(estimate)
    return {**value, "is_demo": estimate.is_demo}
