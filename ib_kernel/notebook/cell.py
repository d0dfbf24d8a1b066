"""Which cell runs: a whole ``%%interview`` cell may replace its outputs, and is not sent twice unasked."""

from __future__ import annotations

import contextlib
import re
from typing import Any

_OURS = re.compile(r"\s*%%interview(?!\w)")


class Cell:
    """Listens to the shell; `ours` tells whether the cell that runs now shows nothing but our reply.

    Inside ``%%time``, ``%%capture``, a loop or a cell with ``await`` other things are shown as well, and
    clearing the cell's output would take them away.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._request: Any = None
        self._source = ""
        self._runs = 0
        self._answered: dict[tuple[str, str], tuple[str, int]] = {}

    def begins(self, info: Any) -> None:
        """Take note of a cell (the ``pre_run_cell`` event)."""
        request = self._current()
        if request is None or request != self._request:
            self._request, self._source, self._runs = request, str(info.raw_cell or ""), 0
        self._runs += 1  # a second one of the same request was run by the first

    def ours(self) -> bool:
        """Return True if the running cell is a ``%%interview`` cell from its first line on."""
        request = self._current()
        return (
            request is not None
            and request == self._request
            and self._runs == 1
            and _OURS.match(self._source) is not None
        )

    @property
    def shows_updates(self) -> bool:
        """Whether outputs may be redrawn: a front end that sends no cell id may show only what is new."""
        return self._parent() is None or bool(self.cell_id)

    @property
    def cell_id(self) -> str:
        """The id of the cell that runs, as JupyterLab, Notebook 7 and VS Code send it; "" without one."""
        metadata = (self._parent() or {}).get("metadata", {})
        found = metadata.get("cellId") if isinstance(metadata, dict) else None
        return found if isinstance(found, str) else ""

    def answered_in(self, session_id: str, text: str) -> int | None:
        """Return the turn in which this very cell was answered with this text; None: it was not.

        Args:
            session_id: The session in use.
            text: What would be sent.
        """
        if not self.cell_id or not self.ours():  # a loop sends what it likes, again and again
            return None
        before, turn = self._answered.get((session_id, self.cell_id), ("", 0))
        return turn if turn and before == text else None

    def note_answer(self, session_id: str, text: str, turn: int) -> None:
        """Remember that this cell was answered.

        Args:
            session_id: The session that it was asked in.
            text: What was sent.
            turn: The turn's number.
        """
        if self.cell_id and self.ours():
            self._answered[session_id, self.cell_id] = (text, turn)

    def listen(self) -> None:
        """Begin to listen."""
        self._shell.events.register("pre_run_cell", self.begins)

    def leave(self) -> None:
        """Stop listening. Idempotent."""
        with contextlib.suppress(ValueError):
            self._shell.events.unregister("pre_run_cell", self.begins)

    def _current(self) -> Any:
        """Return the id of the front end's request that runs, None outside a kernel."""
        return (self._parent() or {}).get("header", {}).get("msg_id")

    def _parent(self) -> dict[str, Any] | None:
        """Return the front end's request that runs; None outside a kernel."""
        ask = getattr(self._shell, "get_parent", None)
        parent = ask() if ask is not None else None
        return parent if isinstance(parent, dict) and parent else None
