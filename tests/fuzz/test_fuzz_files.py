"""Files that somebody else wrote: challenges and config.toml are read, or refused in one line."""

from __future__ import annotations

import pytest
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.errors import ConfigError
from ib_kernel.interview.challenges import MAX_BYTES, load_challenge, parse_challenge
from ib_kernel.settings import Settings

MARKS = st.sampled_from(
    [
        "+++", "++++", " +++ ", "---", "<!-- interviewer -->", "<!--Interviewer-->", "<!-- interviewer", "# ",
        "## Notes for the interviewer", "\ufeff", "\r", "\r\n", "\u2028", "\x0c", "\x1b[2J", "\u202e", "\0",
        "```", "<b>",
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(
        [
            "1",
            "-1",
            "1e999",
            "nan",
            "0x",
            "1979-05-27T07:32:00Z",
            '"a"',
            '"\\ud800"',
            "'''",
            '"""',
            "true",
            "9" * 120,
        ]
    )
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
        | inner.map(lambda value: f"{{ a = {value} }}")
        | st.integers(1, 400).map(lambda n: "[" * n)
    ),
    max_leaves=6,
)
KEYS = st.one_of(
    st.sampled_from(
        ["name", "title", "roles", "level", "rubric", "version", "a.b", "[a]", "[[a]]", '"a"."b"']
    ),
    st.integers(1, 40).map(lambda n: ".".join("a" * n)),
    st.text(max_size=4),
)
FIELDS = st.builds(lambda key, value: f"{key} = {value}", KEYS, VALUES)
LINES = st.one_of(
    MARKS, FIELDS, st.text(max_size=20), st.builds(lambda a, b: a + b, MARKS, st.text(max_size=4))
)
FILES = st.lists(LINES, max_size=12).map("\n".join)
FRONTED = st.builds(
    lambda fields, body: "\n".join(["+++", *fields, "+++", body]), st.lists(FIELDS, max_size=5), FILES
)


def refused(error: ConfigError) -> None:
    """The line says something, is one, is short, and steers no terminal."""
    line = str(error)
    assert 0 < len(line) < 2_000
    assert not set("\n\r\x1b\u202e\0\u2028") & set(line), line


@fuzzed
@given(st.one_of(FILES, FRONTED))
def test_challenge_texts(text: str) -> None:
    """A challenge, or one line; what follows the marker is never the candidate's."""
    try:
        challenge = parse_challenge(text + "\n<!-- interviewer -->\nXYZZY", "mine", "mine.md")
    except ConfigError as error:
        refused(error)
    else:
        assert "XYZZY" not in challenge.text + repr(challenge) + repr(challenge.candidates_part())
        assert challenge.text


@fuzzed
@given(st.binary(max_size=300) | FRONTED.map(lambda text: text.encode("utf-16")))
def test_challenge_files(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Any bytes in a file."""
    path = tmp_path_factory.getbasetemp() / "any.md"
    path.write_bytes(data)
    try:
        assert len(load_challenge(path).text) <= MAX_BYTES
    except ConfigError as error:
        refused(error)


@fuzzed
@given(
    st.text(max_size=40).map(lambda text: f"{text}.md")
    | st.sampled_from(["/", "~", "~x/y.md", ".md", "\0.md"])
)
def test_challenge_names(name: str) -> None:
    """Any name of a file that is probably not there."""
    try:
        load_challenge(name)
    except ConfigError as error:
        refused(error)


SETTINGS = st.one_of(st.sampled_from(sorted(Settings.__dataclass_fields__)), KEYS)
CONFIGS = st.lists(
    st.one_of(
        st.builds(lambda key, value: f"{key} = {value}", SETTINGS, VALUES),
        st.sampled_from(
            ["[plugins.duckdb]", "[plugins.demo]", "[plugins]", "[models.x]", "[[plugins]]", "[prices]"]
        ),
        LINES,
    ),
    max_size=6,
).map("\n".join)


@fuzzed
@given(CONFIGS | st.binary(max_size=200))
def test_config_files(tmp_path_factory: pytest.TempPathFactory, config: str | bytes) -> None:
    """Settings, or one line."""
    path = tmp_path_factory.getbasetemp() / "config.toml"
    path.write_bytes(config if isinstance(config, bytes) else config.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IB_CONFIG", str(path))
        try:
            repr(Settings())
        except ConfigError as error:
            refused(error)


@fuzzed
@given(st.sampled_from(sorted(Settings.__dataclass_fields__)), st.text(max_size=30) | VALUES)
def test_environment(name: str, value: str) -> None:
    """Settings from a variable, or one line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(f"IB_{name.upper()}", value.replace("\0", "").encode("utf-8", "replace").decode())
        try:
            repr(Settings())
        except ConfigError as error:
            refused(error)
