"""Asking a judge for one look: paid once, and read again where it was paid for and not yet read."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ib_kernel.assessment.judge.together import Look
from ib_kernel.assessment.quotes import Dropped, Kept, Record
from ib_kernel.errors import (
    BadRequest,
    BuddyError,
    BudgetRefused,
    ConfigError,
    RepeatedRequest,
    SessionInactive,
)
from ib_kernel.values import Message, Session
from ib_kernel.values.judging import Case, Judge, JudgeRequest

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview
    from ib_kernel.turn.reply import Reply

_ATTEMPTS = 50
"""Times that one look is asked for, each with an id of its own."""


class Asking:
    """Asks one judge for looks, one after the other.

    Args:
        beside: An engine with the judge's session in use.
        session: The judge's session.
        judge: Who is asked.
        record: What quotes are looked up in.
    """

    def __init__(self, beside: Interview, session: Session, judge: Judge, record: Record) -> None:
        self._beside, self._session, self._judge, self._record = beside, session, judge, record
        self._store: Any = beside.service.store
        self._plain = False

    def look(self, case: Case) -> Look:
        """Return what the judge sees of one case; of its quotes those that stand in the record.

        Args:
            case: What it is asked about.

        Raises:
            BuddyError: What refuses or fails the call; nothing that was answered is lost.
        """
        answer, turn = self._answer(self._judge.request(case), f"{case.criterion}/{case.number}")
        blank = Look(case.criterion, case.number, None, order=case.order, turn=turn)
        try:
            opinion = self._judge.read(answer, case)
        except ValueError as error:
            return replace(blank, problem=str(error)[:300] or "the answer cannot be used")
        found = [self._record.look_up(quote) for quote in opinion.quotes]
        kept = tuple({one.words: one for one in found if isinstance(one, Kept)}.values())
        return replace(
            blank,
            level=opinion.level if kept else None,
            given=opinion.level,
            kept=kept,
            dropped=tuple(one for one in found if isinstance(one, Dropped)),
            why=opinion.why[:2_500],
            strength=opinion.strength[:500],
            next_step=opinion.next_step[:500],
        )

    def _answer(self, asked: JudgeRequest, name: str) -> tuple[str, int]:
        """Return the answer and its turn: a recorded one where it was paid for and not yet read."""
        for attempt in range(1, _ATTEMPTS):
            request_id = f"{name}~{attempt}"
            found = self._paid(request_id)
            if found is not None:
                if found.state == "running":
                    raise ConfigError(
                        "this interview is being judged elsewhere, or was until a minute ago; try again then"
                    )
                if found.state == "finished" and found.text:
                    return found.text, found.turn
                continue  # it ended without an answer: what it has cost is in the judge's session
            try:
                return self._ask(asked, request_id)
            except BadRequest:
                if self._plain:
                    raise
                self._plain = True  # a service that knows no schema, or wants people to take turns
            except RepeatedRequest:
                continue
            except (BudgetRefused, SessionInactive) as refused:
                raise _more(refused, self._session) from None
        raise ConfigError(f"{name} was asked {_ATTEMPTS - 1} times without an answer; --again begins anew")

    def _paid(self, request_id: str) -> Any:
        read = getattr(self._store, "request", None)
        return read(self._session.session_id, request_id) if read else None

    def _ask(self, asked: JudgeRequest, request_id: str) -> tuple[str, int]:
        messages = _merged(asked.messages) if self._plain else list(asked.messages)
        reply = self._beside.send(
            messages,
            Message(0, "user", ""),
            max_tokens=asked.max_tokens,
            temperature=None,
            extra={} if self._plain else form(asked),
            request_id=request_id,
        )
        try:
            with reply:
                for _ in reply:
                    pass
            if reply.result is None or reply.result.stopped:
                raise reply.stop_line()
        except BaseException:
            self._give_up(reply)
            raise
        return reply.result.text, reply.result.turn

    def _give_up(self, reply: Reply) -> None:
        """Say that nobody waits for this answer any more, so that whoever goes on asks again at once."""
        write = getattr(self._store, "write_reply", None)
        if write is not None and reply.reservation is not None:
            with contextlib.suppress(BuddyError):
                write(reply.reservation, "", state="unfinished")


def form(asked: JudgeRequest) -> dict[str, Any]:
    """Return the fields of a request that ask for an answer of the judge's form; none where it has none."""
    schema = {"name": "opinion", "strict": True, "schema": dict(asked.schema)}
    return {"response_format": {"type": "json_schema", "json_schema": schema}} if asked.schema else {}


def _merged(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return messages in which nobody speaks twice in a row: some models' templates take no others."""
    made: list[dict[str, Any]] = []
    for message in messages:
        if made and made[-1]["role"] == message["role"]:
            made[-1]["content"] = f"{made[-1]['content']}\n\n{message['content']}"
        else:
            made.append(dict(message))
    return list(made)


def _more(refused: BuddyError, session: Session) -> BuddyError:
    needed = getattr(refused, "needed", 0) - getattr(refused, "left", 0)
    more = session.token_budget + max(needed, session.token_budget // 2)
    return BudgetRefused(
        f"the judge's {session.token_budget:,} tokens are used up; what was answered is kept, and "
        f"%interview judge --budget {more} goes on"
    )
