"""What the AI is told in a session beside its challenge: its persona, and the phase it is in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ib_kernel.errors import ConfigError, UnknownName, did_you_mean
from ib_kernel.interview.personas import VERSIONS, Persona, from_private, load_persona, shipped
from ib_kernel.interview.prompts import phase_line
from ib_kernel.plugin.manager import Plugins
from ib_kernel.values import BudgetStore, LedgerEvent, NewSession, private_part
from ib_kernel.values.turn_view import PHASE

OFF = "off"
"""What is typed to leave a phase without another one."""


class Instructions:
    """The personas and phases of sessions. Safe from several threads.

    Args:
        data_dir: The folder of the ledger; texts of one's own are kept there, where no row is.
        plugins: Whose personas are known.
        store: The ledger.
    """

    def __init__(self, data_dir: Path, plugins: Plugins, store: BudgetStore) -> None:
        self._data_dir, self._plugins, self._store = data_dir, plugins, store
        self._known: dict[str, Persona] = {}

    def to_record(self, persona: Persona) -> dict[str, Any]:
        """Return what a session's `meta` keeps of its persona, whose text goes into a file of its own.

        Args:
            persona: What the AI is in it.
        """
        if persona.name in VERSIONS:
            return {}
        kept = private_part.keep(self._data_dir, "", (), of="persona", more=persona.to_private())
        return {"prompt": {"private_id": kept}}

    def note(self, session_id: str, persona: Persona) -> None:
        """Remember what a session was just started with."""
        self._known[session_id] = persona

    def persona(self, session: NewSession) -> Persona:
        """Return what the AI is in a session.

        Args:
            session: The session.

        Raises:
            ConfigError: Its persona is one's own and is on this machine no more.
        """
        found = self._known.get(session.session_id)
        if found is None:
            found = self._known[session.session_id] = self._recorded(session)
        return found

    def _recorded(self, session: NewSession) -> Persona:
        if session.persona in VERSIONS:
            return shipped(session.persona)
        recorded = session.meta.get("prompt")
        private_id = recorded.get("private_id") if isinstance(recorded, Mapping) else None
        kept = from_private(private_part.read(self._data_dir, private_id)) if private_id else None
        if kept is None:
            try:
                kept = load_persona(session.persona, self._plugins)  # a plugin's, if it is still the same
            except UnknownName:
                kept = None
        if kept is None or (session.prompt_version and kept.version != session.prompt_version):
            raise ConfigError(
                f"the persona {session.persona!r} ({session.prompt_version}) of session {session.session_id} "
                "is not on this machine: its file was in the ledger's folder challenges/, or a plugin had it"
            )
        return kept

    def phase(self, session: NewSession) -> str:
        """Return the phase that a session is in, "" for none.

        Args:
            session: The session.
        """
        entered = [e for e in self._store.events(session.session_id) if e.kind == PHASE]
        return phase_in(entered[-1] if entered else None)

    def line(self, session: NewSession, phase: str) -> str:
        """Return the line that each turn of a phase ends with, "" for no phase."""
        told = self.persona(session).all_phases().get(phase, "")
        return phase_line(phase, told) if told else ""

    def lines_used(self, session: NewSession) -> list[str]:
        """Return the lines that the session's turns may have ended with, none among them."""
        phases = [
            str(e.detail.get("phase", "")) for e in self._store.events(session.session_id) if e.kind == PHASE
        ]
        return list(dict.fromkeys(["", *(self.line(session, phase) for phase in phases)]))

    def entered(self, session: NewSession, typed: str, who: str, now: float) -> LedgerEvent:
        """Return the event that brings a session into another phase.

        Args:
            session: The session.
            typed: The phase, or "off" for none.
            who: Who changes it.
            now: Seconds since the epoch.

        Raises:
            UnknownName: There is no such phase; the line says which there are.
        """
        name, known = typed.strip().lower(), self.persona(session).all_phases()
        if name != OFF and name not in known:
            raise UnknownName(
                f"no phase called {typed.strip()[:40]!r}; there are: {', '.join(known)}, and {OFF}"
                f"{did_you_mean(name, known)}"
            )
        phase = "" if name == OFF else name
        told = self.line(session, phase)
        sha = hashlib.sha256(told.encode()).hexdigest()[:12] if told else ""
        return LedgerEvent(session.session_id, PHASE, now, who, {"phase": phase, "told_sha": sha})


def phase_in(entered: LedgerEvent | None) -> str:
    """Return the phase that an event of the kind `PHASE` has begun, "" for none."""
    return "" if entered is None else str(entered.detail.get("phase", ""))
