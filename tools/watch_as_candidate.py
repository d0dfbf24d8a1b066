"""Opens every file that appears in FOLDER while others write there: `watch_as_candidate.py HOME FOLDER`.

What could be opened once can be read for ever. It ends when HOME/stop is there, keeps what it could read
under HOME/traffic and prints one JSON object a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def watch(home: Path, folder: str) -> None:
    """Open what appears, until the end is said."""
    held: dict[str, int] = {}
    (home / "watching").touch()
    while not (home / "stop").exists():
        for path in below(folder):
            if path not in held:
                with contextlib.suppress(OSError):
                    held[path] = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    for number, (path, handle) in enumerate(held.items()):
        content = os.pread(handle, 20_000_000, 0)
        (home / "traffic" / f"watched-{number:03}").write_bytes(content)
        print(json.dumps({"path": path, "bytes": len(content)}))


def below(folder: str) -> Iterator[str]:
    """Hand out the files under *folder*, as they are now."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from below(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry.path


if __name__ == "__main__":
    watch(Path(sys.argv[1]), sys.argv[2])
