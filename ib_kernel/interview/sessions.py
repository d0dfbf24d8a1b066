"""The session that an interview has in use: opened, found again, read."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from ib_kernel.budget.access import actor, default_candidate
from ib_kernel.budget.outlook import FIRST_PROMPT
from ib_kernel.budget.parsing import parse_name, parse_tokens
from ib_kernel.errors import ConfigError, NoSession, SessionInactive
from ib_kernel.interview.challenges import Challenge, load_challenge
from ib_kernel.interview.clients import default_model
from ib_kernel.interview.opening import first_prompt, require_a_turn
from ib_kernel.interview.parts import Parts
from ib_kernel.interview.personas import load_persona
from ib_kernel.interview.resume import find_session, no_session_line
from ib_kernel.settings import Settings
from ib_kernel.values import Message, NewSession, Session, Status
from ib_kernel.values.accommodation import parse_accommodation, time_factor
from ib_kernel.values.turn_view import TurnView

CONDITIONS = "conditions"
"""Where a session's `meta` keeps what else comparisons ask for: hints, and the usual time limit,
without what was adapted for one person."""

DAY_S = 86_400.0
"""Seconds of a day."""


class SessionInUse:
    """Opens sessions for one interview and remembers which of them is in use."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._session_id: str | None = None

    def start(
        self,
        role: str = "",
        *,
        candidate: str | None = None,
        level: str = "",
        challenge: str | None = None,
        token_budget: int | None = None,
        time_limit_s: float | None = None,
        model: str | None = None,
        client: str | None = None,
        api: str | None = None,
        temperature: float | None = None,
        persona: str | None = None,
        session_id: str | None = None,
        passphrase: str | None = None,
        unlock: str | None = None,
        budget_usd: Any = None,
        candidate_id: str = "",
        keep_until: float | None = None,
        begin: bool = True,
        charge: str | None = None,
        accommodation: str = "",
        keep_days: int | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Session:
        """Open a session and make it the one in use. What is not given comes from the settings.

        Args:
            role: What the interview is for, such as "Backend engineer".
            candidate: Who is interviewed; None: the settings', or the system's user.
            level: Such as "senior".
            challenge: A challenge's name or a file; None: none.
            token_budget: Tokens, input and output together.
            time_limit_s: Active seconds.
            model: The model to ask.
            client: The client plugin to ask it through.
            api: "chat" or "responses".
            temperature: What the service is asked with.
            persona: "interviewer", "assistant", a plugin's, or a ``.md`` file of one's own.
            session_id: An id of your own; None: a new one.
            passphrase: Locks the session's limits (see `TokenService.create_session`).
            unlock: The passphrase of an earlier session that locks this candidate.
            budget_usd: A budget in US dollars beside the one in tokens.
            candidate_id: What names the person where a name does not.
            keep_until: When the session may be erased, in seconds since the epoch; None: as *keep_days* says.
            begin: Whether its clock runs from now; `begin`, or the first turn, begins it later.
            charge: "billed" (every token that the service bills) or "new" (what each turn adds).
            accommodation: What is adapted for this person, such as "time=1.25": the time limit is that much
                longer, and counts as the usual one wherever sessions are compared.
            keep_days: After how many days the session may be erased; None: the settings'.
            meta: What else is kept with it, JSON-able.

        Returns:
            The session, active if it has begun.

        Raises:
            ConfigError: Something cannot be used; nothing is recorded then, and the line says what is meant
                or allowed.
            BudgetRefused: The budget carries no turn; the line names the least that does.
            Locked: An earlier session locks this candidate.
        """
        settings = self._parts.settings.replace(
            client=client,
            api=api,
            temperature=temperature,
            persona=persona,
            charge=charge,
            keep_days=keep_days,
        )
        told = load_persona(settings.persona, self._parts.plugins)
        given = self._load(challenge) if challenge else None
        asked = self._parts.clients.get(settings)
        model = model or default_model(asked, settings)
        self._parts.plugins.model(model, settings, settings.client_name)
        shown: dict[str, Any] = {
            "candidate": parse_name("candidate", candidate or settings.candidate or default_candidate()),
            "model": model,
            "role": role.strip(),
            "level": level.strip(),
            "challenge": given.name if given else "",
            "persona": told.name,
            "client": asked.name,
        }
        budget = parse_tokens("token_budget", settings.token_budget if token_budget is None else token_budget)
        opened = NewSession("", token_budget=budget, charge=settings.charge, **shown)
        prompt = first_prompt(self._parts, asked, opened, given, told)
        require_a_turn(self._parts, opened, prompt)
        adapted = parse_accommodation(accommodation)
        usual = self._parts.settings.time_limit_s if time_limit_s is None else time_limit_s
        kept = {
            **(meta or {}),
            **self._parts.instructions.to_record(told),
            **({} if settings.temperature is None else {"temperature": settings.temperature}),
            **({} if api is None else {"api": settings.api}),
            FIRST_PROMPT: prompt.tokens,
            **self._parts.given.to_record(given),
            CONDITIONS: {"hints": len(given.hints) if given else 0, "time_limit_s": usual},
        }
        session = self._parts.service.create_session(
            **shown,
            token_budget=token_budget,
            time_limit_s=_adapted_limit(usual, opened, adapted),
            session_id=session_id,
            accommodation=adapted,
            challenge_sha=given.challenge_sha if given else "",
            prompt_version=told.version,
            charge=settings.charge,
            meta=kept,
            passphrase=passphrase,
            unlock=unlock,
            budget_usd=budget_usd,
            start=begin,
            external_id=parse_name("candidate_id", candidate_id).strip(),
            keep_until=keep_until if keep_until is not None else keep_until_of(settings, time.time()),
        )
        self._parts.given.note(session.session_id, given)
        self._parts.instructions.note(session.session_id, told)
        self._session_id = session.session_id
        return session

    def _load(self, challenge: str) -> Challenge:
        return load_challenge(challenge, self._parts.plugins, self._parts.settings.challenges)

    def begin(self) -> Session:
        """Let the clock of the session in use run; nothing changes where it runs already.

        Returns:
            The session, active.

        Raises:
            NoSession: No session is in use.
            SessionInactive: It is paused or has ended.
        """
        session = self.session
        if session.status is Status.ACTIVE:
            return session
        return self._parts.service.start(session.session_id)

    def use(self, session_id: str) -> Session:
        """Make an existing session the one in use.

        Args:
            session_id: The session.

        Returns:
            The session as it is now.

        Raises:
            UnknownSession: There is no such session; the line says which is meant.
        """
        session = find_session(self._parts.service, session_id)
        self._session_id = session.session_id
        return session

    @property
    def session_id(self) -> str | None:
        """The id of the session in use, or None."""
        return self._session_id

    @property
    def session(self) -> Session:
        """The session in use, as the ledger has it now. `NoSession` names what to type when there is none."""
        return self._parts.service.get_session(self._in_use())

    def turn_view(self) -> TurnView:
        """Return all that a turn of the session in use is composed from, read at once. `NoSession`."""
        return self._parts.service.turn_view(self._in_use())

    def _in_use(self) -> str:
        if self._session_id is None:
            raise NoSession(no_session_line(self._parts.service.store))
        return self._session_id

    def phase(self) -> str:
        """Return the phase that the interview is in, "" for none."""
        return self._parts.instructions.phase(self.session)

    def phases(self) -> list[str]:
        """Return the names of the phases that the persona in use has."""
        return list(self._parts.instructions.persona(self.session).all_phases())

    def enter_phase(self, name: str, *, passphrase: str | None = None) -> str:
        """Bring the interview into another phase: from the next turn on, the model is told about it.

        Args:
            name: The phase, or "off" for none.
            passphrase: The session's, if it is locked: what the model is told is part of what was agreed.

        Returns:
            The phase, "" for none.

        Raises:
            UnknownName: There is no such phase; the line says which there are.
            SessionInactive: The session has ended.
            Locked: It is locked, and *passphrase* is not given or wrong.
        """
        session, service = self.session, self._parts.service
        if session.status in (Status.COMPLETED, Status.CANCELLED):
            raise SessionInactive(f"session {session.session_id} is {session.status}", session.status)
        event = self._parts.instructions.entered(session, name, actor(), time.time())
        service.unlock(session.session_id, passphrase, "another phase")
        service.record(event)
        return str(event.detail["phase"])

    def history(self) -> list[Message]:
        """Return the transcript of the session in use."""
        return self._parts.service.store.history(self.session.session_id)

    def challenge(self, session: NewSession) -> Challenge | None:
        """Return the candidate's part of the challenge that *session* was given, as it was at its start.

        Args:
            session: The session.

        Returns:
            Title and task without notes and criteria; None when it was given no challenge.
        """
        whole = self.whole_challenge(session)
        return whole.candidates_part() if whole else None

    def whole_challenge(self, session: NewSession) -> Challenge | None:
        """Return what *session* was given with the interviewer's part: for checks and hints, not for people.

        Args:
            session: The session.
        """
        return self._parts.given.of(session)


def _adapted_limit(usual: float | None, opened: NewSession, adapted: str) -> float | None:
    """Return the time limit with what was adapted for one person."""
    if not adapted:
        return usual
    if usual is None:
        raise ConfigError("an accommodation of time needs a time limit: add --minutes N")
    return usual * time_factor(dataclasses.replace(opened, accommodation=adapted))


def keep_until_of(settings: Settings, now: float) -> float | None:
    """Return when a session that is opened *now* (seconds since the epoch) may be erased, or None."""
    return None if settings.keep_days is None else now + DAY_S * settings.keep_days
