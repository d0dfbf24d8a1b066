"""Which file system a folder is on: the ledger's locks and its write-ahead log need a local one.

On network file systems locks may be kept by each machine for itself or come late, and SQLite's write-ahead
log needs memory that all processes share: two kernels would spend the same tokens, or damage the files.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ib_kernel.errors import StoreError

NETWORK = frozenset(
    (
        *(
            "nfs",
            "nfs4",
            "cifs",
            "smb",
            "smb2",
            "smb3",
            "smbfs",
            "afpfs",
            "afs",
            "ceph",
            "glusterfs",
            "lustre",
        ),
        *("gpfs", "beegfs", "orangefs", "ncpfs", "coda", "davfs", "webdav", "sshfs", "macfuse", "osxfuse"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.davfs", "fuse.davfs2", "fuse.s3fs"),
        *("fuse.rclone", "fuse.gcsfuse", "fuse.goofys", "fuse.cifs", "fuse.nfs", "fuse.juicefs"),
    )
)
"""Types of file systems that are shared over a network, as Linux and macOS name them (2026-11). A virtual
machine's shared folders (9p, virtiofs) are not among them: whole sandboxes live on such."""


def refuse_network(folder: Path) -> None:
    """Raise `StoreError` with advice when *folder* is on a network file system. Unknown ones pass."""
    kind = kind_of(folder)
    if kind in NETWORK:
        raise StoreError(
            f"{folder} is on a network file system ({kind}), where the ledger's locks cannot be trusted; "
            "choose a local folder with IB_DATA_DIR, or set IB_ALLOW_NETWORK_FS=1 if only one kernel at a "
            "time uses it"
        )


def kind_of(folder: Path) -> str:
    """Return the type of *folder*'s file system, "" where it cannot be told.

    Windows and macOS: written from their documentation, not tested.
    """
    if sys.platform == "win32":
        return _windows(folder)
    try:
        if sys.platform == "darwin":
            return _longest(folder, _mac_mounts())
        return _longest(folder, linux_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8")))
    except (OSError, subprocess.SubprocessError):
        return ""


def _longest(folder: Path, mounts: list[tuple[str, str]]) -> str:
    """Return the type of the mount that *folder* is on; of several on one place, the last one covers it."""
    place, best, kind = folder.resolve(), -1, ""
    for where, found in mounts:
        if place.is_relative_to(where) and len(where) >= best:
            best, kind = len(where), found
    return kind


def linux_mounts(text: str) -> list[tuple[str, str]]:
    """Return mount points and types from the text of ``/proc/self/mountinfo`` (proc(5))."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 4 and after:
            where = fields[4].encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")
            mounts.append((where, after.split(" ")[0]))
    return mounts


def _mac_mounts() -> list[tuple[str, str]]:
    """Return the same from ``mount``, whose lines read "source on /place (type, options)"."""
    said = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5, check=True).stdout
    mounts = []
    for line in said.splitlines():
        head, _, options = line.rpartition(" (")
        where = head.partition(" on ")[2]
        if where:
            mounts.append((where, options.rstrip(")").split(",")[0]))
    return mounts


def _windows(folder: Path) -> str:
    """Return "smb" for a network drive or a UNC path: GetDriveTypeW gives 4 (DRIVE_REMOTE)."""
    import ctypes

    drive = folder.resolve().drive
    if drive.startswith("\\\\"):
        return "smb"
    windll = getattr(ctypes, "windll", None)
    return "smb" if windll is not None and windll.kernel32.GetDriveTypeW(f"{drive}\\") == 4 else ""
