"""`POST /v1/checks`, `/v1/hints` and `/v1/cells`: what a candidate does besides talking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ib_kernel.host.answers import Refused, answer, read_json, text_of
from ib_kernel.host.auth import host_of, require_candidate
from ib_kernel.host.notice import was_shown
from ib_kernel.host.openapi import array, choice, fields, maybe, operation, text, whole
from ib_kernel.secrets import scrub_value
from ib_kernel.values import Cell, LedgerEvent, Status
from ib_kernel.values.wire import to_value

if TYPE_CHECKING:
    from ib_kernel.host.host import Host
    from ib_kernel.values import Session

T = TypeVar("T")

MOST_CODE = 200_000
"""Characters of code in one check, or of one cell."""

MOST_BYTES = 2_000_000
"""Bytes of one request."""

MOST_CELLS = 100
"""Cells of one request; more come with the next."""

AGAIN_S = 300.0
"""Seconds for which a cell that is sent again is known; notebooks try for less (`recorder.TRIES_S`)."""

_ANYTHING = {"type": "object"}


def routes(host: Host) -> list[BaseRoute]:
    """Return the routes of checks, hints and cells."""
    return [
        Route("/v1/checks", check, methods=["POST"]),
        Route("/v1/hints", hint, methods=["POST"]),
        Route("/v1/cells", cells, methods=["POST"]),
        Route("/v1/recording", recording, methods=["POST"]),
    ]


@operation(
    "Run the hidden checks, or record what the visible tests showed",
    who="candidate",
    body=fields(
        {"suite": choice("visible", "hidden"), "code": text(MOST_CODE)}, {"tests": array(dict(_ANYTHING))}
    ),
    refusals=(409,),
)
async def check(request: Request) -> Response:
    """Run the hidden checks beside the candidate's code in the sandbox, or record a visible check."""
    host, session = host_of(request), await require_candidate(request)
    value = await read_json(request, MOST_BYTES)
    suite, code = text_of(value, "suite", longest=20), text_of(value, "code", longest=MOST_CODE)
    if suite == "hidden":
        async with host.checking:
            report = await run_in_threadpool(_in_turn, host, session, lambda: host.work.hidden(session, code))
    elif suite == "visible":
        await run_in_threadpool(host.written.add, session, value.get("tests"))
        report = await run_in_threadpool(host.work.take_visible, session, value, code)
    else:
        raise Refused(400, "bad_field", 'suite is "visible" or "hidden"')
    return answer(to_value(report))


@operation("Give the next hint", who="candidate", body=fields({}), refusals=(409,))
async def hint(request: Request) -> Response:
    """Give the next rung of the challenge's ladder."""
    host, session = host_of(request), await require_candidate(request)
    return answer(to_value(await run_in_threadpool(_in_turn, host, session, lambda: host.work.hint(session))))


def _in_turn(host: Host, session: Session, work: Callable[[], T]) -> T:
    """Do what counts how often it was done before, one after the other."""
    with host.written.one_by_one(session):
        return work()


@operation(
    "Record cells that were run",
    who="candidate",
    body=fields(
        {
            "cells": array(
                fields(
                    {"source": text(MOST_CODE)},
                    {
                        "ok": {"type": "boolean"},
                        "kind": text(100),
                        "error": text(200),
                        "execution_count": maybe(whole(0, 2**31 - 1)),
                        "output_chars": whole(0, 2**53),
                        "started_at": {"type": "number"},
                        "ended_at": {"type": "number"},
                    },
                )
            )
        },
        {"again": {"type": "boolean"}},
    ),
    refusals=(409,),
)
async def cells(request: Request) -> Response:
    """Record cells of a running interview; the answer says how many were taken.

    With `again` in the request, those that are recorded are left out: the answer to an earlier try was lost.
    """
    host, session = host_of(request), await require_candidate(request)
    value = await read_json(request, MOST_BYTES)
    given = value.get("cells")
    if not isinstance(given, list) or not all(isinstance(cell, Mapping) for cell in given):
        raise Refused(400, "bad_field", "cells must be a list of objects")
    if len(given) > MOST_CELLS:
        raise Refused(413, "too_large", f"at most {MOST_CELLS} cells are taken at once")
    if session.status is not Status.ACTIVE:
        raise Refused(409, "inactive", f"the session is {session.status}: its cells are not recorded")
    if not await run_in_threadpool(was_shown, host.store, session.session_id):
        raise Refused(409, "notice", "cells are recorded once the notice was shown")
    found = [_cell(host, session, cell) for cell in given]
    if value.get("again") is True:
        late = host.clock() - AGAIN_S
        kept = await run_in_threadpool(host.store.cells, session.session_id)
        known = {_as_kept(cell) for cell in kept if cell.ended_at > late}
        found = [cell for cell in found if _as_kept(scrub_value(cell)) not in known]
    await run_in_threadpool(host.written.add, session, *(cell.source for cell in found))
    for cell in found:
        await run_in_threadpool(host.store.add_cell, cell)
    return answer({"taken": len(found)})


@operation(
    "Say that cells are recorded from now on, or are not",
    who="candidate",
    body=fields({"on": {"type": "boolean"}}),
    refusals=(409,),
)
async def recording(request: Request) -> Response:
    """Record that the candidate has switched the recording of cells on or off."""
    host, session = host_of(request), await require_candidate(request)
    value = await read_json(request, 1_000)
    if not isinstance(value.get("on"), bool):
        raise Refused(400, "bad_field", "on must be true or false")
    await run_in_threadpool(host.written.add, session, "recording")
    event = LedgerEvent(session.session_id, "recording", 0.0, session.candidate, {"on": value["on"]})
    await run_in_threadpool(host.store.add_event, event)
    return answer({"on": value["on"]})


def _cell(host: Host, session: Session, cell: Mapping[str, Any]) -> Cell:
    now = host.clock()
    ended = min(now, _number(cell, "ended_at", now))
    return Cell(
        session.session_id,
        text_of(cell, "source", longest=MOST_CODE),
        cell.get("ok") is not False,
        min(ended, _number(cell, "started_at", ended)),
        ended,
        _count(cell, "execution_count", None),
        text_of(cell, "kind", longest=100, default="python"),
        text_of(cell, "error", longest=200, default=""),
        _count(cell, "output_chars", 0) or 0,
    )


def _as_kept(cell: Cell) -> tuple[object, ...]:
    """Return what is the same in the row whenever the same cell is sent; its moments may be the host's."""
    return cell.execution_count, cell.kind, cell.error, cell.source


def _number(cell: Mapping[str, Any], name: str, default: float) -> float:
    """Return a moment of the candidate's clock; one that no interview can have had is the host's own."""
    value = cell.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1.0e9 < value < 1.0e11:
        return default
    return float(value)


def _count(cell: Mapping[str, Any], name: str, default: int | None) -> int | None:
    value = cell.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        return default
    return value
