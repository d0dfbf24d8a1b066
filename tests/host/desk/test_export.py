"""The whole ledger as Parquet files: every row, for coordinators only."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from hosting import Served, served

from ib_kernel.host import people
from ib_kernel.host.desk import export
from ib_kernel.settings import Settings

pq = pytest.importorskip("pyarrow.parquet", reason="install it with: pip install -e '.[host]'")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Served]:
    """A host with two sessions, one of which has spent something."""
    with served(Settings(data_dir=tmp_path / "host")) as host:
        for name in ("Noor", "Ilse"):
            session = host.session(candidate=name)
        host.host.service.update_consumption(session.session_id, 100, 23)
        yield host


def asked(running: Served, role: str) -> httpx2.Response:
    """Ask for the export as somebody of that role."""
    people.add_person(running.host, "Ada", role)
    token = people.grant_token(running.host, "interviewer", "Ada", 3600)
    with httpx2.Client(base_url=running.address) as client:
        return client.get("/v1/desk/export", headers={"Authorization": f"Bearer {token}"}, timeout=60)


def test_every_table_is_a_file_with_every_row(running: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a table is read in several parts."""
    monkeypatch.setattr(export, "BATCH", 1)
    answer = asked(running, "coordinator")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        tables = {name: pq.read_table(io.BytesIO(packed.read(f"{name}.parquet"))) for name in export.TABLES}
        about = json.loads(packed.read("about.json"))
    assert tables["sessions"].column("candidate").to_pylist() == ["Noor", "Ilse"]
    assert tables["calls"].column("total_tokens").to_pylist() == [123]
    assert about["rows"] == {name: table.num_rows for name, table in tables.items()}
    assert about["by"] == "Ada"


def test_only_a_coordinator_may_take_everything(running: Served) -> None:
    """Somebody else gets one line."""
    answer = asked(running, "interviewer")
    assert answer.status_code == 403
    assert "only a coordinator may do that" in answer.json()["error"]["message"]
