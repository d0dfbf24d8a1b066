"""Asking a judge about one interview: foretold, paid from a session of its own, one look after the other.

Every look is an event of the judge's session, written before the next one is asked. Whoever is interrupted,
or killed, goes on where the record ends: what was answered is not paid twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.asking import Asking, form
from ib_kernel.assessment.flags import flags
from ib_kernel.assessment.judge.together import Look, Together, together
from ib_kernel.assessment.judgement import Estimate, Judgement, Step
from ib_kernel.assessment.looks import LOOK, look_value, looks_of
from ib_kernel.assessment.passages import Shown, passages_of
from ib_kernel.assessment.plan import BEGAN, SAME, asked_before, new_meta, plan_of
from ib_kernel.assessment.quotes import Kept, Record
from ib_kernel.budget.access import actor
from ib_kernel.errors import ConfigError
from ib_kernel.values import LedgerEvent, Score, Session, Status
from ib_kernel.values.judging import PERSONA, Case, Judge, JudgeRequest, is_judges

if TYPE_CHECKING:
    from ib_kernel.assessment.rubric import Rubric
    from ib_kernel.interview.interview import Interview
    from ib_kernel.values import LLMClient

EXPECTED = 350
"""Tokens that an answer is expected to have (three quotes and five sentences)."""

MADE = "judgement"
"""The kind of event of an interview: a judge has answered everything."""

_SPARE = 4
"""Calls that the budget of a judge's session has room for beside the planned ones."""

_LONGEST_S = 30 * 86_400.0
"""Seconds that a judge's session may be active: it is not the candidate's clock."""


class Judging:
    """Asks one judge about one interview.

    Args:
        interview: An engine with any session in use; it is asked beside it.
        session: The interview that is judged.
        rubric: What it is rated by.
        judge: Who is asked.
        client: The client plugin; "": the judge's own wish, or the interview's.
        model: The model; "": the interview's where its client is asked, else that client's or the settings'.
        again: Whether an interview that was judged in the same way is judged anew.
    """

    def __init__(
        self,
        interview: Interview,
        session: Session,
        rubric: Rubric,
        judge: Judge,
        *,
        client: str = "",
        model: str = "",
        again: bool = False,
    ) -> None:
        from ib_kernel.interview.clients import default_model

        if is_judges(session):
            raise ConfigError("this session pays for a judge; it is no interview that could be judged")
        if not rubric.criteria:
            raise ConfigError(
                "nothing says what is rated here: the challenge has no criteria; give some with "
                "%interview rubric FILE.toml"
            )
        self._interview, self._service = interview, interview.service
        self._store: Any = interview.service.store
        self.session, self.rubric, self.judge = session, rubric, judge
        self._client_name = client_of(interview, session, judge, client)
        settings = interview.settings.replace(client=self._client_name)
        own = session.model if self._client_name == session.client else ""
        self._model = model or own or default_model(self._client, settings)
        self._passages = self._read()
        self._record = Record(self._passages, flags(self._passages))
        self._judges = None if again else self._earlier()

    @property
    def _client(self) -> LLMClient:
        return self._interview.client(self._client_name)

    def _read(self) -> list[Shown]:
        cells = getattr(self._store, "cells", None)
        session_id = self.session.session_id
        found = passages_of(
            self._store.history(session_id), cells(session_id) if cells else [], self.session.candidate
        )
        if not any(shown.passage.speaker == "candidate" for shown in found):
            raise ConfigError("the candidate has said and run nothing yet, so there is nothing to judge")
        return found

    @property
    def is_done(self) -> bool:
        """Whether the same was asked about the same, and all of it is answered."""
        return self._judges is not None and self._judges.status is Status.COMPLETED

    # --- what it will take

    def estimate(self) -> Estimate:
        """Return what is still to be asked, and what that takes. Sends and reserves nothing."""
        looks = looks_of(self._store, self._judges.session_id) if self._judges else []
        answered = {(look.criterion, look.number) for look in looks}
        plan = self._plan(self._judges.meta if self._judges else self._new_meta())
        open_ = [case for case in plan if (case.criterion, case.number) not in answered]
        tokens = most = prompts = 0
        for case in open_:
            asked = self.judge.request(case)
            low, high = self._count(asked)
            prompts, tokens = prompts + low, tokens + low + EXPECTED
            most += high + asked.max_tokens
        return Estimate(
            len(open_),
            len(plan),
            tokens,
            most,
            self._cost(prompts, EXPECTED * len(open_)),
            self.judge.name,
            self._model,
            self._judges.session_id if self._judges else "",
        )

    def _count(self, asked: JudgeRequest) -> tuple[int, int]:
        from ib_kernel.values import ChatRequest

        body = self._client.body(
            ChatRequest(self._model, tuple(asked.messages), asked.max_tokens, extra=form(asked))
        )
        info = self._service.plugins.model(self._model, self._interview.settings, self._client_name)
        count = self._service.counter.count_request(body, info.counts_as or info.name)
        return count.tokens, count.upper if count.upper is not None else 2 * count.tokens

    def _cost(self, prompt: int, reply: int) -> int | None:
        from ib_kernel.models.prices import price_call
        from ib_kernel.values import Usage

        info = self._service.plugins.model(self._model, self._interview.settings, self._client_name)
        return None if info.counts_as else price_call(info, Usage(prompt, reply)).nano_usd

    # --- asking

    def run(
        self, on_step: Callable[[Step], None] = lambda step: None, *, budget: int | None = None
    ) -> Judgement:
        """Ask what is not answered yet, and record what all of it comes to.

        Args:
            on_step: Called after each look.
            budget: Tokens of the judge's session; None: what the estimate can be at the most, and some to
            spare.

        Returns:
            All looks and levels.

        Raises:
            BudgetRefused: The budget is used up; what was answered is kept.
            BuddyError: What refuses or fails a call; the same command goes on from there.
        """
        session = self._open(budget)
        asking = Asking(self._interview.beside(session.session_id), session, self.judge, self._record)
        plan = self._plan(session.meta)
        looks = {(look.criterion, look.number): look for look in looks_of(self._store, session.session_id)}
        for case in plan:
            key = case.criterion, case.number
            if key not in looks:
                looks[key] = asking.look(case)
                self._service.record(
                    LedgerEvent(session.session_id, LOOK, 0.0, self.judge.name, look_value(looks[key]))
                )
                on_step(Step(len(looks), len(plan), looks[key]))
        return self._conclude(session, [looks[case.criterion, case.number] for case in plan])

    def _open(self, budget: int | None) -> Session:
        """Return the judge's session: the one that goes on, or a new one."""
        if self._judges is not None:
            session = self._judges
            if session.status is Status.COMPLETED:
                raise ConfigError(
                    "this was judged already, by the same judge and criteria: %interview report shows it; "
                    "%interview judge --again judges it anew"
                )
            if session.status is Status.PAUSED:
                session = self._service.resume(session.session_id)
            if budget is not None and budget > session.token_budget:
                self._service.set_budget(session.session_id, budget)
            return self._service.get_session(session.session_id)
        estimate, meta = self.estimate(), self._new_meta()
        spare = _SPARE * estimate.most // max(1, estimate.calls)
        session = self._service.create_session(
            candidate=PERSONA,
            token_budget=estimate.most + spare if budget is None else budget,
            model=self._model,
            client=self._client_name,
            persona=PERSONA,
            role=f"judge of {self.session.session_id}",
            prompt_version=self.judge.version,
            external_id=self.session.external_id,
            keep_until=self.session.keep_until,
            time_limit_s=_LONGEST_S,
            charge="billed",
            meta=meta,
        )
        detail = {name: meta[name] for name in (*SAME, "seed")}
        detail["judge_session"] = session.session_id
        self._service.record(LedgerEvent(self.session.session_id, BEGAN, 0.0, actor(), detail))
        self._judges = session
        return session

    # --- what it comes to

    def _conclude(self, session: Session, looks: Sequence[Look]) -> Judgement:
        levels: dict[str, Together] = {}
        for criterion in self.rubric.criteria:
            mine = [look for look in looks if look.criterion == criterion.name]
            levels[criterion.name] = made = together(mine)
            quotes = {(one.place, one.words): one for look in mine for one in look.kept}
            self._store.add_score(
                Score(
                    self.session.session_id,
                    criterion.name,
                    self.judge.name,
                    "model",
                    made.level,
                    made.low,
                    made.high,
                    made.reason[:4_000],
                    [_quote_value(one) for one in quotes.values()],
                    rubric_sha=self.rubric.sha,
                    model=session.model,
                    prompt_version=self.judge.version,
                )
            )
        judgement = Judgement(
            self.session.session_id,
            session.session_id,
            self.judge.name,
            session.model,
            self.judge.version,
            tuple(looks),
            levels,
        )
        detail = {"judge_session": session.session_id, "kept": judgement.kept, "dropped": judgement.dropped}
        detail |= {"looks": len(looks), "unusable": sum(bool(look.problem) for look in looks)}
        self._service.record(LedgerEvent(self.session.session_id, MADE, 0.0, actor(), detail))
        self._service.complete(session.session_id)
        return judgement

    # --- the plan

    def _plan(self, meta: Mapping[str, Any]) -> list[Case]:
        challenge = self._interview.challenge(self.session)
        task = challenge.text if challenge else ""
        return plan_of(meta, self.rubric, self._passages, task, self.session.role)

    def _new_meta(self) -> dict[str, Any]:
        return new_meta(self.session, self.judge, self._model, self.rubric, self._passages)

    def _earlier(self) -> Session | None:
        """Return the newest judge's session that asked the same about the same; None where there is none."""
        found = asked_before(self._store.events(self.session.session_id), self._new_meta())
        if found is None:
            return None
        session: Session = self._service.get_session(found)
        return session if session.status not in (Status.CANCELLED, Status.EXPIRED) else None


def client_of(interview: Interview, session: Session, judge: Judge | None = None, client: str = "") -> str:
    """Return the client plugin that a judge of *session* asks.

    Args:
        interview: Whose settings are meant.
        session: The interview.
        judge: Who is asked, where that is known.
        client: What was chosen; "": the judge's wish, else the interview's client, else the settings'.
    """
    wish = client or (judge.client if judge else "")
    return wish or interview.settings.client or session.client or interview.settings.client_name


def _quote_value(kept: Kept) -> dict[str, Any]:
    """Return a quote as scores keep it: a turn's number, or 0 and a cell's."""
    kind, _, number = kept.place.partition(" ")
    value: dict[str, Any] = {"turn": int(number) if kind == "turn" else 0, "speaker": "candidate"}
    value |= {"cell": int(number)} if kind == "cell" else {}
    value |= {"after": kept.after} if kept.after else {}
    return {**value, "words": kept.words}
