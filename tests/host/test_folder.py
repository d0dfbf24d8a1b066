"""The host's data directory belongs to its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ib_kernel.errors import ConfigError
from ib_kernel.host.folder import make_private

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    """Whatever the mask of the process, and without a word."""
    folder = tmp_path / "a" / "b"
    before = os.umask(0)
    try:
        assert make_private(folder) == ""
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_that_others_can_open_is_closed_and_that_is_said(tmp_path: Path, mode: int) -> None:
    """A folder that somebody has made by hand."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)
    assert f"(mode 0{mode:o})" in make_private(folder)
    assert folder.stat().st_mode & 0o777 == mode & 0o700
    assert make_private(folder) == ""


def test_a_folder_that_cannot_be_closed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's, as under an NFS export or a volume of another user."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)

    def refuse(self: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(ConfigError, match="cannot be kept from other users"):
        make_private(folder)


@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="only root can give files away")
def test_a_file_that_another_user_has_put_there_is_refused(tmp_path: Path) -> None:
    """The ledger would be in a file of theirs, which they read for ever; the folder stays closed."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "hot.sqlite3").touch()
    os.chown(folder / "hot.sqlite3", 65534, 65534)
    with pytest.raises(ConfigError, match=r"'hot\.sqlite3' in it is another's"):
        make_private(folder)
    assert folder.stat().st_mode & 0o077 == 0


def test_one_s_own_files_in_a_folder_that_was_open_stay(tmp_path: Path) -> None:
    """It was made by hand, and used."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "hot.sqlite3").touch()
    assert "it is this user's alone now" in make_private(folder)
