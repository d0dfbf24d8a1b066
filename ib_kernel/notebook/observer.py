"""Hearing of what happens to sessions. It needs pluggy: import it where it is used, not at load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ib_kernel.plugin.hookspecs import hookimpl


class LedgerObserver:
    """An observer plugin that wakes a view when something happens to a session that it shows."""

    def __init__(self, wake: Callable[[], None], is_relevant: Callable[[str], bool] | None = None) -> None:
        """Make the observer, to be registered with `Plugins.register`.

        Args:
            wake: What is called, on the thread of what happens.
            is_relevant: Return True if the view shows the session of that id; None: every session.
        """
        self._wake, self._is_relevant = wake, is_relevant

    def _heard(self, session_id: str) -> None:
        if self._is_relevant is None or self._is_relevant(session_id):
            self._wake()

    @hookimpl
    def ib_before_call(self, event: Any) -> None:  # noqa: D102 - the hook says it
        self._heard(event.session_id)

    @hookimpl
    def ib_after_call(self, event: Any) -> None:  # noqa: D102
        self._heard(event.session_id)

    @hookimpl
    def ib_call_failed(self, event: Any) -> None:  # noqa: D102
        self._heard(event.session_id)

    @hookimpl
    def ib_session_changed(self, event: Any) -> None:  # noqa: D102
        self._heard(event.session.session_id)
