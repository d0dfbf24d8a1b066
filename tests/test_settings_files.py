"""Small text files from outside: whatever stands at the path, the answer is text or one line, at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.errors import BuddyError, ConfigError
from ib_kernel.interview.challenges import load_challenge
from ib_kernel.settings import Settings
from ib_kernel.settings.files import MAX_BYTES, parse_toml, read_text

HOSTILE_TOML = {
    "deep arrays": "a = " + "[" * 5_000 + "]" * 5_000,
    "deep tables": "a = " + "{a=" * 5_000 + "1" + "}" * 5_000,
    "a key of many parts": ".".join("a" * 1 for _ in range(10_000)) + " = 1",
    "a quoted key of many parts": ".".join('"a"' for _ in range(10_000)) + " = 1",
    "a spaced key of many parts": " . ".join("a" for _ in range(10_000)) + " = 1",
    "a header of many parts": "[" + ".".join("a" for _ in range(10_000)) + "]",
    "a long number": "a = " + "9" * 100_000,
    "a long hexadecimal number": "a = 0x" + "f" * 100_000,
    "a long float": "a = 1." + "9" * 100_000,
    "an open array": "a = [" * 10_000,
    "an open string": 'a = "' * 10_001,
    "an open long string": 'a = """' + 'x"" ' * 30_000,
}


@pytest.mark.parametrize("text", HOSTILE_TOML.values(), ids=HOSTILE_TOML)
def test_toml_that_would_keep_the_parser_busy_is_one_line(text: str) -> None:
    """Nesting, keys and numbers that nobody means are refused before they are parsed."""
    with pytest.raises(ConfigError, match=r"^cannot read here: ") as caught:
        parse_toml(text, "here")
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_the_limits_are_far_from_what_people_write() -> None:
    """Arrays, strings, dates and dotted keys as people write them are read."""
    text = (
        'a.b."c.d".e = [[1.5, 2.5, 0.75], {x = 1979-05-27T07:32:00.999Z}]\n' + "f = [" + "0.5, " * 200 + "]"
    )
    assert parse_toml(text, "here")["a"]["b"]["c.d"]["e"][0] == [1.5, 2.5, 0.75]
    dots = (
        "# "
        + "." * 500
        + "\na = '"
        + "." * 500
        + "'\nb = '''\n"
        + "[" * 500
        + "'''\nc = \"\"\""
        + "{" * 99
        + '"""'
    )
    assert parse_toml(dots, "here")["a"] == "." * 500


@given(st.text(alphabet="ab.[]{}='\"\\#\n 1", max_size=200))
def test_any_toml_is_read_or_refused_in_one_line(text: str) -> None:
    """Looking over the text first changes nothing about what is TOML and what is not."""
    import tomllib

    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        expected = None
    if expected is not None and not any(text.count(mark) > 15 for mark in ".[{"):
        assert parse_toml(text, "here") == expected
        return
    found = line = None
    try:
        found = parse_toml(text, "here")
    except ConfigError as error:
        line = str(error)
    assert found == expected if line is None else "\n" not in line


@pytest.fixture(params=["settings", "challenge"])
def refusal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Return a function that names a path as config.toml or as a challenge, and returns the one line."""

    def read(path: str) -> str:
        with pytest.raises(BuddyError) as caught:
            if request.param == "settings":
                monkeypatch.setenv("IB_CONFIG", path)
                Settings()
            else:
                load_challenge(path)
        line = str(caught.value)
        assert "\n" not in line
        assert len(line) < 400
        return line

    return read


def test_the_null_device_is_no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """IB_CONFIG=/dev/null is how people say that no file is to be read."""
    monkeypatch.setenv("IB_CONFIG", os.devnull)
    assert Settings().origins["model"] == "default"


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="this system has no /dev/zero")
def test_a_device_is_no_file(tmp_path: Path, refusal) -> None:
    """A link to an endless device is refused without reading it."""
    link = tmp_path / "x.md"
    link.symlink_to("/dev/zero")
    assert "it is a device or pipe, not a file" in refusal(str(link))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path, refusal) -> None:
    """A pipe whose other end nobody opens is refused at once."""
    os.mkfifo(tmp_path / "x.md")
    assert "it is a device or pipe, not a file" in refusal(str(tmp_path / "x.md"))


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path, refusal) -> None:
    """A sparse file is refused by its size."""
    path = tmp_path / "x.md"
    with path.open("wb") as file:
        file.truncate(6 * 2**30)
    assert f"has 6,442,450,944 bytes; at most {MAX_BYTES:,} are read" in refusal(str(path))


def test_a_folder_is_no_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in the file's place is named as what it is."""
    monkeypatch.setenv("IB_CONFIG", str(tmp_path))
    with pytest.raises(ConfigError, match="it is a folder, not a file"):
        Settings()


def test_a_folder_without_a_task_is_no_challenge(tmp_path: Path) -> None:
    """A challenge may be a folder; of one that is none, the line says which file is missing."""
    (tmp_path / "x.md").mkdir()
    with pytest.raises(ConfigError, match=r"the challenge .*x\.md has no challenge\.md"):
        load_challenge(tmp_path / "x.md")


def test_text_in_another_encoding_is_one_line(tmp_path: Path, refusal) -> None:
    """Bytes that are not UTF-8 are refused."""
    (tmp_path / "x.md").write_bytes(b"caf\xe9")
    assert "it is not UTF-8 text" in refusal(str(tmp_path / "x.md"))


@pytest.mark.parametrize("path", ["~nosuchuser/x.md", "a\0b/x.md", "/" + "x" * 5_000 + ".md", "x/\udcff.md"])
def test_a_path_that_leads_nowhere_is_one_line(path: str) -> None:
    """An unknown user's home, a NUL, a name that is too long: no traceback."""
    with pytest.raises(ConfigError, match="cannot read the challenge") as caught:
        load_challenge(path)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_marks_and_line_ends_of_other_systems_are_taken_away(tmp_path: Path) -> None:
    """A byte order mark, even two, and CR or CRLF line ends are not part of the text."""
    (tmp_path / "x.md").write_bytes("\ufeff\ufeffa\r\nb\rc\n".encode())
    assert read_text(tmp_path / "x.md") == "a\nb\nc\n"


def test_the_limit_counts_what_is_read(tmp_path: Path) -> None:
    """A file of exactly the limit is read; one byte more is not."""
    path = tmp_path / "x.md"
    path.write_bytes(b"x" * 10)
    assert read_text(path, limit=10) == "x" * 10
    path.write_bytes(b"x" * 11)
    with pytest.raises(ConfigError, match="has 11 bytes; at most 10 are read"):
        read_text(path, limit=10)
    if os.path.exists("/proc/self/status"):  # its size is told as 0
        with pytest.raises(ConfigError, match="has more than 10 bytes"):
            read_text("/proc/self/status", limit=10)
