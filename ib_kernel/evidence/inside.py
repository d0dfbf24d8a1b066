"""What somebody's code sees inside the sandbox: a Python, the packages for data work, and nothing else."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ib_kernel.errors import ConfigError

NOBODY = 65534
"""The user and group that somebody's code runs as."""

_SEEN_PACKAGES = ("numpy", "pandas", "python-dateutil", "six", "pytz", "tzdata", "duckdb")
"""Distributions that a challenge may use: data work with pandas, SQL through DuckDB."""


class NoSandbox(ConfigError):
    """Somebody's code cannot be run safely here; the line says why, and what to install."""


@dataclass(frozen=True, slots=True)
class Python:
    """The Python that runs somebody's code: its program, what it needs to see, and the packages beside it.

    `lacks` says why there are no packages although the host has them; "" where that is not so.
    """

    program: str
    prefix: str
    packages: tuple[tuple[str, str], ...] = ()
    lacks: str = ""


@functools.cache
def interpreter() -> Python:
    """Return the Python to run somebody's code with: ours where user 65534 may reach it, else the system's.

    Raises:
        NoSandbox: There is none.
    """
    own = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = _packages()
    program = own / "bin" / version
    if program.exists() and _reachable(own):
        return Python(str(program), str(own), packages)
    system = Path("/usr/bin/python3")
    if not system.exists():
        raise NoSandbox(
            f"hidden checks need a Python that another user may start: {own} is closed to others, and there "
            f"is no {system}"
        )
    if not packages or Path(os.path.realpath(system)).name == version:
        return Python(str(system), "/usr", packages)
    lacks = f"the host's {version} is closed to other users, and the system's Python is of another version"
    return Python(str(system), "/usr", lacks=lacks)


def importable() -> str:
    """Return what code inside may import beside Python's own modules, as half a sentence about the code.

    Raises:
        NoSandbox: There is no Python for it.
    """
    python = interpreter()
    seen = dict(python.packages)
    names = [name for name in _SEEN_PACKAGES if name in seen]
    if names:
        return f"code in it may import {', '.join(names)}"
    return f"code in it has no packages such as pandas: {python.lacks or 'none is installed'}"


def _packages() -> tuple[tuple[str, str], ...]:
    """Return what the data packages are made of, as (name, path): nothing else of the installation is seen.

    The same folder may hold the challenges' private parts, which no code of a candidate may read.
    """
    found = {}
    for name in _SEEN_PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed = metadata.distribution(name)
            for file in installed.files or ():
                top, path = file.parts[0], Path(str(installed.locate_file(file.parts[0])))
                if (
                    top not in found
                    and not top.startswith((".", "__"))
                    and path.exists()
                    and _reachable(path)
                ):
                    found[top] = str(path)
    return tuple(sorted(found.items()))


def _reachable(path: Path) -> bool:
    """Return True if user 65534 may look into *path*, through every folder above it."""
    if os.geteuid() != 0:
        return os.access(path, os.R_OK | os.X_OK)
    path = path.resolve()
    needed = 0o005 if path.is_dir() else 0o004
    return path.stat().st_mode & needed == needed and all(
        folder.stat().st_mode & 0o005 == 0o005 for folder in path.parents
    )


def options_of(python: Python, code: int, files: int) -> bytes:
    """Return bubblewrap's options, as it reads them from a descriptor.

    Args:
        python: What runs somebody's code.
        code: The descriptor of the runner's source.
        files: Bytes that the folder for temporary files has.
    """
    seen = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives"]
    args = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    if _has_disable_userns():
        args += ["--unshare-user", "--disable-userns"]
    args += ["--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "check"]
    args += ["--size", str(files), "--tmpfs", "/tmp"]  # noqa: S108 - first: the Python may be in there
    for place in seen:
        if os.path.islink(place):
            args += ["--symlink", os.readlink(place), place]
        elif os.path.exists(place):
            args += ["--ro-bind", place, place]
    if not python.prefix.startswith("/usr"):
        args += ["--ro-bind", python.prefix, python.prefix]
    for folder in _package_folders(python.prefix):
        args += ["--tmpfs", folder]
    for name, path in python.packages:
        args += ["--ro-bind", path, f"/packages/{name}"]
    args += ["--proc", "/proc", "--dev", "/dev"]
    args += ["--chdir", "/tmp", "--setenv", "OPENBLAS_NUM_THREADS", "1", "--setenv", "PYTHONHASHSEED", "0"]  # noqa: S108
    args += ["--ro-bind-data", str(code), "/runner.py"]
    return b"".join(os.fsencode(argument) + b"\0" for argument in args)


def _package_folders(prefix: str) -> list[str]:
    """Return the folders of installed packages that would be seen inside."""
    found = {
        str(folder)
        for base in ("/usr", "/usr/local", prefix)
        for kind in ("site-packages", "dist-packages")
        for folder in Path(base).glob(f"lib*/python3*/{kind}")
        if folder.is_dir() and not folder.is_symlink()
    }
    return sorted(found)


@functools.cache
def _has_disable_userns() -> bool:
    """Return True if this bubblewrap (0.8 and newer) can forbid namespaces inside the sandbox."""
    program = shutil.which("bwrap")
    if program is None:
        return False
    told = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    return "--disable-userns" in told.stdout + told.stderr
