"""The challenges that sessions were given, as they were at each one's start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ib_kernel.interview.challenges import Challenge, load_challenge
from ib_kernel.interview.challenges.kept import from_kept, private_fields, to_kept, to_private
from ib_kernel.plugin.manager import Plugins
from ib_kernel.values import EvidenceStore, NewSession, private_part


class GivenChallenges:
    """Whole challenges by session, the interviewer's part included: for the prompt, not for people.

    Args:
        data_dir: The folder of the ledger; private parts are kept there, where no row is.
        plugins: Whose challenges are known.
        store: The ledger; one that keeps no challenges gets title and text in the session's `meta`.
    """

    def __init__(self, data_dir: Path, plugins: Plugins, store: object = None) -> None:
        self._data_dir, self._plugins = data_dir, plugins
        self._store: EvidenceStore | None = store if hasattr(store, "keep_challenge") else None  # type: ignore[assignment]
        self._known: dict[str, Challenge | None] = {}

    def to_record(self, given: Challenge | None) -> dict[str, Any]:
        """Return what a session's `meta` keeps of *given*.

        The candidate's part goes into the ledger under its hash, the private part into a file of its own: a
        file may change or go, a package may be another version tomorrow.
        """
        if given is None:
            return {}
        private_id = private_part.keep(
            self._data_dir, given.notes, given.rubric, of=given.challenge_sha, more=to_private(given)
        )
        recorded: dict[str, Any] = {"title": given.title, "private_id": private_id}
        if self._store is None:
            return {"challenge": {**recorded, "text": given.text}}
        self._store.keep_challenge(to_kept(given))
        return {"challenge": {**recorded, "sha": given.candidate_sha}}

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
        if not isinstance(recorded, Mapping):  # an older ledger knows the shipped ones by name
            return load_challenge(session.challenge, self._plugins) if session.challenge else None
        kept = self._store.challenge(str(recorded.get("sha"))) if self._store else None
        part = (
            from_kept(kept)
            if kept is not None
            else Challenge(
                session.challenge,
                str(recorded.get("title", "")),
                str(recorded.get("text", "")),
                origin="recorded",
            )
        )
        return replace(part, **private_fields(private_part.read(self._data_dir, recorded.get("private_id"))))
