"""What DuckDB writes over in ``usage.duckdb`` is kept beside it, so that a kill in the middle loses nothing.

DuckDB writes new rows where nothing is, and its header last; but blocks of metadata that the header refers to
are written again in place. A process that is killed in the middle of one (or a machine that loses its power)
leaves a block with a wrong checksum, and a file of which nothing can be read. So those blocks are kept in
``usage.undo`` before anything is written, and put back when the file cannot be read and its header is still
the one that they were kept for: then they are what they were when that header was written, and nothing else
it refers to has changed. See ``docs/decisions/0049-an-undo-log-for-the-record.md``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ib_duckdb import foreign

if TYPE_CHECKING:
    import duckdb

NAME = "usage.undo"

_HEADERS = 3 * 4096
"""Bytes before the first block: the file's own header and two of the database, of which the newer one counts
(DuckDB's storage format, read in 2.0.1, November 2026)."""

_DIGEST = hashlib.sha256().digest_size

BY_ITSELF = "1TB"
"""Size of DuckDB's log from which on it would write a checkpoint by itself, after a commit."""


class UndoLog:
    """The undo log of the record at *path*. Use it with the record's locks held."""

    def __init__(self, path: Path) -> None:
        self._path, self._kept_in = path, path.with_name(NAME)
        self._fd: int | None = None

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Have the file open for `save`, from before DuckDB opens it until after DuckDB has closed it.

        Closing any handle of a file drops the locks of all others in the process, DuckDB's among them.
        """
        if hasattr(os, "pread"):  # not on Windows, where DuckDB lets nobody read beside it
            with suppress(OSError):
                self._fd = os.open(self._path, os.O_RDONLY)
        try:
            yield
        finally:
            fd, self._fd = self._fd, None
            if fd is not None:
                os.close(fd)

    def save(self, db: duckdb.DuckDBPyConnection) -> None:
        """Keep what the next checkpoint of *db*'s database may write over, durably.

        Where the file cannot be read beside DuckDB (Windows), or was only made now, nothing is kept.
        """
        if self._fd is None:
            return
        headers = os.pread(self._fd, _HEADERS, 0)
        if len(headers) < _HEADERS:
            return
        size, ids = _metadata(db)
        blocks = [os.pread(self._fd, size, _HEADERS + size * number) for number in ids]
        found = json.dumps({"size": size, "blocks": ids}).encode()
        body = b"%d\n%b%b%b" % (len(found), found, headers, b"".join(blocks))
        fd = os.open(self._kept_in, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            data = memoryview(hashlib.sha256(body).digest() + body)
            while data:
                data = data[os.write(fd, data) :]
            os.ftruncate(fd, _DIGEST + len(body))
            os.fsync(fd)
        finally:
            os.close(fd)

    def checkpoint(self, db: duckdb.DuckDBPyConnection) -> None:
        """Write a checkpoint of *db*'s database now, and keep what the next one may write over."""
        db.execute("CHECKPOINT")
        self.save(db)

    def end(self) -> None:
        """Keep nothing more after DuckDB has closed the file, unless its log is there: none has ended."""
        if not self._path.with_name(f"{self._path.name}.wal").exists():
            self.forget()

    def forget(self) -> None:
        """Keep nothing: the file is another one from now on."""
        with suppress(FileNotFoundError):
            os.truncate(self._kept_in, 0)

    def put_back(self) -> bool:
        """Undo a checkpoint that was cut short in a file that nobody has open; return True if it was one."""
        kept = self._read()
        if kept is None or foreign.handles(self._path):
            return False
        headers, size, blocks = kept
        try:
            fd = os.open(self._path, os.O_RDWR)
        except OSError:
            return False
        try:
            if os.pread(fd, _HEADERS, 0) != headers:  # a later checkpoint has ended, or it is another file
                return False
            for number, block in blocks.items():
                os.pwrite(fd, block, _HEADERS + size * number)
            os.fsync(fd)
        finally:
            os.close(fd)
            foreign.keep_lock(self._path, ours=0)
        return True

    def _read(self) -> tuple[bytes, int, dict[int, bytes]] | None:
        """Return the headers, the size of a block, and the blocks that are kept; None for nothing whole."""
        with suppress(OSError, ValueError):
            data = self._kept_in.read_bytes()
            digest, body = data[:_DIGEST], data[_DIGEST:]
            if digest == hashlib.sha256(body).digest():
                length, _, rest = body.partition(b"\n")
                at = int(length)
                found = json.loads(rest[:at])
                size, rest = found["size"], rest[at:]
                begins = range(_HEADERS, len(rest), size)
                blocks = zip(found["blocks"], (rest[begin : begin + size] for begin in begins), strict=True)
                return rest[:_HEADERS], size, dict(blocks)
        return None


def _metadata(db: duckdb.DuckDBPyConnection) -> tuple[int, list[int]]:
    """Return the size of a block of *db*'s database in bytes, and the numbers of its blocks of metadata."""
    sizes = "SELECT database_name, block_size FROM pragma_database_size()"
    row = db.execute(f"{sizes} WHERE database_name = current_database()").fetchone()
    assert row is not None  # noqa: S101 (for the type checker)
    found = db.execute("SELECT block_id FROM pragma_metadata_info(?)", [row[0]]).fetchall()
    return int(row[1]), sorted({int(number) for (number,) in found})
