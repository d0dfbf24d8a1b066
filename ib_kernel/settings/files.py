"""The one way to read a small text file that somebody else wrote: config.toml, challenges.

Only regular files are read, and only up to a limit, so that a device, a pipe or a file of gigabytes is one
line instead of a kernel that hangs. TOML is looked over before it is parsed: what would keep the parser busy
for seconds (`MAX_DEPTH`, `MAX_KEY_PARTS`, `MAX_DIGITS`) is refused in time that grows with the file's size.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Any

from ib_kernel.errors import ConfigError

MAX_BYTES = 200_000
"""The largest file that is read, unless the caller names another limit."""

MAX_DEPTH = 32
"""The deepest nesting of arrays and inline tables in TOML."""

MAX_KEY_PARTS = 16
"""The most parts of a dotted key in TOML."""

MAX_DIGITS = 100
"""The most digits of a number in TOML."""

_TOKENS = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'"
    r"|#[^\n]*|[0-9][0-9A-Za-z_]*|[A-Za-z_-][\w-]*|[ \t\r]+|(?P<mark>[\[\]{}.=,\n])|.",
    re.DOTALL,
)


def read_text(path: str | os.PathLike[str], what: str = "", *, limit: int = MAX_BYTES) -> str:
    """Return the text of a regular UTF-8 file, with ``\\n`` as its line ends and without a byte order mark.

    Args:
        path: The file; ``~`` and ``~user`` are expanded.
        what: What the file is to the person who named it, for the message ("the challenge"; "": the
            path alone).
        limit: The most bytes that are read.

    Raises:
        FileNotFoundError: There is no such file; the caller knows what that means.
        ConfigError: It is not a regular file, is too large, is not UTF-8, or cannot be read.
    """
    data = read_bytes(path, what, limit=limit)
    try:
        return data.decode("utf-8").lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        shown = f"{what} {shown_path(path)}".lstrip()
        raise ConfigError(f"cannot read {shown}: it is not UTF-8 text") from None


def read_bytes(path: str | os.PathLike[str], what: str = "", *, limit: int = MAX_BYTES) -> bytes:
    """Return the content of a regular file.

    Args:
        path: The file; ``~`` and ``~user`` are expanded.
        what: What the file is to the person who named it, for the message.
        limit: The most bytes that are read.

    Raises:
        FileNotFoundError: There is no such file; the caller knows what that means.
        ConfigError: It is not a regular file, is too large, or cannot be read.
    """
    shown = f"{what} {shown_path(path)}".lstrip()
    try:
        return _read_bytes(os.path.expanduser(os.fspath(path)), shown, limit)
    except (FileNotFoundError, ConfigError):
        raise
    except OSError as error:
        raise ConfigError(f"cannot read {shown}: {error.strerror or error}") from None
    except ValueError:  # a NUL, or a lone surrogate
        raise ConfigError(f"cannot read {shown}: that is no path of a file") from None


def parse_toml(text: str, what: str) -> dict[str, Any]:
    """Return *text* as TOML tables.

    Args:
        text: The TOML document.
        what: Where it comes from, for the message.

    Raises:
        ConfigError: It is not TOML, or nests deeper, names keys or writes numbers longer than anybody means.
    """
    _refuse_bombs(text, what)
    import tomllib  # most users have no such file, and need not pay for its parser

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # tomllib's own error is a ValueError
        raise ConfigError(f"cannot read {what}: it is not TOML: {error}") from None


def _read_bytes(path: str, shown: str, limit: int) -> bytes:
    _require_small_file(os.stat(path), shown, limit)
    # It may have become a pipe by now, whose other end nobody opens; Windows has neither flag nor need.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        _require_small_file(os.fstat(handle), shown, limit)
        data = file.read(limit + 1)
    if len(data) > limit:  # it grew, or its size is not told (files of /proc)
        raise ConfigError(f"{shown} has more than {limit:,} bytes, the most that is read")
    return data


def _require_small_file(about: os.stat_result, shown: str, limit: int) -> None:
    if not stat.S_ISREG(about.st_mode):
        kind = "a folder" if stat.S_ISDIR(about.st_mode) else "a device or pipe"
        raise ConfigError(f"cannot read {shown}: it is {kind}, not a file")
    if about.st_size > limit:
        raise ConfigError(f"{shown} has {about.st_size:,} bytes; at most {limit:,} are read")


def _refuse_bombs(text: str, what: str) -> None:
    depth = parts = 0
    for token in _TOKENS.finditer(text):
        mark = token["mark"]
        if mark is None:
            if token[0][0].isdigit() and len(token[0]) > MAX_DIGITS:
                raise ConfigError(f"cannot read {what}: it has a number of more than {MAX_DIGITS} digits")
            continue
        if mark == ".":
            parts += 1
        else:
            parts = 0
            depth = max(0, depth + {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0))
        if depth > MAX_DEPTH:
            raise ConfigError(f"cannot read {what}: it nests deeper than {MAX_DEPTH} levels")
        if parts >= MAX_KEY_PARTS:
            raise ConfigError(f"cannot read {what}: it has a key of more than {MAX_KEY_PARTS} parts")


def shown_path(path: str | os.PathLike[str]) -> str:
    """Return a path as a message may show it: printable and short.

    Args:
        path: The path.
    """
    text = os.fspath(path)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= 200 else f"{text[:199]}…"
