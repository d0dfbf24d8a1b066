"""Which cell runs: only one that is a whole ``%%interview`` cell may have its outputs replaced at the end."""

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

    def listen(self) -> None:
        """Begin to listen."""
        self._shell.events.register("pre_run_cell", self.begins)

    def leave(self) -> None:
        """Stop listening. Idempotent."""
        with contextlib.suppress(ValueError):
            self._shell.events.unregister("pre_run_cell", self.begins)

    def _current(self) -> Any:
        """Return the id of the front end's request that runs, None outside a kernel."""
        ask = getattr(self._shell, "get_parent", None)
        parent = ask() if ask is not None else None
        return parent.get("header", {}).get("msg_id") if isinstance(parent, dict) else None
