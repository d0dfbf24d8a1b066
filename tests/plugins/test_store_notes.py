"""Interviewers' notes that older versions kept in rows leave both files, and sessions still have them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import duckdb
import pytest
from older_ledger import read_older, write_older

from ib_duckdb import private
from ib_duckdb.store import DuckDBStore
from ib_kernel import Interview, Settings
from ib_kernel.errors import StoreError
from ib_kernel.values import NewSession

NOTES, RUBRIC = 'The zebrafish is "hidden": é.', ("names the zebrafish",)
SECRET = b"zebrafish"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger that the code of version 1 wrote; its files have the notes, also where rows were changed."""
    folder = write_older(read_older("notes"), tmp_path / "data")
    with sqlite3.connect(folder / "hot.sqlite3") as hot:
        hot.execute("PRAGMA journal_mode=WAL")
        hot.execute("PRAGMA secure_delete=OFF")
        hot.execute("UPDATE sessions SET meta = meta || ?", (" " * 9_000,))  # the shorter row stays in a gap
    assert SECRET in (folder / "hot.sqlite3").read_bytes() + (folder / "hot.sqlite3-wal").read_bytes()
    hot.close()
    assert SECRET in (folder / "usage.duckdb").read_bytes()
    return folder


def opened(folder: Path) -> DuckDBStore:
    """The ledger, without a thread that moves rows."""
    return DuckDBStore(folder, background=False)


def with_notes(folder: Path) -> list[str]:
    """The files of the ledger that hold any of the notes."""
    return sorted(f.name for f in folder.iterdir() if f.is_file() and SECRET in f.read_bytes())


def test_a_resumed_session_is_given_its_notes_and_nobody_else_is(folder: Path) -> None:
    """The model's prompt has notes and criteria; no value, row or file of the ledger has."""
    with Interview(Settings(data_dir=folder, client="demo"), session_id="first") as buddy:
        assert "zebrafish" in json.dumps(buddy.ask("Go on")._turn.ask.request.messages[0], ensure_ascii=False)
        kept = buddy._parts.given.of(buddy.session)
        assert kept is not None
        assert (kept.text, kept.notes, kept.rubric) == ("Do it.", NOTES, RUBRIC)
        shown = repr([(s, s.meta) for s in buddy.service.store.sessions()])
        for table in ("sessions", "events", "messages"):
            shown += str(buddy.service.store.sql(f"FROM {table}").fetchall())
        assert "zebrafish" not in shown
        assert buddy.service.store.check() == []
    assert with_notes(folder) == []
    with duckdb.connect(str(folder / "usage.duckdb"), read_only=True) as db:
        rows = db.execute(
            "SELECT DISTINCT session_id, meta->>'$.challenge.private_id' FROM internal.session_rows"
        )
        ids = {name: private_id for name, private_id in rows.fetchall()}  # noqa: C416 (named)
        assert db.execute("FROM session_usage").fetchall()
    assert ids["shipped"] is None
    assert len({ids["first"], ids["second"]} - {None}) == 2
    files = list((folder / "challenges").iterdir())
    assert {file.stem for file in files} == {ids["first"], ids["second"]}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_backups_of_older_versions_are_cleaned_too(folder: Path) -> None:
    """Those that an earlier migration left, and the one that this migration makes."""
    shutil.copy(folder / "hot.sqlite3", folder / "hot.version-0.sqlite3")
    shutil.copy(folder / "hot.sqlite3", folder / "hot.saved-1.sqlite3")
    shutil.copy(folder / "usage.duckdb", folder / "usage.version-0.duckdb")
    (folder / "hot.version-9.sqlite3").write_bytes(b"somebody's")
    store = opened(folder)
    store.flush()
    store.close()
    assert {"hot.version-1.sqlite3", "usage.version-1.duckdb"} <= {f.name for f in folder.iterdir()}
    assert with_notes(folder) == []


@pytest.mark.parametrize("step", ["write_anew", "_clean_copy"])
def test_a_kernel_killed_between_the_steps_leaves_work_that_is_done_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The next opening goes on where it ended, with the same files."""
    (folder / "hot.version-0.sqlite3").write_bytes((folder / "hot.sqlite3").read_bytes())

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(private, step, killed)
        with pytest.raises(KeyboardInterrupt):
            opened(folder)
    before = {f.name for f in (folder / "challenges").iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        store = opened(folder)
        with pytest.raises(KeyboardInterrupt):
            store.flush()
    store._hot.close()
    again = opened(folder)
    again.flush()
    again.close()
    assert {f.name for f in (folder / "challenges").iterdir()} == before
    assert with_notes(folder) == []


def test_notes_that_cannot_be_kept_stay_where_they_are(folder: Path) -> None:
    """One line says so, and nothing has changed."""
    (folder / "challenges").write_text("in the way", encoding="utf-8")
    with pytest.raises(StoreError, match=r"notes of earlier sessions cannot be moved to .*challenges"):
        opened(folder)
    (folder / "challenges").unlink()
    store = opened(folder)
    assert store.session("first").meta["challenge"].keys() == {"title", "text", "private_id"}
    store.close()


@pytest.mark.parametrize(
    "meta",
    ['{"challenge": []}', '{"challenge": {"notes": 7, "rubric": "x"}}', '"notes"', '{"challenge": "notes"}'],
)
def test_odd_values_in_a_row_stop_nothing(folder: Path, meta: str) -> None:
    """What nobody's code has written is left, or goes without a file."""
    with sqlite3.connect(folder / "hot.sqlite3") as hot:
        hot.execute("UPDATE sessions SET meta = ? WHERE session_id = 'second'", (meta,))
    hot.close()
    store = opened(folder)
    store.flush()
    assert store.check() == []
    assert "zebrafish" not in str(store.sql("FROM sessions").fetchall())
    store.close()


def test_a_value_that_is_handed_out_never_has_them(tmp_path: Path) -> None:
    """Whoever wrote them into a session's row."""
    store = opened(tmp_path)
    meta = {"challenge": {"text": "Do it.", "notes": NOTES, "rubric": list(RUBRIC)}, "notes": "mine"}
    opened_now = store.open_session(NewSession("s", "Ada", 100, "m", meta=meta))
    for session in (opened_now, store.session("s"), *store.sessions()):
        assert session.meta == {"challenge": {"text": "Do it."}, "notes": "mine"}
    store.close()
