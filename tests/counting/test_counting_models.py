"""Model names, encodings, families, and what images cost."""

from __future__ import annotations

import base64
import datetime
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ib_tiktoken
from ib_kernel.counting import images, profile
from ib_kernel.counting.profile import rules
from ib_kernel.settings import Settings

ENCODINGS = {
    "gpt-4": "cl100k_base",
    "gpt-4-0613": "cl100k_base",
    "gpt-4-32k": "cl100k_base",
    "gpt-4-turbo-2024-04-09": "cl100k_base",
    "gpt-3.5-turbo": "cl100k_base",
    "gpt-35-turbo-16k": "cl100k_base",
    "ft:gpt-3.5-turbo-0125:org::id": "cl100k_base",
    "gpt-4o": "o200k_base",
    "chatgpt-4o-latest": "o200k_base",
    "openai/gpt-4o-mini-2024-07-18": "o200k_base",
    "azure/deployments/gpt-4.1": "o200k_base",
    "ft:gpt-4.1-2025-04-14:org:name:id": "o200k_base",
    "ft:gpt-4.1-mini-2025-04-14:org::id": "o200k_base",
    "ft:o4-mini-2025-04-16:org::id": "o200k_base",
    "gpt-4.5-preview": "o200k_base",
    "gpt-5.4-mini": "o200k_base",
    "o1-mini": "o200k_base",
    "o4-mini-2025-04-16": "o200k_base",
    "codex-mini-latest": "o200k_base",
    "computer-use-preview": "o200k_base",
    "gpt-oss-120b": "o200k_base",
    "gpt-6": "o200k_base",
    "some-other-model": "o200k_base",
    "": "o200k_base",
}


@pytest.mark.parametrize(("model", "encoding"), ENCODINGS.items())
def test_model_names_map_to_their_encoding(model: str, encoding: str) -> None:
    """Fine-tuned, dated, prefixed, Azure-spelt and unknown names get the right encoding."""
    assert profile(model).encoding == encoding


@pytest.mark.parametrize(
    "model", ["gpt-6", "gpt-5.7-sol", "gpt-oss-20b", "llama-3", "", "GPT-4o", "ft:gpt-4.1-mini:o::x"]
)
def test_names_that_were_not_measured_are_never_exact(model: str) -> None:
    """An unknown, oddly spelt or fine-tuned model gets an estimate, a bound and a reason."""
    count = ib_tiktoken.count_request({"messages": [{"role": "user", "content": "Hello there"}]}, model)
    assert not count.exact
    assert count.reason
    assert count.upper is not None
    assert count.upper > count.tokens


def test_unknown_model_is_bounded_by_bytes() -> None:
    """Another vendor's byte-level tokenizer cannot need more tokens than the text has bytes."""
    text = "Grüße aus Köln " * 20
    assert ib_tiktoken.count_text(text, "llama-3").upper == len(text.encode())
    body = {"messages": [{"role": "user", "content": text}]}
    unknown, known = (ib_tiktoken.count_request(body, model) for model in ("llama-3", "gpt-4o"))
    assert (unknown.by_bytes, known.by_bytes) == (True, False)
    assert unknown.upper
    assert unknown.upper > len(text.encode()) > (known.upper or 0)


def test_guessed_encoding_is_never_exact() -> None:
    """A text for a model whose encoding is a guess is bounded by half as much again."""
    count = ib_tiktoken.count_text("Name three primary colours. " * 20, "gpt-6-sol")
    assert not count.exact
    assert count.upper is not None
    assert count.tokens < count.upper <= count.tokens * 1.5 + 9


def test_aliases_name_the_model_behind_a_deployment() -> None:
    """An Azure deployment name given in the settings counts as the model it stands for."""
    counter = ib_tiktoken.TiktokenCounter(Settings(model_aliases={"my-deployment": "gpt-5"}))
    body = {"messages": [{"role": "user", "content": "Name three primary colours."}]}
    count = counter.count_request(body, "my-deployment")
    assert (count.tokens, count.exact) == (11, True)
    assert not ib_tiktoken.count_request(body, "my-deployment").exact


def test_every_table_says_where_it_comes_from() -> None:
    """Each table of constants carries a source and a date."""
    tables = [
        rules()["encoding"],
        rules()["image"],
        rules()["margin"],
        rules()["measured"],
        rules()["request"],
        rules()["evidence"],
        rules()["schema"],
        *rules()["family"].values(),
    ]
    for table in [*tables, *rules()["variant"], *rules()["doubt"]]:
        assert table["source"]
        assert isinstance(table["date"], datetime.date)


def png(width: int, height: int) -> bytes:
    """Return a blank PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))


def jpeg(width: int, height: int) -> bytes:
    """Return the head of a JPEG whose frame header comes after a large EXIF block."""
    exif = b"\xff\xe1" + struct.pack(">H", 4000) + b"x" * 3998
    return (
        b"\xff\xd8" + exif + b"\xff\xc2\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03" + b"\0" * 9
    )


def webp(kind: bytes, width: int, height: int) -> bytes:
    """Return the head of a WebP file of *kind*."""
    head = b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0"
    if kind == b"VP8X":
        return head + b"\0" * 4 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    if kind == b"VP8L":
        return head + b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + b"\0" * 8
    return head + b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)


@given(st.integers(1, 16000), st.integers(1, 16000))
def test_image_sizes_are_read_from_headers(width: int, height: int) -> None:
    """PNG, GIF, JPEG and the three kinds of WebP tell their size in their first bytes."""
    gif = b"GIF89a" + struct.pack("<HH", width, height)
    files = [png(width, height), gif, jpeg(width, height)]
    files += [webp(kind, width, height) for kind in (b"VP8 ", b"VP8L", b"VP8X")]
    for data in files:
        url = "data:image/png;base64," + base64.b64encode(data).decode()
        assert images.data_url_size(url) == (width, height)


def test_a_jpegs_size_is_found_behind_padding_and_markers_without_length() -> None:
    """Bytes of 0xFF may stand before any marker; a restart has no length of its own."""
    frame = b"\xc0\x00\x11\x08" + struct.pack(">HH", 480, 640) + b"\x03" + b"\0" * 9
    for between in (b"", b"\xff", b"\xff\xff\xff", b"\x01\xff", b"\xd7\xff", b"\xd8\xff\xff"):
        assert images.image_size(b"\xff\xd8\xff" + between + frame) == (640, 480)
    for other in (b"\xc4", b"\xc8", b"\xcc", b"\xfe"):  # tables, which have a length and no size
        table = b"\xff" + other + struct.pack(">H", 4) + b"ab"
        assert images.image_size(b"\xff\xd8" + table + b"\xff" + frame) == (640, 480)


def test_a_jpegs_size_is_looked_for_in_its_first_mebibyte() -> None:
    """Large blocks of metadata stand before it; beyond that it costs as one of unknown size."""
    block = b"\xff\xe1" + struct.pack(">H", 65535) + b"x" * 65533
    for blocks, size in ((15, (640, 480)), (17, None)):
        file = b"\xff\xd8" + block * blocks + jpeg(640, 480)[2:]
        assert images.data_url_size("data:image/jpeg;base64," + base64.b64encode(file).decode()) == size


@given(st.binary(max_size=80))
def test_anything_else_is_an_image_of_unknown_size(data: bytes) -> None:
    """Broken image bytes never raise."""
    for head in (b"", b"\xff\xd8", b"RIFF\0\0\0\0WEBPVP8 ", b"\x89PNG\r\n\x1a\n"):
        size = images.image_size(head + data)
        assert size is None or min(size) > 0


TILES = [
    ("gpt-4o", 512, 512, 255),
    ("gpt-4o", 640, 480, 425),
    ("gpt-4o", 1024, 1024, 765),
    ("gpt-4o", 1800, 2400, 765),
    ("gpt-4o", 3008, 2000, 1105),
    ("gpt-4o-mini", 640, 480, 14167),
    ("gpt-5", 1024, 1024, 630),
    ("gpt-5-mini", 640, 480, 361),
    ("gpt-5-mini", 1024, 1024, 1232),
    ("gpt-5-mini", 1800, 2400, 1747),
    ("gpt-4.1-mini", 1024, 1024, 1664),
    ("gpt-4.1-mini", 1800, 2400, 2360),
    ("o4-mini", 640, 480, 517),
    ("o4-mini", 1800, 2400, 2502),
]


def picture(url: str, **fields: str) -> dict[str, object]:
    """Return a chat body with one text and one image."""
    part = {"type": "image_url", "image_url": {"url": url, **fields}}
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]}


@pytest.mark.parametrize(("model", "width", "height", "cost"), TILES)
def test_images_cost_tiles_or_patches(model: str, width: int, height: int, cost: int) -> None:
    """An image of known size adds what its model's table says, and is never called exact."""
    url = "data:image/png;base64," + base64.b64encode(png(width, height)).decode()
    count = ib_tiktoken.count_request(picture(url), model)
    words = ib_tiktoken.count_request(
        {"messages": [{"role": "user", "content": "What is it?"}]}, model
    ).tokens
    assert count.tokens - words == cost
    assert not count.exact
    assert count.upper is not None


def test_an_image_without_an_area_is_of_unknown_size() -> None:
    """Its sides are in its header, and one of them is nothing."""
    assert [images.image_size(png(*sides)) for sides in ((0, 9), (9, 0), (9, 1))] == [None, None, (9, 1)]


def test_an_image_on_a_model_of_unknown_image_cost_is_guessed() -> None:
    """By its patches, without a bound."""
    small = "data:image/png;base64," + base64.b64encode(png(64, 64)).decode()
    for url, cost in ((small, round(4 * 1.2)), ("https://example.com/a.png", 1536)):
        found, words = (
            ib_tiktoken.count_request(body, "gpt-3.5-turbo-0125")
            for body in (picture(url), {"messages": [{"role": "user", "content": "What is it?"}]})
        )
        assert (found.tokens - words.tokens, found.upper) == (cost, None)
        assert found.reason == "images on a model whose image cost is not known"


def test_images_of_unknown_size_are_bounded_by_the_dearest_one() -> None:
    """A remote image costs the most its model can charge; at low detail, the base."""
    words = ib_tiktoken.count_request(
        {"messages": [{"role": "user", "content": "What is it?"}]}, "gpt-4o"
    ).tokens
    remote = ib_tiktoken.count_request(picture("https://example.com/a.png"), "gpt-4o")
    assert (remote.tokens, remote.reason) == (words + 1445, "an image of unknown size")
    assert remote.upper is not None
    low = ib_tiktoken.count_request(picture("https://example.com/a.png", detail="low"), "gpt-4o")
    assert (low.tokens, low.reason) == (words + 85, "images")
    unknown = ib_tiktoken.count_request(picture("https://example.com/a.png"), "gpt-5.6-luna")
    assert unknown.upper is None
    part = {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"}
    item = {"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, part]}
    assert ib_tiktoken.count_request({"input": [item]}, "gpt-4o").tokens == words + 85
