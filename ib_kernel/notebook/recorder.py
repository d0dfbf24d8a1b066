"""Records the cells that are run while a session is active: source and sizes, never what was shown.

A recorder must not be in the way. It takes note of a cell in microseconds and hands it to a thread, which
writes to the ledger or to the host. What fails there is tried again for `TRIES_S`, while cells go on, and
then logged and forgotten. Before one of our own lines runs, what was run before it is written: what a line
changes (the end of a session, another session, a pause) or shows comes after it. Cells are recorded only
while a session is active, for a host only after its notice was shown, and until ``%interview record off``.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import BuddyError, StoreError

if TYPE_CHECKING:
    from ib_kernel.notebook.engine import CellWriter, Engine
    from ib_kernel.values import Cell

log = logging.getLogger(__name__)

MOST_SOURCE = 100_000
"""Characters of one cell that are recorded."""

MOST_WAITING = 1_000
"""Cells that wait to be written; more are dropped, oldest last."""

MOST_AT_ONCE = 50
"""Cells that are handed to a writer at once."""

MOST_NESTED = 20
"""Cells that run inside each other at most; more are cells whose end nobody told."""

FLUSH_S = 5.0
"""Seconds that a flush waits at most."""

TRIES_S = 120.0
"""Seconds for which writing is tried again where a ledger or a host is away."""

LONGEST_PAUSE_S = 8.0
"""Seconds between two tries at most."""

_OUR_LINE = re.compile(r"\s*(%(interview|budget|usage)|%%usage)(?!\w)")
_MAGIC = re.compile(r"\s*%{1,2}(interview|budget|usage)(?!\w)")
_PRIVATE = re.compile(r"(%interview[ \t]+(?:score|note)(?!\w))(?:\\\n|.)*")
"""Lines whose words are for nobody who reads cells: what somebody concludes is kept elsewhere."""

_CELL_MAGIC = re.compile(r"\s*%%(\w+)")


class Recorder:
    """Listens to a shell and records its cells.

    Args:
        shell: The shell.
        engine: Which session is in use, and where it is kept.
        clock: Returns seconds since the epoch.
    """

    def __init__(self, shell: Any, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._shell, self._engine, self._clock = shell, engine, clock
        self._began: list[float] = []
        self.unstored: list[str] = []
        """Sources of cells that were run without a history (nbval, some front ends), which `In` lacks."""
        self._waiting: queue.Queue[tuple[CellWriter, Cell] | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._failing = False
        self._leaving = threading.Event()

    def listen(self) -> None:
        """Begin to listen."""
        self._leaving.clear()
        self._shell.events.register("pre_run_cell", self._begins)
        self._shell.events.register("post_run_cell", self._ended)

    def leave(self) -> None:
        """Stop listening and write what waits. Idempotent."""
        for name, callback in (("pre_run_cell", self._begins), ("post_run_cell", self._ended)):
            with contextlib.suppress(ValueError):
                self._shell.events.unregister(name, callback)
        self._leaving.set()
        self.flush()
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(FLUSH_S)
            self._thread = None

    def flush(self) -> None:
        """Wait until what waits is written, or cannot be written now: `FLUSH_S` at most."""
        until = time.monotonic() + FLUSH_S
        while self._waiting.unfinished_tasks and time.monotonic() < until and self._thread is not None:
            if self._failing and not self._leaving.is_set():
                return
            time.sleep(0.002)

    # inside

    def _begins(self, info: Any) -> None:
        if len(self._began) > MOST_NESTED:  # cells that never ended
            self._began.clear()
        self._began.append(self._clock())
        if _OUR_LINE.match(str(getattr(info, "raw_cell", "") or "")):
            self.flush()

    def _ended(self, result: Any) -> None:
        began = self._began.pop() if self._began else self._clock()
        if self._began:  # a cell inside a cell, as %%capture and %%time run them
            return
        try:
            self._take(result, began)
        except Exception as error:  # noqa: BLE001 - a recorder never breaks a cell
            log.debug("a cell was not recorded: %s", type(error).__name__)

    def _take(self, result: Any, began: float) -> None:
        error = result.error_before_exec or result.error_in_exec
        source = str(getattr(result.info, "raw_cell", "") or "")
        if error is not None and not isinstance(error, BuddyError) and not _MAGIC.match(source):
            self._engine.last_error = error
        if not getattr(result.info, "store_history", True) and source.strip():
            self.unstored.append(source[:MOST_SOURCE])
            del self.unstored[:-MOST_WAITING]
        interview = self._engine.in_use
        if (
            not self._engine.records
            or interview is None
            or interview.session_id is None
            or not source.strip()
        ):
            return
        from ib_kernel.values import Cell

        cell = Cell(
            interview.session_id,
            _PRIVATE.sub(r"\1 (kept apart)", source[:MOST_SOURCE]),
            error is None,
            began,
            self._clock(),
            result.execution_count,
            _kind(source),
            type(error).__name__ if error is not None else "",
            _output_chars(self._shell, result),
        )
        self._hand_over(self._engine.cell_writer(), cell)

    def _hand_over(self, write: CellWriter, cell: Cell) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._write, name="ib-cells", daemon=True)
            self._thread.start()
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait((write, cell))

    def _write(self) -> None:
        item = self._waiting.get()
        while item is not None:
            (write, cell), after = item, None
            cells = [cell]
            with contextlib.suppress(queue.Empty):
                while len(cells) < MOST_AT_ONCE:
                    after = self._waiting.get_nowait()
                    if after is None or after[1].session_id != cell.session_id:
                        break
                    cells.append(after[1])
                    after = None
                else:
                    after = None
            count = len(cells)
            self._write_cells(write, cells)
            for _ in range(count):
                self._waiting.task_done()
            item = after or self._waiting.get()
        self._waiting.task_done()

    def _write_cells(self, write: CellWriter, cells: list[Cell]) -> None:
        """Write *cells*, again and again where that may help; a writer takes what it has written off them."""
        until, pause, again = time.monotonic() + TRIES_S, 0.1, False
        while True:
            last = self._leaving.is_set()
            try:
                write(cells, again)
            except Exception as error:  # noqa: BLE001 - no session, no line, no disk: the cell goes on
                self._failing = True
                if last or _is_refusal(error) or time.monotonic() > until:
                    log.debug("%d cells were not recorded: %s", len(cells), type(error).__name__)
                    break
                self._leaving.wait(pause)
                pause, again = min(2 * pause, LONGEST_PAUSE_S), True
            else:
                break
        self._failing = False


def _is_refusal(error: Exception) -> bool:
    """Return True if the same cells would be refused again."""
    return isinstance(error, BuddyError) and not (
        isinstance(error, StoreError) or getattr(error, "retryable", False)
    )


def _kind(source: str) -> str:
    if _MAGIC.match(source):
        return "magic"
    found = _CELL_MAGIC.match(source)
    return found[1][:100] if found else "python"


def _output_chars(shell: Any, result: Any) -> int:
    """Return how long what the cell has shown is, as far as the shell has kept it (IPython 9 does)."""
    kept = getattr(getattr(shell, "history_manager", None), "outputs", None)
    if not isinstance(kept, dict):
        return 0
    return sum(
        len(text) if isinstance(text, str) else sum(map(len, text))
        for output in kept.get(result.execution_count, ())
        for key, text in getattr(output, "bundle", {}).items()
        if key in ("stream", "text/plain") and isinstance(text, str | list)
    )
