"""Scorecards and comparisons over HTTP, for the person who asks and under their name.

What a person may not see yet is not sent; `ib_kernel.assessment.hiding` decides it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ib_kernel.assessment.card import Scorecard
from ib_kernel.assessment.compared import Comparison, Level, Viewer
from ib_kernel.assessment.comparison import compare, compared_challenges
from ib_kernel.assessment.multiples import picture_words
from ib_kernel.assessment.rubric import parse_rubric, to_value
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.budget.access import acting_as
from ib_kernel.host.answers import Refused, answer, is_blind, read_json, text_of
from ib_kernel.host.auth import host_of, require_interviewer
from ib_kernel.host.openapi import COUNT, FLAG, NUMBER, TEXT, array, fields, maybe, operation, text, whole
from ib_kernel.text import one_line, plain
from ib_kernel.values import Person, Score, wire

MOST_RUBRIC = 50_000
"""Characters of a rubric's file."""

QUOTE = fields({"turn": COUNT, "speaker": TEXT, "words": TEXT})
SCORE = fields(
    {
        "session_id": TEXT,
        "criterion": TEXT,
        "rater": TEXT,
        "rater_kind": TEXT,
        "level": maybe(COUNT),
        "low": maybe(COUNT),
        "high": maybe(COUNT),
        "reason": TEXT,
        "quotes": array(QUOTE),
        "saw_model": FLAG,
        "created_at": NUMBER,
    }
)
CRITERION = fields({"name": TEXT, "title": TEXT, "anchors": array(TEXT)})
CARD = fields(
    {
        "session_id": TEXT,
        "candidate": TEXT,
        "rater": TEXT,
        "rubric": fields({"criteria": array(CRITERION), "origin": TEXT}),
        "rated": array(fields({"criterion": CRITERION, "own": maybe(SCORE), "others": array(SCORE)})),
        "notes": array(fields({"created_at": NUMBER, "who": TEXT, "text": TEXT})),
        "blind": FLAG,
        "is_open": FLAG,
        "turns": COUNT,
        "missing": COUNT,
        "may_unfold": FLAG,
    }
)
LEVEL = fields({"text": TEXT, "note": TEXT, "low": maybe(COUNT), "high": maybe(COUNT), "hidden": FLAG})
COMPARED = fields(
    {
        "session_id": TEXT,
        "candidate": TEXT,
        "began_at": NUMBER,
        "status": TEXT,
        "levels": {"type": "object", "additionalProperties": LEVEL},
        "checks": TEXT,
        "hidden_checks": TEXT,
        "turns": COUNT,
        "minutes": NUMBER,
        "minutes_limit": maybe(NUMBER),
        "charged_tokens": COUNT,
        "token_budget": COUNT,
        "hints": COUNT,
        "hints_of": maybe(COUNT),
        "refusals": COUNT,
        "marks": array(TEXT),
        "percentiles": {"type": "object", "additionalProperties": COUNT},
        "picture": {"type": "object"},
        "picture_words": TEXT,
        "accommodation": TEXT,
    }
)
COMPARISON = fields(
    {
        "challenges": {"type": "object", "additionalProperties": COUNT},
        "comparison": maybe(
            fields(
                {
                    "challenge": TEXT,
                    "title": TEXT,
                    "criteria": array(array(TEXT)),
                    "groups": array(
                        fields(
                            {
                                "name": TEXT,
                                "conditions": array(array(TEXT)),
                                "differences": array(TEXT),
                                "sessions": array(COMPARED),
                            }
                        )
                    ),
                    "rater": TEXT,
                    "blind": FLAG,
                    "left_out": COUNT,
                }
            )
        ),
    }
)
_LEVEL_BODY = fields(
    {"criterion": text(200, least=1), "level": whole(0, 3)},
    {
        "why": text(4_000),
        "turns": array(COUNT),
        "quotes": array(fields({"turn": COUNT, "words": text(2_000)})),
    },
)


@operation(
    "One's own scorecard of a session; levels of others where one has rated",
    who="interviewer",
    query={"blind": FLAG},
    answers=CARD,
    refusals=(404,),
)
async def scorecard(request: Request) -> Response:
    """Answer the scorecard as this person sees it."""
    person = await require_interviewer(request)
    return await _card(request, person)


@operation(
    "Give a level; a later one of the same person counts instead",
    who="interviewer",
    body=_LEVEL_BODY,
    query={"blind": FLAG},
    answers=CARD,
    refusals=(400, 404),
)
async def score(request: Request) -> Response:
    """Record a level under this person's name."""
    person = await require_interviewer(request)
    host, value = host_of(request), await read_json(request, 100_000)
    criterion = text_of(value, "criterion", longest=200)
    why = text_of(value, "why", longest=4_000, default="")
    turns, quotes = _list(value, "turns"), _list(value, "quotes")
    if not all(isinstance(quote, dict) for quote in quotes):
        raise Refused(400, "bad_field", "quotes are objects with turn and words")

    def work() -> None:
        with acting_as(person.name):
            cards = Scorecards(host.engine, guarded=False)
            session_id, level = request.path_params["session_id"], value.get("level")
            cards.score(session_id, criterion, level, why, turns=turns, quotes=quotes, rater=person.name)  # type: ignore[arg-type]

    await run_in_threadpool(work)
    return await _card(request, person)


@operation(
    "Give a session a rubric of its own, as TOML",
    who="interviewer",
    body=fields({"text": text(MOST_RUBRIC, least=1)}),
    answers=CARD,
    refusals=(400, 404),
)
async def rubric(request: Request) -> Response:
    """Keep a session's own criteria."""
    person = await require_interviewer(request)
    host, value = host_of(request), await read_json(request, 2 * MOST_RUBRIC)
    criteria = parse_rubric(text_of(value, "text", longest=MOST_RUBRIC))

    def work() -> None:
        cards = Scorecards(host.engine, guarded=False)
        cards.give_rubric(request.path_params["session_id"], criteria, person.name)

    await run_in_threadpool(work)
    return await _card(request, person)


@operation(
    "See every level without rating; one gives no first levels there any more",
    who="interviewer",
    body=fields({}),
    answers=CARD,
    refusals=(403, 404),
)
async def unfold(request: Request) -> Response:
    """Let a coordinator who will not rate see the levels; it is recorded."""
    person = await require_interviewer(request, "coordinator")
    host = host_of(request)

    def work() -> None:
        Scorecards(host.engine, guarded=False).unfold(request.path_params["session_id"], person.name)

    await run_in_threadpool(work)
    return await _card(request, person)


@operation(
    "The sessions on one challenge side by side; without one, the challenges there are",
    who="interviewer",
    query={"challenge": text(500), "blind": FLAG},
    answers=COMPARISON,
    refusals=(400,),
)
async def comparison(request: Request) -> Response:
    """Answer a comparison as this person may see it."""
    person = await require_interviewer(request)
    host, challenge = host_of(request), request.query_params.get("challenge", "")
    viewer = Viewer(person.name, person.role == "coordinator", is_blind(request), guarded=False)

    def work() -> dict[str, Any]:
        found = compare(host.engine, challenge[:500], viewer) if challenge.strip() else None
        return {
            "challenges": compared_challenges(host.store),
            "comparison": comparison_value(found) if found is not None else None,
        }

    return answer(await run_in_threadpool(work))


async def _card(request: Request, person: Person) -> Response:
    host, session_id = host_of(request), request.path_params["session_id"]

    def work() -> dict[str, Any]:
        cards = Scorecards(host.engine, guarded=False)
        card = cards.card(session_id, person.name, blind=is_blind(request))
        return {**card_value(card), "may_unfold": person.role == "coordinator" and card.is_open}

    return answer(await run_in_threadpool(work))


def card_value(card: Scorecard) -> dict[str, Any]:
    """Return a scorecard as JSON-able values, its texts made fit for a screen."""
    return {
        "session_id": card.session_id,
        "candidate": one_line(card.candidate),
        "rater": one_line(card.rater),
        "rubric": {"criteria": to_value(card.rubric.criteria), "origin": card.rubric.origin},
        "rated": [
            {
                "criterion": to_value([one.criterion])[0],
                "own": None if one.own is None else _score(one.own),
                "others": [_score(score) for score in one.others],
            }
            for one in card.rated
        ],
        "notes": [
            {"created_at": n.created_at, "who": one_line(n.who), "text": plain(n.text)} for n in card.notes
        ],
        "blind": card.blind,
        "is_open": card.is_open,
        "turns": card.turns,
        "missing": card.missing,
    }


def comparison_value(found: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON-able values, with each level and each picture in words."""
    value: dict[str, Any] = wire.to_value(found)
    for group, given in zip(value["groups"], found.groups, strict=True):
        for session, compared in zip(group["sessions"], given.sessions, strict=True):
            session["picture_words"] = picture_words(compared.picture)
            for name, level in compared.levels.items():
                session["levels"][name] |= _words(level)
    return value


def _words(level: Level) -> dict[str, str]:
    return {"text": level.text, "note": level.note}


def _score(score: Score) -> dict[str, Any]:
    quotes = [
        {
            "turn": quote.get("turn", 0),
            "speaker": one_line(str(quote.get("speaker", ""))),
            "words": plain(str(quote.get("words", ""))),
        }
        for quote in score.quotes
    ]
    return {
        "session_id": score.session_id,
        "criterion": score.criterion,
        "rater": one_line(score.rater),
        "rater_kind": score.rater_kind,
        "level": score.level,
        "low": score.low,
        "high": score.high,
        "reason": plain(score.reason),
        "quotes": quotes,
        "saw_model": score.saw_model,
        "created_at": score.created_at,
    }


def _list(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name, [])
    if not isinstance(found, list) or len(found) > 100:
        raise Refused(400, "bad_field", f"{name} is a list")
    return found
