"""What a ledger takes of the values that it is given: columns by name, checked before anything is written."""

from __future__ import annotations

import dataclasses
import hashlib
import operator
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, get_args

from ib_kernel.errors import ConfigError
from ib_kernel.values.domain import MOST, MOST_SMALL, checked_seconds, clean, measured, moment, to_json, whole
from ib_kernel.values.evidence import Cell, Check, Score
from ib_kernel.values.host import Grant
from ib_kernel.values.ledger import CallEnd, CallStart
from ib_kernel.values.session import Charge, NewSession, Status

Row = dict[str, Any]

SUITES, PLACES, RATERS = ("visible", "hidden"), ("candidate", "host"), ("person", "model")
ROLES = ("interviewer", "coordinator")
KINDS = ("candidate", "gateway", "interviewer", "link")
OF_SESSIONS = ("candidate", "gateway")
REQUEST_STATES = ("running", "finished", "unfinished")
FIGURES = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_nano_usd")
"""What makes two settles the same one."""

_SESSION_TEXTS = (
    *("session_id", "candidate", "role", "level", "challenge", "persona", "client", "model"),
    *("prompt_version", "charge", "external_id", "challenge_sha", "notice_version", "accommodation"),
)
_HASH = 64
"""Characters of a SHA-256 in hex."""


def session_row(new: NewSession) -> Row:
    """Return the columns of a new session. `ConfigError` for what cannot be recorded."""
    if not isinstance(new.session_id, str) or not new.session_id.strip():
        raise ConfigError("a session id must be some text")
    values: Row = {name: clean(str(getattr(new, name))) for name in _SESSION_TEXTS}
    values["token_budget"] = whole("the token budget", new.token_budget)
    values["budget_nano_usd"] = values["time_limit_s"] = None
    if new.budget_nano_usd is not None:
        values["budget_nano_usd"] = whole("the money budget", new.budget_nano_usd)
    if new.time_limit_s is not None:
        values["time_limit_s"] = checked_seconds("the time limit", new.time_limit_s)
    values["billed_ceiling"] = values["keep_until"] = None
    if new.billed_ceiling is not None:
        values["billed_ceiling"] = whole("the ceiling on billed tokens", new.billed_ceiling)
    if new.keep_until is not None:
        values["keep_until"] = moment("how long rows are kept", new.keep_until)
    if values["charge"] not in get_args(Charge):
        raise ConfigError(f"what is charged must be billed or new, not {values['charge']!r}")
    return {**values, "meta": to_json(new.meta), "status": Status.CREATED.value}


def opened(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an event "opened" tells about the session of *row*; its ceiling is the one in force."""
    limits = ("token_budget", "budget_nano_usd", "time_limit_s", "billed_ceiling")
    told = {name: row[name] for name in (*limits, "model", "persona", "charge") if row[name] is not None}
    return told | {name: row[name] for name in ("challenge_sha", "keep_until") if row[name]}


def call_row(call: CallStart) -> Row:
    """Return the columns of an attempt that begins."""
    exact, history = call.counted_exact, call.history_from_turn
    counted = call.counted_tokens
    return {
        "turn": None if call.turn is None else whole("turn", call.turn, high=MOST_SMALL),
        "attempt": whole("attempt", call.attempt, high=MOST_SMALL),
        "client": clean(call.client),
        "model": clean(call.model),
        "counted_tokens": None if counted is None else whole("counted_tokens", counted),
        "counted_exact": None if exact is None else int(exact),
        "prompt_version": clean(call.prompt_version),
        "sent_hmac": clean(call.sent_hmac),
        "history_from_turn": None
        if history is None
        else whole("history_from_turn", history, high=MOST_SMALL),
    }


def checked_usage(end: CallEnd) -> CallEnd:
    """Return *end* with plain numbers. `ConfigError` unless its figures are whole and its times finite."""
    if _is_plain(end):
        return end  # a look costs less than a copy
    plain: Row = {name: whole(name, getattr(end, name)) for name in FIGURES[:-1]}
    plain |= {name: measured(name, getattr(end, name)) for name in ("latency_ms", "first_piece_ms")}
    plain["cost_nano_usd"] = None if end.cost_nano_usd is None else whole("cost_nano_usd", end.cost_nano_usd)
    if end.charged_tokens is not None:
        billed = plain["input_tokens"] + plain["output_tokens"]
        plain["charged_tokens"] = whole("charged_tokens", end.charged_tokens, high=billed)
    return dataclasses.replace(end, **plain)


def _is_plain(end: CallEnd) -> bool:
    """Return True if the figures of *end* are plain numbers, none of them out of bounds."""
    read, written, cached, reasoning = (
        end.input_tokens,
        end.output_tokens,
        end.cached_tokens,
        end.reasoning_tokens,
    )
    cost, charged, latency, first = end.cost_nano_usd, end.charged_tokens, end.latency_ms, end.first_piece_ms
    return (
        type(read) is type(written) is type(cached) is type(reasoning) is int
        and 0 <= read <= MOST
        and 0 <= written <= MOST
        and 0 <= cached <= MOST
        and 0 <= reasoning <= MOST
        and (cost is None or (type(cost) is int and 0 <= cost <= MOST))
        and (charged is None or (type(charged) is int and 0 <= charged <= read + written))
        and (latency is None or (type(latency) is float and -MOST <= latency <= MOST))
        and (first is None or (type(first) is float and -MOST <= first <= MOST))
    )


_TEXTS = ("model_returned", "finish_reason", "response_id")
_TEXTS_OR_NONE = ("price_source", "error", "raw_usage", "source")
_NUMBERS = (
    *("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"),
    *("latency_ms", "first_piece_ms", "cost_nano_usd"),
)
NO_FIGURES: Mapping[str, Any] = dict.fromkeys((*_NUMBERS, *_TEXTS_OR_NONE)) | dict.fromkeys(_TEXTS, "")
"""The columns of an attempt of which nobody knows what it has used."""
_figures_of = operator.attrgetter(*NO_FIGURES)


def figures(end: CallEnd) -> Row:
    """Return the columns of an attempt's end."""
    found: Row = dict(zip(NO_FIGURES, _figures_of(end), strict=True))
    for name in _TEXTS_OR_NONE:
        if found[name] is not None:
            found[name] = clean(found[name])
    for name in _TEXTS:
        found[name] = clean(found[name])
    return found


def cell_row(cell: Cell, keep_text: bool) -> Row:
    """Return the columns of a cell, but for its number. Without *keep_text* its source is a hash only."""
    source, count = clean(cell.source), cell.execution_count
    return _times(cell.started_at, cell.ended_at) | {
        "execution_count": None if count is None else whole("execution_count", count, high=MOST_SMALL),
        "kind": clean(cell.kind),
        "source": source if keep_text else "",
        "source_sha": hashlib.sha256(source.encode()).hexdigest(),
        "lines": len(source.splitlines()),
        "ok": int(cell.ok),
        "error": clean(cell.error),
        "output_chars": whole("output_chars", cell.output_chars),
        "output": None if cell.output is None or not keep_text else clean(cell.output),
    }


def check_row(check: Check) -> Row:
    """Return the columns of a run of tests, but for its number."""
    return _times(check.started_at, check.ended_at) | {
        "challenge_sha": clean(check.challenge_sha),
        "suite": _one_of("a suite of tests", check.suite, SUITES),
        "passed": whole("passed", check.passed, high=MOST_SMALL),
        "total": whole("total", check.total, high=MOST_SMALL),
        "tests": _to_json_list(check.tests),
        "source_sha": clean(check.source_sha),
        "ran_on": _one_of("where tests ran", check.ran_on, PLACES),
    }


def score_row(score: Score) -> Row:
    """Return the columns of a score, but for its time."""
    levels = {name: getattr(score, name) for name in ("level", "low", "high")}
    texts = ("criterion", "rater", "reason", "rubric_sha", "model", "prompt_version")
    values: Row = {name: clean(getattr(score, name)) for name in texts}
    values |= {
        name: None if value is None else whole(f"a score's {name}", value, high=3)
        for name, value in levels.items()
    }
    values["rater_kind"] = _one_of("who rates", score.rater_kind, RATERS)
    return values | {"quotes": _to_json_list(score.quotes), "saw_model": int(score.saw_model)}


def grant_row(grant: Grant) -> Row:
    """Return the columns of a token's hash."""
    if grant.kind not in KINDS:
        raise ConfigError(f"a token is for one of {', '.join(KINDS)}, not {clean(str(grant.kind))!r}")
    return {
        "token_hash": checked_hash("a token", grant.token_hash),
        "kind": grant.kind,
        "subject": clean(grant.subject),
        "created_at": moment("a token's time", grant.created_at),
        "expires_at": moment("a token's time", grant.expires_at),
        "revoked_at": None if grant.revoked_at is None else moment("a token's time", grant.revoked_at),
        "created_by": clean(grant.created_by),
    }


def checked_hash(what: str, value: str) -> str:
    """Return *value* if it is a SHA-256 in hex; `ConfigError` otherwise, which does not repeat it."""
    with suppress(ValueError, TypeError):
        if len(value) == _HASH and len(bytes.fromhex(value)) * 2 == _HASH:
            return value.lower()
    raise ConfigError(f"{what} is kept as the hex SHA-256 of it, and this is none")


def person(name: str, role: str) -> str:
    """Return the name of somebody who is let in. `ConfigError` for no name, or a role that there is not."""
    name = clean(name).strip()
    if not name:
        raise ConfigError("a person needs a name")
    if role not in ROLES:
        raise ConfigError(f"a person's role must be {' or '.join(ROLES)}, not {clean(str(role))!r}")
    return name


def require_name(what: str, who: str) -> None:
    """Raise `ConfigError` unless somebody's name is given."""
    if not who.strip():
        raise ConfigError(f"{what} needs the name of who decided it")


def _times(started_at: float, ended_at: float) -> Row:
    return {
        "started_at": moment("when it began", started_at),
        "ended_at": moment("when it ended", ended_at),
    }


def _one_of(what: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ConfigError(f"{what} must be {' or '.join(allowed)}, not {clean(str(value))!r}")
    return value


def _to_json_list(values: Sequence[Any]) -> str:
    return to_json({"_": list(values)})[len('{"_": ') : -1]
