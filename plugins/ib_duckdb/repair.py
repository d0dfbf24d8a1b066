"""Mending ``usage.duckdb`` after a kill in the middle of a checkpoint.

Seen with duckdb 2.0.0 (2026-11-23), about once in 2,000 kills of a process that does nothing but move rows:
a checkpoint adds the new metadata to a block of 256 KiB that holds the metadata of the checkpoint before, and
writes that whole block in place. A kill during this write leaves a block whose first pages are new and
whose rest is old. The parts that the file's header still points to are the same in both, so that nothing is
lost but the block's checksum, and DuckDB refuses the file. `repair_checksum` writes the checksum of what is
there.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

from ib_duckdb.faults import Damaged, InUse, explained, held_here
from ib_kernel.errors import StoreError

_TORN = re.compile(r"computed checksum (\d+) does not match stored checksum (\d+) in block at location (\d+)")
_CHECKSUM = struct.Struct("<Q")


def repair_checksum(path: Path, why: str) -> bool:
    """Correct the checksum of the block that *why* (DuckDB's message) names; tell whether the file opens.

    Call it with the record's locks held. When the file still does not open, it is as it was before.
    """
    found = _TORN.search(why)
    if found is None or held_here(path):
        return False
    computed, stored, where = map(int, found.groups())
    if not _swap(path, where, stored, computed):
        return False
    if _opens(path):
        return True
    _swap(path, where, computed, stored)
    return False


def _swap(path: Path, where: int, old: int, new: int) -> bool:
    """Replace the checksum at *where* if it is *old*. Nobody in this process has the file open."""
    fd = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.lseek(fd, where, os.SEEK_SET)
        if os.read(fd, _CHECKSUM.size) != _CHECKSUM.pack(old):
            return False
        os.lseek(fd, where, os.SEEK_SET)
        os.write(fd, _CHECKSUM.pack(new))
        os.fsync(fd)
        return True
    finally:
        os.close(fd)


def _opens(path: Path) -> bool:
    """Return True if every table's metadata can be read."""
    import duckdb

    try:
        with explained(path), duckdb.connect(str(path), read_only=True) as db:
            for schema, name in db.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
                db.execute(f'SELECT count(*) FROM "{schema}"."{name}"')  # noqa: S608 (the file's own names)
        return True
    except (Damaged, InUse, StoreError):
        return False
