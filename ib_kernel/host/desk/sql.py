"""SQL for interviewers: one reading query, its answer as an Arrow stream, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ib_kernel.errors import ConfigError
from ib_kernel.evidence.origins import compute_for
from ib_kernel.host.answers import Refused, read_json, text_of
from ib_kernel.host.auth import host_of, require_interviewer
from ib_kernel.host.openapi import fields, operation, text
from ib_kernel.values import Reader
from ib_kernel.values.results import QueryResult

MEDIA = "application/vnd.apache.arrow.stream"
MOST_QUERY = 100_000
BATCH = 10_000
"""Rows of a batch."""


@operation(
    "Ask one reading SQL query; the answer is an Arrow IPC stream",
    who="interviewer",
    body=fields({"query": text(MOST_QUERY, least=1)}),
    answers={"type": "string", "contentMediaType": MEDIA},
    media=MEDIA,
    refusals=(400, 503),
)
async def sql(request: Request) -> Response:
    """Answer a query, as `%%usage` does in a local notebook, over what this person may see."""
    person = await require_interviewer(request)
    reader = Reader(person.name, coordinator=person.role == "coordinator")
    host, value = host_of(request), await read_json(request, 2 * MOST_QUERY)
    query = text_of(value, "query", longest=MOST_QUERY)
    try:
        await run_in_threadpool(compute_for, query, host.store, host.sight.given)
        found = await run_in_threadpool(host.store.sql, query, reader=reader)
        table = await run_in_threadpool(arrow_table, found)
    except ConfigError as error:
        raise Refused(501, "arrow", f"the host cannot answer SQL: {error}") from None
    return StreamingResponse(_stream(table), media_type=MEDIA, headers={"Cache-Control": "no-store"})


def arrow_table(found: QueryResult) -> Any:
    """Return the rows as an Arrow table; what Arrow has no type for goes as text."""
    try:
        table = found.arrow()
    except (TypeError, ValueError, OverflowError):
        rows = [tuple(None if v is None else str(v) for v in row) for row in found.rows]
        table = QueryResult(found.columns, rows).arrow()
    return table.replace_schema_metadata({"note": found.note})


def _stream(table: Any) -> Iterator[bytes]:
    import pyarrow as pa

    sink = _Sink()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=BATCH):
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


class _Sink:
    """A file that hands on what was written to it."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        whole, self._parts = b"".join(self._parts), []
        return whole

    def flush(self) -> None:
        """Do nothing: `take` hands on what is there."""

    def close(self) -> None:
        self.closed = True
