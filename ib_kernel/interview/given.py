"""The challenges that sessions were given, as they were at each one's start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ib_kernel.interview.challenges import Challenge, load_challenge
from ib_kernel.plugin.manager import Plugins
from ib_kernel.values import NewSession, private_part


class GivenChallenges:
    """Whole challenges by session, notes and criteria included: for the prompt, not for people."""

    def __init__(self, data_dir: Path, plugins: Plugins) -> None:
        self._data_dir, self._plugins = data_dir, plugins
        self._known: dict[str, Challenge | None] = {}

    def to_record(self, given: Challenge | None) -> dict[str, Any]:
        """Return what a session's `meta` keeps of *given*; its private part goes to a file of its own.

        A file may change or go. A shipped challenge is kept by its name.
        """
        if given is None or given.origin == "shipped":
            return {}
        private_id = private_part.keep(self._data_dir, given.notes, given.rubric)
        return {"challenge": {"title": given.title, "text": given.text, "private_id": private_id}}

    def note(self, session_id: str, given: Challenge | None) -> None:
        """Remember what a session has just been given."""
        self._known[session_id] = given

    def of(self, session: NewSession) -> Challenge | None:
        """Return what *session* was given, from its record unless it is remembered."""
        if session.session_id not in self._known:
            self._known[session.session_id] = self._recorded(session)
        return self._known[session.session_id]

    def _recorded(self, session: NewSession) -> Challenge | None:
        recorded = session.meta.get("challenge")
        if not isinstance(recorded, Mapping):
            return load_challenge(session.challenge, self._plugins) if session.challenge else None
        notes, rubric = private_part.read(self._data_dir, recorded.get("private_id"))
        return Challenge(
            name=session.challenge,
            title=str(recorded.get("title", "")),
            text=str(recorded.get("text", "")),
            notes=notes,
            rubric=rubric,
            origin="recorded",
        )
