"""Where a host listens: a bound socket, of a port or a path, before anything else is done."""

from __future__ import annotations

import contextlib
import os
import socket

from ib_kernel.errors import ConfigError

QUEUE = 2048
"""Connections that may wait to be accepted."""


def bind(listen: str) -> tuple[socket.socket, str]:
    """Return a bound socket, and where it listens with its real port.

    Args:
        listen: ``HOST:PORT`` or ``unix:PATH``.

    Raises:
        ConfigError: It cannot be bound.
    """
    try:
        if listen.startswith("unix:"):
            return _bind_unix(listen.removeprefix("unix:")), listen
        name, _, port = listen.rpartition(":")
        family = socket.AF_INET6 if ":" in name else socket.AF_INET
        bound = socket.create_server((name.strip("[]"), int(port)), family=family, backlog=QUEUE)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot listen on {listen}: {reason}; name another with --listen") from None
    return bound, f"{name}:{bound.getsockname()[1]}"


def unbind(listen: str) -> None:
    """Remove the path of a unix socket."""
    if listen.startswith("unix:"):
        with contextlib.suppress(OSError):
            os.unlink(listen.removeprefix("unix:"))


def _bind_unix(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if _is_dead(path):
            os.unlink(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        bound.bind(path)
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(before)
    bound.listen(QUEUE)
    return bound


def _is_dead(path: str) -> bool:
    """Return True if nobody listens on the unix socket *path* any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        return False
