"""What every test starts from: a clean environment, no key, a data directory of its own."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from clock import Clock

from ib_kernel.settings import Settings
from ib_kernel.testing import FaultServer

if TYPE_CHECKING:
    import duckdb

    from ib_duckdb.undo_log import UndoLog

# a busy machine is no failure; a third of the usual examples: each run draws others
hypothesis.settings.register_profile("untimed", deadline=None, max_examples=30)
hypothesis.settings.load_profile("untimed")

# a shell ignores interrupts for what it runs in the background; tests send some, to themselves and to others
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is marked slow, unless it is asked for."""
    if "SLOW_TESTS" not in os.environ:
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: make test-slow"))


def pytest_collection_finish() -> None:
    """Set aside what is there once all is imported: each shell that ends has it all looked through anew."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def set_aside() -> None:
    """Set aside what earlier modules have loaded, for the same reason."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the developer's keys, settings and ledger out of every test."""
    for name in [n for n in os.environ if n.startswith(("IB_", "OPENAI_")) and n != "IB_COUNTING_CORPUS"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("IB_CONFIG", str(tmp_path / "no-config.toml"))


@pytest.fixture(scope="session")
def empty_record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``usage.duckdb`` with its tables and views and no row, made as the ledger makes it."""
    from ib_duckdb.hot import Hot
    from ib_duckdb.record import Record
    from ib_duckdb.record_file import opened
    from ib_duckdb.undo_log import UndoLog

    folder = tmp_path_factory.mktemp("empty_record")
    hot = Hot(folder)
    made = Record(folder, hot)
    with hot.snapshot() as rows, opened(made.path, UndoLog(made.path)) as db:
        made.prepare(db, rows)
    hot.close()
    return made.path


@pytest.fixture(autouse=True)
def begun_record(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a new ``usage.duckdb`` begin as a copy of an empty one: 29 views take a tenth of a second to make.

    Not in the tests of the ledger itself, which are in `tests/plugins`.
    """
    if "plugins" in request.path.parts:
        return
    from ib_duckdb import record_file

    opened, empty = record_file.opened, request.getfixturevalue("empty_record")

    def begun(path: Path, undo: UndoLog) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        if not path.exists():
            shutil.copyfile(empty, path)
        return opened(path, undo)

    monkeypatch.setattr(record_file, "opened", begun)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that the test puts forward."""
    return Clock(monkeypatch)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a ledger of the test's own."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A service on loopback that answers well unless it is told otherwise."""
    with FaultServer() as running:
        yield running
