"""What an image costs: its size from the header of a ``data:`` URL, then tiles or patches.

Sizes are in pixels. Only header bytes are decoded; nothing is fetched. Formulas measured on recorded
requests of known image size, 2024-02 to 2026-08.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

from ib_kernel.counting.accumulator import TokenAccumulator
from ib_kernel.counting.profile import rules

_MAX_HEADER = 1 << 20  # bytes searched for a JPEG's frame header: large EXIF blocks stand before it


def data_url_size(url: Any) -> tuple[int, int] | None:
    """Return (width, height) of the PNG, GIF, JPEG or WebP in a base64 ``data:`` URL, or None."""
    if not isinstance(url, str) or not url.startswith("data:"):
        return None
    head, _, payload = url.partition(",")
    if not head.endswith(";base64"):
        return None
    for length in (512, _MAX_HEADER):
        chunk = payload[: length * 4 // 3 & ~3]
        try:
            found = image_size(base64.b64decode(chunk + "=" * (-len(chunk) % 4)))
        except (binascii.Error, ValueError):
            return None
        if found:
            return found
    return None


def image_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) from the first bytes of an image file, or None."""
    width = height = 0
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR":
        width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    elif data[:6] in (b"GIF87a", b"GIF89a"):
        width, height = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        width, height = _webp(data)
    elif data[:2] == b"\xff\xd8":
        width, height = _jpeg(data)
    return (width, height) if width > 0 and height > 0 else None


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a" and len(data) >= 30:
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return 0, 0


def _jpeg(data: bytes) -> tuple[int, int]:
    position = 2
    while position + 9 <= len(data):
        if data[position] != 0xFF:
            return 0, 0
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a length
            position += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(data[position + 5 : position + 7], "big")
            return int.from_bytes(data[position + 7 : position + 9], "big"), height
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return 0, 0


def tile_cost(width: int, height: int, base: int, tile: int) -> int:
    """Return the tokens of an image on a tile model: scaled into 2048x2048, short side to 768, never up."""
    w, h = float(width), float(height)
    shrink = min(1.0, 2048 / max(w, h))
    w, h = w * shrink, h * shrink
    shrink = min(1.0, 768 / min(w, h))
    w, h = w * shrink, h * shrink
    return base + tile * max(1, math.ceil(w / 512 - 1e-9)) * max(1, math.ceil(h / 512 - 1e-9))


def patch_cost(width: int, height: int, factor: float, most: int) -> int:
    """Return the tokens of an image on a patch model: 32x32 patches, *most* at most, times *factor*."""
    patches = math.ceil(width / 32) * math.ceil(height / 32)
    if patches > most:
        shrink = math.sqrt(32 * 32 * most / (width * height))
        w, h = width * shrink / 32, height * shrink / 32
        shrink *= min(math.floor(w) / w, math.floor(h) / h) if min(w, h) >= 1 else 1.0
        w, h = width * shrink / 32, height * shrink / 32
        patches = min(most, math.ceil(w - 1e-9) * math.ceil(h - 1e-9))
    return round(patches * factor)


def add_image(part: Mapping[str, Any], total: TokenAccumulator) -> None:
    """Add an ``image_url`` or ``input_image`` part. Never exact; bounded where the model's table is known."""
    given = part.get("image_url")
    url = given.get("url") if isinstance(given, Mapping) else given
    detail = given.get("detail") if isinstance(given, Mapping) else part.get("detail")
    size = data_url_size(url)
    table, profile = rules()["image"], total.profile
    reason = "images" if size else "an image of unknown size"
    if profile.tile:
        base, tile = profile.tile
        most = base + tile * table["max_tiles"]
        cost = base if detail == "low" else tile_cost(*size, base, tile) if size else most
        # one recorded image of known size cost two tiles more than the formula
        slack = 0 if detail == "low" else min(most - cost, table["tile_slack"] * tile)
        total.doubt(reason if detail != "low" else "images", slack=slack)
    elif profile.patch:
        limit = table["max_patches"]
        cost = patch_cost(*size, profile.patch, limit) if size else round(limit * profile.patch)
        total.doubt(reason, slack=table["patch_slack"])
    else:
        cost = patch_cost(*size, 1.2, table["max_patches"]) if size else table["max_patches"]
        total.doubt("images on a model whose image cost is not known", bounded=False)
    total.tokens += cost
