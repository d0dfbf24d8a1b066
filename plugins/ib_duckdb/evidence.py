"""Cells, checks, scores and the candidate's parts of challenges (`ib_kernel.values.EvidenceStore`)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import apsw

from ib_duckdb.base import Part
from ib_duckdb.links import Chain
from ib_duckdb.rows import Row, get
from ib_duckdb.writer import Operation
from ib_kernel.errors import ConfigError
from ib_kernel.values import Cell, Check, KeptChallenge, Score
from ib_kernel.values.domain import clean, moment, to_json
from ib_kernel.values.taken import cell_row, check_row, score_row

T = TypeVar("T", Cell, Check)

_CELL = "n, source, ok, {}, {}, execution_count, kind, error, output_chars, output"
_CHECK = "n, suite, passed, total, tests, challenge_sha, source_sha, ran_on, {}, {}"
_SCORE = (
    "criterion, rater, rater_kind, level, low, high, reason, quotes, saw_model, rubric_sha, model, "
    "prompt_version, {}"
)
_TIMES = {
    "cells": ("started_at", "ended_at"),
    "checks": ("started_at", "ended_at"),
    "scores": ("created_at",),
}


class Evidence(Part):
    """What a candidate did, what people conclude, and the challenges that were given."""

    def add_cell(self, cell: Cell) -> Cell:
        """Record a cell (see `EvidenceStore.add_cell`)."""
        added = self._writer.run(self._adding_cell(cell))
        self._moved_soon()
        return added

    async def aadd_cell(self, cell: Cell) -> Cell:
        """Do the same for a caller on an event loop."""
        added = await self._writer.arun(self._adding_cell(cell))
        self._moved_soon()
        return added

    def add_check(self, check: Check) -> Check:
        """Record a run of tests (see `EvidenceStore.add_check`)."""
        added = self._writer.run(self._adding_check(check))
        self._moved_soon()
        return added

    async def aadd_check(self, check: Check) -> Check:
        """Do the same for a caller on an event loop."""
        added = await self._writer.arun(self._adding_check(check))
        self._moved_soon()
        return added

    def add_score(self, score: Score) -> Score:
        """Record a score (see `EvidenceStore.add_score`)."""
        added = self._writer.run(self._adding_score(score))
        self._moved_soon()
        return added

    async def aadd_score(self, score: Score) -> Score:
        """Do the same for a caller on an event loop."""
        added = await self._writer.arun(self._adding_score(score))
        self._moved_soon()
        return added

    def cells(self, session_id: str) -> list[Cell]:
        """Return the session's cells in order."""
        return [_to_cell(session_id, row) for row in self._evidence(session_id, "cells", _CELL)]

    def checks(self, session_id: str) -> list[Check]:
        """Return the session's checks in order."""
        return [_to_check(session_id, row) for row in self._evidence(session_id, "checks", _CHECK)]

    def scores(self, session_id: str) -> list[Score]:
        """Return the session's scores in the order they were given."""
        return [_to_score(session_id, row) for row in self._evidence(session_id, "scores", _SCORE)]

    def keep_challenge(self, challenge: KeptChallenge) -> None:
        """Keep the candidate's part of a challenge under its hash; the first one of a hash stays."""
        values = [clean(getattr(challenge, name)) for name in ("challenge_sha", "name", "version", "text")]
        if not values[0]:
            raise ConfigError("a challenge is kept under the hash of what the candidate is given")
        files = to_json(challenge.files)
        first = moment("a challenge's time", challenge.first_used_at or self._now())
        names = "challenge_sha, name, version, text, files, first_used_at"
        sql = f"INSERT OR IGNORE INTO challenges ({names}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 (our names)
        with self._hot.write() as db:
            db.execute(sql, (*values, files, first))
        self._moved_soon()

    def challenge(self, challenge_sha: str) -> KeptChallenge | None:
        """Return the candidate's part of that hash, or None."""
        names = "challenge_sha, name, version, text, files, first_used_at"
        sql = f"SELECT {names} FROM challenges WHERE challenge_sha = ?"  # noqa: S608 (our own names)
        with self._hot.read() as db:
            row: Any = db.execute(sql, (clean(challenge_sha),)).fetchone()
        if row is None:
            return None
        sha, name, version, text, files, first_used_at = row
        return KeptChallenge(sha, name, version, text, json.loads(files), first_used_at)

    def _evidence(self, session_id: str, table: str, columns: str) -> Sequence[Any]:
        """Return a session's rows; what is older than 30 days is only in the record."""
        times = _TIMES[table]
        with self._hot.read() as db:
            row = get(db, session_id)
            sql = f"SELECT {columns.format(*times)} FROM {table} WHERE session_key = ? ORDER BY seq"  # noqa: S608
            rows: Sequence[Any] = db.execute(sql, (row["session_key"],)).fetchall()
        if len(rows) < row[table]:
            rows = self._older(columns.format(*(f"epoch({time})" for time in times)), table, row)
        return rows

    def _adding_cell(self, cell: Cell) -> Operation[Cell]:
        return Operation(_numbered(cell, "cells", cell_row(cell, self._keep_text)))

    def _adding_check(self, check: Check) -> Operation[Check]:
        return Operation(_numbered(check, "checks", check_row(check)))

    def _adding_score(self, score: Score) -> Operation[Score]:
        values = score_row(score)

        def work(db: apsw.Connection) -> Score:
            row = get(db, score.session_id)
            when = moment("a score's time", score.created_at or self._now())
            _append(db, row, "scores", {**values, "created_at": when})
            return dataclasses.replace(score, created_at=when)

        return Operation(work)


def _numbered(value: T, table: str, values: Row) -> Callable[[apsw.Connection], T]:
    """Return what appends *value*'s row with the session's next number in *table*."""

    def work(db: apsw.Connection) -> T:
        row = get(db, value.session_id)
        n = row[table] + 1
        _append(db, row, table, {**values, "n": n})
        return dataclasses.replace(value, n=n)

    return work


def _append(db: apsw.Connection, session: Row, table: str, values: Row) -> None:
    links = Chain.of_row(db, session)
    linked = links.add(table, {**values, "session_key": session["session_key"]})
    names = ", ".join(linked)
    marks = ", ".join(f":{name}" for name in linked)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", linked)  # noqa: S608 (our own names)
    db.execute(
        f"UPDATE sessions SET {table} = {table} + 1, chain_n = ?, chain_head = ? WHERE session_key = ?",  # noqa: S608
        (links.n, links.head, session["session_key"]),
    )


def _to_cell(session_id: str, row: Sequence[Any]) -> Cell:
    n, source, ok, started_at, ended_at, count, kind, error, chars, output = row
    times = (started_at, ended_at)
    return Cell(session_id, source, bool(ok), *times, count, kind, error or "", chars, output, n)


def _to_check(session_id: str, row: Sequence[Any]) -> Check:
    n, suite, passed, total, tests, challenge, source, ran_on, started_at, ended_at = row
    told = tuple(json.loads(tests))
    hashes = (challenge or "", source or "")
    return Check(session_id, suite, passed, total, told, *hashes, ran_on, started_at, ended_at, n)


def _to_score(session_id: str, row: Sequence[Any]) -> Score:
    criterion, rater, kind, level, low, high, reason, quotes, saw, rubric, model, prompt, created_at = row
    return Score(
        session_id,
        criterion,
        rater,
        kind,
        level,
        low,
        high,
        reason,
        tuple(json.loads(quotes)),
        bool(saw),
        rubric or "",
        model or "",
        prompt or "",
        created_at,
    )
