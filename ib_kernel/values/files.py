"""Files with people's answers: private to their owner, never written through a link or over another."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from ib_kernel.errors import ConfigError


def write_private(target: str | os.PathLike[str], content: bytes, *, overwrite: bool = False) -> Path:
    """Write *content* to a file that only its owner may read (0600).

    Args:
        target: Where to; ``~`` is the home folder.
        content: All of it.
        overwrite: Whether an existing file may be replaced; it is replaced at once and whole.

    Returns:
        The full path.

    Raises:
        ConfigError: The file exists, is a link or no ordinary file, or cannot be written.
    """
    try:
        path = Path(target).expanduser().absolute()
        kind = path.lstat().st_mode
    except FileNotFoundError:
        kind = None
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, the home of an unknown user, too long
        raise ConfigError(f"cannot write {str(target)!r}: {_reason(error)}") from None
    if kind is not None and not stat.S_ISREG(kind):
        what = "a link" if stat.S_ISLNK(kind) else "no ordinary file"
        raise ConfigError(f"cannot write {path}: it is {what}; give the name of a file")
    if kind is not None and not overwrite:
        raise ConfigError(
            f"{path.name} exists already; give another name, or add --overwrite (in Python: overwrite=True)"
        )
    try:
        _replace(path, content) if overwrite else _create(path, content)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {_reason(error)}") from None
    return path


def _create(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
