"""`ib`: one line for what was done and one for what was wrong."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

from ib_kernel.cli import main
from ib_kernel.errors import ConfigError
from ib_kernel.host import commands


def ib(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Run `ib` and return its status and all that it printed."""
    status = main(list(words))
    said = capsys.readouterr()
    return status, (said.out + said.err).strip()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("invit",), "invalid choice"),
        (("invite", "Backend"), "no host runs on"),
        (("link",), "no host runs on"),
        (("invite", "--minutes", "-5"), "number above 0"),
        (("invite", "--budget", "many"), "number above 0"),
        (("interviewer", "add"), "needs a NAME"),
        (("host", "--listen", "0.0.0.0:9"), "--tls-cert"),
        (("host", "--listen", "here"), "HOST:PORT"),
        (("host", "--listen", "unix:/tmp/x.sock"), "--behind-proxy"),
        (("invite", "--host", "https://host.example"), "IB_HOST_TOKEN"),
        (("restore", "/nowhere/at/all"), "backup"),
        (("report", "abc", "noor.pdf"), ".html, .md or .json"),
        (("report", "abc", "noor.md", "--release"), "--for candidate"),
    ],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str) -> None:
    """It begins with ``ib:``, names what was wrong, and the status is 1."""
    status, said = ib(capsys, *words)
    assert status == 1
    assert said.startswith("ib: ")
    assert line in said
    assert "\n" not in said


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`ib` alone shows what there is."""
    status, said = ib(capsys)
    assert status == 2
    for command in (
        "host",
        "invite",
        "link",
        "interviewer",
        "verify",
        "backup",
        "restore",
        "report",
        "doctor",
    ):
        assert command in said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_what_a_command_writes_is_its_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries make files as the umask has it: during a command it lets nobody else in, and comes back."""

    def doctor(given: argparse.Namespace) -> int:
        (tmp_path / "written").touch(mode=0o666)
        raise ConfigError("no")

    monkeypatch.setattr(commands, "doctor", doctor)
    before = os.umask(0o002)
    try:
        assert main(["doctor"]) == 1
        assert os.umask(0o002) == 0o002
    finally:
        os.umask(before)
    assert (tmp_path / "written").stat().st_mode & 0o777 == 0o600


def test_people_come_and_go(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Listing needs no running host; adding does, because its address stands in the link."""
    assert ib(capsys, "interviewer", "--data", str(tmp_path)) == (0, "")
    assert "no host runs" in ib(capsys, "interviewer", "add", "Zoe", "--data", str(tmp_path))[1]
    assert "nobody called 'Zoe'" in ib(capsys, "interviewer", "remove", "Zoe", "--data", str(tmp_path))[1]


def test_a_backup_comes_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What was in the ledger is in the restored one; a folder with files in it is refused."""
    from ib_kernel.budget.service import TokenService
    from ib_kernel.settings import Settings

    service = TokenService(Settings(data_dir=tmp_path / "here"))
    session = service.create_session("Ada", 5000)
    status, said = ib(capsys, "backup", str(tmp_path / "copy"), "--data", str(tmp_path / "here"))
    service.close()
    assert status == 0
    assert "backed up" in said
    assert ib(capsys, "backup", str(tmp_path / "copy"), "--data", str(tmp_path / "here"))[0] == 1
    status, said = ib(capsys, "restore", str(tmp_path / "copy"), "--data", str(tmp_path / "there"))
    assert status == 0, said
    again = TokenService(Settings(data_dir=tmp_path / "there"))
    assert again.get_session(session.session_id).candidate == "Ada"
    again.close()


def test_the_doctor_says_what_there_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Version, client, ledger, address, people and the ledger's health, one line each."""
    status, said = ib(capsys, "doctor", "--data", str(tmp_path))
    assert status == 0
    for word in ("version", "client demo", "no host runs", "people", "adds up"):
        assert word in said
