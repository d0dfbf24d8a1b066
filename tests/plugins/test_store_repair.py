"""A record that a kill left half written: what nothing but a checksum stops is mended, all else rebuilt."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import duckdb
import pytest

from ib_duckdb.store import DuckDBStore
from ib_kernel.values import CallEnd, NewSession, Status

HEADERS, BLOCKS, BLOCK = (4096, 8192), 12_288, 262_144


def metadata_at(path: Path) -> int:
    """Return where in the file the block is that the newer of its two headers points to."""
    data = path.read_bytes()
    headers = [struct.unpack_from("<QQQ", data, at) for at in HEADERS]
    _, _, pointer = max(headers, key=lambda header: header[1])
    return BLOCKS + (pointer & ((1 << 56) - 1)) * BLOCK


def overwrite(path: Path, where: int, what: bytes) -> None:
    """Write bytes into the middle of a file."""
    with path.open("r+b") as file:
        file.seek(where)
        file.write(what)


@pytest.fixture
def store(tmp_path: Path) -> DuckDBStore:
    """A ledger whose one call is in the record."""
    store = DuckDBStore(tmp_path, background=False)
    store.open_session(NewSession("s", "Ada", 1_000, "m"))
    store.set_status("s", Status.ACTIVE)
    spend(store)
    store.flush()
    return store


def spend(store: DuckDBStore) -> None:
    """Hold and settle."""
    held = store.reserve("s", 20, lease_s=60.0)
    assert held
    store.settle(held.reservation_id, CallEnd(10, 5))


def calls(store: DuckDBStore) -> int:
    """Count the calls that %%usage sees."""
    count: int = store.sql("SELECT count(*) FROM calls").rows[0][0]
    return count


@pytest.mark.parametrize("first", ["a query", "the mover"])
def test_a_checkpoint_that_was_cut_short_is_mended(
    store: DuckDBStore, caplog: pytest.LogCaptureFixture, first: str
) -> None:
    """A wrong checksum over intact metadata costs nothing: whoever comes first mends the file."""
    path = Path(store.location())
    overwrite(path, metadata_at(path), b"\x01\x02\x03\x04\x05\x06\x07\x08")
    with pytest.raises(duckdb.Error, match="checksum"):
        duckdb.connect(str(path))
    with caplog.at_level(logging.WARNING):
        if first == "the mover":
            spend(store)
            store.flush()
        assert calls(store) == (2 if first == "the mover" else 1)
    assert "its checksum was corrected" in caplog.text
    assert not list(path.parent.glob("usage.damaged*"))
    assert store.check() == []
    store.close()


def test_metadata_that_makes_no_sense_is_not_mended(store: DuckDBStore) -> None:
    """Where more is wrong than the checksum, the file is set aside and a new one is built from hot rows."""
    path = Path(store.location())
    overwrite(path, metadata_at(path), b"\xff" * BLOCK)
    assert calls(store) == 1
    kept = list(path.parent.glob("usage.damaged-1.duckdb"))
    assert len(kept) == 1
    where = kept[0].read_bytes()
    assert b"\xff" * 1_000 in where
    assert store.check() == []
    store.close()
