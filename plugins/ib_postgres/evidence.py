"""Cells, checks, scores and the candidate's parts of challenges (`ib_kernel.values.EvidenceStore`)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from ib_kernel.errors import ConfigError
from ib_kernel.values import Cell, Check, KeptChallenge, Score, chain
from ib_kernel.values.domain import clean, moment, to_json
from ib_kernel.values.taken import cell_row, check_row, score_row
from ib_postgres.base import bytea
from ib_postgres.rows import Row
from ib_postgres.sessions import Sessions
from ib_postgres.text import given_json, given_value, stored, stored_json
from ib_postgres.writer import Write

_JSON = ("tests", "quotes")
_FLAGS = ("ok", "saw_model")


class Evidence(Sessions):
    """What a candidate did, what people conclude, and the challenges that were given."""

    def add_cell(self, cell: Cell) -> Cell:
        """Record a cell (see `EvidenceStore.add_cell`)."""
        said = self._known(cell.session_id, self._write(self._adding_cell(cell)))
        return dataclasses.replace(cell, n=said["n"])

    async def aadd_cell(self, cell: Cell) -> Cell:
        """Do the same for a caller on an event loop."""
        said = self._known(cell.session_id, await self._awrite(self._adding_cell(cell)))
        return dataclasses.replace(cell, n=said["n"])

    def add_check(self, check: Check) -> Check:
        """Record a run of tests (see `EvidenceStore.add_check`)."""
        said = self._known(check.session_id, self._write(self._adding_check(check)))
        return dataclasses.replace(check, n=said["n"])

    async def aadd_check(self, check: Check) -> Check:
        """Do the same for a caller on an event loop."""
        said = self._known(check.session_id, await self._awrite(self._adding_check(check)))
        return dataclasses.replace(check, n=said["n"])

    def add_score(self, score: Score) -> Score:
        """Record a score (see `EvidenceStore.add_score`)."""
        said = self._known(score.session_id, self._write(self._adding_score(score)))
        return dataclasses.replace(score, created_at=said["created_at"])

    async def aadd_score(self, score: Score) -> Score:
        """Do the same for a caller on an event loop."""
        said = self._known(score.session_id, await self._awrite(self._adding_score(score)))
        return dataclasses.replace(score, created_at=said["created_at"])

    def cells(self, session_id: str) -> list[Cell]:
        """Return the session's cells in order."""
        return [_built(Cell, session_id, row) for row in self._evidence(session_id, "cells")]

    def checks(self, session_id: str) -> list[Check]:
        """Return the session's checks in order."""
        return [_built(Check, session_id, row) for row in self._evidence(session_id, "checks")]

    def scores(self, session_id: str) -> list[Score]:
        """Return the session's scores in the order they were given."""
        return [_built(Score, session_id, row) for row in self._evidence(session_id, "scores")]

    def keep_challenge(self, challenge: KeptChallenge) -> None:
        """Keep the candidate's part of a challenge under its hash; the first one of a hash stays."""
        names = ("challenge_sha", "name", "version", "text")
        values = {name: clean(getattr(challenge, name)) for name in names}
        if not values["challenge_sha"]:
            raise ConfigError("a challenge is kept under the hash of what the candidate is given")
        first = challenge.first_used_at
        self._call(
            "keep_challenge",
            self._asked(
                files=stored_json(to_json(challenge.files)),
                first_used_at=moment("a challenge's time", first) if first else None,
                **{name: stored(value) for name, value in values.items()},
            ),
        )

    def challenge(self, challenge_sha: str) -> KeptChallenge | None:
        """Return the candidate's part of that hash, or None."""
        sql = "SELECT * FROM ib.challenges WHERE challenge_sha = %s"
        rows = self._database.read(sql, (stored(clean(challenge_sha)),))
        if not rows:
            return None
        row = rows[0]
        names = ("challenge_sha", "name", "version", "text", "first_used_at")
        files = json.loads(given_json(row["files"]))
        return KeptChallenge(files=files, **{name: given_value(row[name]) for name in names})

    def _evidence(self, session_id: str, table: str) -> Sequence[Row]:
        key = self._row(session_id)["session_key"]
        sql = f"SELECT * FROM ib.{table} WHERE session_key = %s ORDER BY seq"  # noqa: S608 (our own names)
        return self._database.read(sql, (key,))

    def _adding_cell(self, cell: Cell) -> Write:
        return self._adding("cell", cell.session_id, cell_row(cell, self._keep_text))

    def _adding_check(self, check: Check) -> Write:
        return self._adding("check", check.session_id, check_row(check))

    def _adding_score(self, score: Score) -> Write:
        when = moment("a score's time", score.created_at) if score.created_at else None
        return self._adding("score", score.session_id, score_row(score) | {"created_at": when})

    def _adding(self, what: str, session_id: str, row: Row) -> Write:
        """Return the write of a row of evidence, with the commitment to its texts."""
        salt = chain.new_salt()
        committed = chain.commitment(salt, [row[name] for name in chain.TEXTS[f"{what}s"]])
        columns = {
            name: stored_json(value)
            if name in _JSON
            else bool(value)
            if name in _FLAGS
            else stored(value)
            if isinstance(value, str)
            else value
            for name, value in row.items()
        }
        asked = self._of(session_id, salt=bytea(salt), committed=committed.hex(), **columns)
        return Write(f"add_{what}", asked)


def _built(kind: Any, session_id: str, row: Row) -> Any:
    """Return a value of *kind* with the columns of its fields' names."""
    found = {
        field.name: tuple(json.loads(given_json(row[field.name])))
        if field.name in _JSON
        else given_value(row[field.name])
        for field in dataclasses.fields(kind)
        if field.name in row
    }
    return kind(**found | {"session_id": session_id})
