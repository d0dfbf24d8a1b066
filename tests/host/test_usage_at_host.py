"""SQL through a host: `%%usage --host` and `connect_usage(host=…)`, for interviewers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hosting import Served, served
from notebook_shell import notebook

from ib_kernel import connect_usage
from ib_kernel.errors import BuddyError, ConfigError, QueryError
from ib_kernel.host import people
from ib_kernel.remote.desk import Desk
from ib_kernel.remote.usage import query
from ib_kernel.settings import Settings

pytest.importorskip("pyarrow", reason="install it with: pip install -e '.[host]'")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Served]:
    """Yield a host with one session that has spent something."""
    with served(Settings(data_dir=tmp_path / "host")) as host:
        session = host.session(candidate="Noor")
        host.host.service.update_consumption(session.session_id, 100, 23)
        yield host


@pytest.fixture
def token(running: Served, monkeypatch: pytest.MonkeyPatch) -> str:
    """A token of an interviewer, where the notebook looks for it."""
    people.add_person(running.host, "Ada", "interviewer")
    made = people.grant_token(running.host, "interviewer", "Ada", 3600)
    monkeypatch.setenv("IB_HOST_TOKEN", made)
    return made


def test_a_query_at_a_host_answers_as_one_here_does(running: Served, token: str, settings: Settings) -> None:
    """The same columns, rows and types as the host's own ledger gives."""
    sql = (
        "SELECT candidate, total_tokens, calls.ended_at, cost_usd FROM calls JOIN sessions USING (session_id)"
    )
    with Desk.at(running.address, settings) as desk:
        there = query(desk, sql)
    here = running.host.store.sql(sql)
    assert there.columns == here.columns
    assert there.fetchall() == here.fetchall()
    assert there.fetchall()[0][:2] == ("Noor", 123)


def test_a_query_that_cannot_be_answered_says_why_in_one_line(
    running: Served, token: str, settings: Settings
) -> None:
    """What a person gets wrong, what would write, and what would read the host's files."""
    with Desk.at(running.address, settings) as desk:
        for sql in ("SELECT nothing FROM calls", "DELETE FROM calls", "FROM read_csv('/etc/passwd')"):
            with pytest.raises(QueryError) as refused:
                query(desk, sql)
            assert "\n" not in str(refused.value)
            assert "root:" not in str(refused.value)


def test_the_magic_asks_a_host(running: Served, token: str) -> None:
    """With --host, or the host that IB_HOST names; the result converts as ever."""
    with notebook() as shell:
        shown = shell.ok(f"%%usage --host {running.address}\nSELECT sum(total_tokens) AS tokens FROM calls")
        assert "123" in shown.text


def test_a_whole_ledger_comes_as_a_database(running: Served, token: str, settings: Settings) -> None:
    """Tables and views by name; what is done to it stays here."""
    db = connect_usage(settings, host=running.address)
    assert db.execute("SELECT sum(total_tokens) FROM calls").fetchall() == [(123,)]
    assert db.execute("SELECT count(*) FROM session_usage").fetchall() == [(1,)]
    db.execute("DELETE FROM calls")
    assert running.host.store.sql("SELECT count(*) FROM calls").fetchall() == [(1,)]
    db.close()


def test_a_candidate_s_token_answers_nothing(
    running: Served, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQL is for interviewers; without any token the line says what to do."""
    with pytest.raises(ConfigError, match="IB_HOST_TOKEN"):
        connect_usage(settings, host=running.address)
    monkeypatch.setenv("IB_HOST_TOKEN", running.token(running.session()))
    with Desk.at(running.address, settings) as desk, pytest.raises(BuddyError, match="token"):
        query(desk, "SELECT 1")


def test_without_a_host_the_line_says_where_to_name_it(settings: Settings) -> None:
    """An empty address means the one in IB_HOST."""
    with pytest.raises(ConfigError, match="IB_HOST"):
        connect_usage(settings, host="")
