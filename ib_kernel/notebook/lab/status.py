"""The kernel's end of the wire to JupyterLab's panel and status bar: a comm of the target `TARGET`.

It is there when the package is loaded, and says nothing: a page with the extension looks for it and says
hello, now or after a reload. Until then nothing is read and nothing is sent: no other front end notices it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import BuddyError
from ib_kernel.notebook.output.show import has_front_end

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview
    from ib_kernel.notebook.engine import Engine

log = logging.getLogger(__name__)

TARGET = "ib_kernel.status"
"""The comm's target; the same word stands in the page's link.js."""

VERSION = 1
"""The version of the messages; a page of another version shows nothing."""

POLL_S = 1.0
"""Seconds between two looks at the ledger when nothing was heard of; another notebook shows within two."""

DRIFT_S = 2.0
"""The page counts the time down itself and is corrected when it would be off by more than this."""


class StatusWire:
    """Tells the page what the session in use is, while a page listens."""

    def __init__(self, shell: Any, engine: Engine) -> None:
        self._shell, self._engine = shell, engine
        self._comm: Any = None
        self._lock = threading.RLock()
        self._awake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._observed: tuple[Any, str] | None = None
        self._reader: Any = None
        self._told: dict[str, Any] = {}
        self._told_at = 0.0
        self._task_of = ""

    def open(self) -> None:
        """Have the comm, where there is a front end, and look after every cell."""
        if not has_front_end(self._shell):
            return
        from comm import create_comm, get_comm_manager

        self._comm = create_comm(TARGET, primary=False)
        get_comm_manager().register_comm(self._comm)
        self._comm.on_msg(self._asked)
        self._shell.events.register("post_run_cell", self._cell_ended)

    def close(self) -> None:
        """Close the comm and stop looking. Idempotent."""
        self._stop.set()
        self._awake.set()
        with contextlib.suppress(ValueError):
            self._shell.events.unregister("post_run_cell", self._cell_ended)
        self._observe(None)
        comm, self._comm = self._comm, None
        if comm is not None:
            comm.close()

    def refresh(self, *, whole: bool = False) -> None:
        """Read the session in use and tell the page what has changed; *whole*: everything."""
        with self._lock:
            if self._comm is None:
                return
            interview = self._engine.in_use
            self._observe(interview)
            state = self._read(interview)
            if whole:
                self._told, self._task_of = {}, ""
            if not self._is_news(state):
                return
            self._send({"type": "state", "state": state})
            self._told, self._told_at = state, time.monotonic()
            if state["session_id"] and state["session_id"] != self._task_of:
                from ib_kernel.notebook.lab.state import read_task

                self._task_of = state["session_id"]
                self._send({"type": "task", "task": read_task(interview)})  # type: ignore[arg-type]

    # --- the comm

    def _asked(self, message: Any) -> None:
        data = message.get("content", {}).get("data", {})
        if not isinstance(data, dict):
            return
        if data.get("do") == "hello":
            self._follow()
            self.refresh(whole=True)
        elif data.get("do") == "estimate" and isinstance(data.get("cell"), str):
            answer = {"type": "estimate", "n": data.get("n"), "estimate": self._estimate(data["cell"])}
            self._send(answer)

    def _estimate(self, cell: str) -> dict[str, Any]:
        from ib_kernel.notebook.lab.estimate import estimate_cell

        interview = self._engine.in_use
        if interview is None or interview.session_id is None:
            return {"problem": "no session is in use"}
        try:
            return estimate_cell(interview, cell, self._shell.user_ns)
        except Exception:
            log.exception("the next turn could not be estimated")
            return {"problem": "This could not be counted; the log says why."}

    def _send(self, data: dict[str, Any]) -> None:
        comm = self._comm
        if comm is not None:
            comm.send({"version": VERSION, **data})

    # --- looking

    def _read(self, interview: Interview | None) -> dict[str, Any]:
        from ib_kernel.notebook.lab.state import NO_SESSION, Reader

        if interview is None:
            return NO_SESSION
        self._reader = self._reader or Reader()
        try:
            state: dict[str, Any] = self._reader.read(interview)
        except BuddyError:  # the ledger was closed or is another one: nothing is in use there
            return NO_SESSION
        return state

    def _is_news(self, state: dict[str, Any]) -> bool:
        changed = {name for name, value in state.items() if self._told.get(name, self) != value}
        if changed != {"time_left_s"}:
            return bool(changed)
        before, now = self._told["time_left_s"], state["time_left_s"]
        if before is None or now is None:
            return True
        passed = time.monotonic() - self._told_at if self._told["running"] else 0.0
        drift: float = before - passed - now
        return abs(drift) > DRIFT_S

    def _cell_ended(self, _: Any) -> None:
        if self._thread is not None:
            self._awake.set()

    def _follow(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="ib-status", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._awake.wait(POLL_S)
            self._awake.clear()
            if self._stop.is_set():
                return
            try:
                self.refresh()
            except Exception:  # the next look may see more
                log.debug("the status could not be read", exc_info=True)

    def _observe(self, interview: Interview | None) -> None:
        """Hear of what this kernel's calls do, at once."""
        plugins = interview.service.plugins if interview is not None else None
        if self._observed is not None and self._observed[0] is not plugins:
            before, name = self._observed
            before.unregister(name)
            self._observed = None
        if plugins is not None and self._observed is None:
            from ib_kernel.notebook.observer import LedgerObserver

            name = f"status {id(self)}"
            plugins.register(LedgerObserver(self._awake.set), name=name)
            self._observed = plugins, name
