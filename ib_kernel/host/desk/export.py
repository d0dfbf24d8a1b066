"""Everything in the ledger as Parquet files in one zip file, for who analyses many interviews."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ib_kernel.errors import ConfigError
from ib_kernel.host.answers import Refused
from ib_kernel.host.auth import host_of, require_interviewer
from ib_kernel.host.desk.sql import arrow_table
from ib_kernel.host.openapi import operation
from ib_kernel.values import Reader

MEDIA = "application/zip"
TABLES = ("sessions", "calls", "messages", "events", "cells", "checks", "scores", "challenges")
"""The tables of the ledger; the views can be made of them again."""

BATCH = 20_000
"""Rows that are read at once: as Python's values they take much more memory than in a table."""

CHUNK = 256 * 1024


@operation(
    "The whole ledger, for coordinators: a zip file with one Parquet file a table",
    who="interviewer",
    answers={"type": "string", "contentMediaType": MEDIA},
    media=MEDIA,
    refusals=(403, 503),
)
async def export(request: Request) -> Response:
    """Answer every table, batch by batch from one file that is gone when the answer is."""
    person = await require_interviewer(request, "coordinator")
    host = host_of(request)
    try:
        about = {"by": person.name, "at": host.clock()}
        found = await run_in_threadpool(_written, host.store, about, Reader(person.name, coordinator=True))
    except ConfigError as error:
        raise Refused(501, "arrow", f"the host cannot export: {error}") from None
    headers = {
        "Content-Disposition": 'attachment; filename="interviews.zip"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_read(found), media_type=MEDIA, headers=headers)


def _written(store: Any, about: dict[str, Any], reader: Reader) -> Any:
    """Return an open file with the zip in it: what *reader* may see."""
    found = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
    try:
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(found, "w") as packed:
            rows = {}
            for name in TABLES:
                file = Path(folder) / f"{name}.parquet"
                rows[name] = _write(store, name, file, reader)
                packed.write(file, file.name)
                file.unlink()
            packed.writestr("about.json", json.dumps({**about, "rows": rows}))
    except BaseException:
        found.close()
        raise
    return found


def _write(store: Any, name: str, file: Path, reader: Reader) -> int:
    """Write a table, and return how many rows it has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    order = "created_at, session_id" if name == "sessions" else "seq"
    parts: list[Any] = []
    while not parts or parts[-1].num_rows == BATCH:
        query = f"SELECT * FROM {name} ORDER BY {order} LIMIT {BATCH} OFFSET {BATCH * len(parts)}"  # noqa: S608
        parts.append(arrow_table(store.sql(query, reader=reader)))
    whole = pa.concat_tables(
        parts, promote_options="permissive"
    )  # a column that was empty so far gets its type
    pq.write_table(whole, file)
    return int(whole.num_rows)


def _read(found: Any) -> Iterator[bytes]:
    with found:
        found.seek(0)
        while chunk := found.read(CHUNK):
            yield chunk
