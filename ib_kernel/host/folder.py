"""The host's data directory: its owner's alone, because keys, prompts and everybody's answers are in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ib_kernel.errors import ConfigError

OTHERS = stat.S_IRWXG | stat.S_IRWXO

WRITERS = stat.S_IWGRP | stat.S_IWOTH


def make_private(folder: Path) -> str:
    """Make *folder* where it is missing; close one that other users can open.

    Args:
        folder: The host's data directory.

    Returns:
        A line that says what was changed, "" for nothing.

    Raises:
        ConfigError: It cannot be made, is open to others and belongs to somebody else, or others could write
            there and have: whose file the ledger is, reads it whatever the folder's mode.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
        if os.name != "posix" or not mode & OTHERS:
            return ""
        folder.chmod(mode & ~OTHERS)
        planted = _of_others(folder) if mode & WRITERS else []
    except OSError as error:
        raise ConfigError(
            f"the data directory {folder} cannot be kept from other users ({error.strerror}); give it to "
            "this user with mode 0700, or name another with --data"
        ) from None
    if planted:
        raise ConfigError(
            f"other users could write to the data directory {folder}, and {planted[0]!r} in it is another's; "
            "remove what is not yours, or name a new folder with --data"
        )
    return f"{folder} was open to other users (mode {mode:04o}); it is this user's alone now."


def _of_others(folder: Path) -> list[str]:
    """Return what another user has put into *folder*, root apart."""
    mine = {0, os.geteuid()}
    return sorted(entry.name for entry in folder.iterdir() if entry.lstat().st_uid not in mine)
