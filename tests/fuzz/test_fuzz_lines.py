"""Magic lines: every line is parsed or refused in one line, completion never raises, cells are left whole."""

from __future__ import annotations

from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.notebook.commands import mistakes
from ib_kernel.notebook.commands.args import Command, parse
from ib_kernel.notebook.commands.complete import complete
from ib_kernel.notebook.commands.grammar import ASK, BUDGET, RESOLVE, SQL, START, SUBCOMMANDS, USAGE
from ib_kernel.notebook.commands.words import UsageError
from ib_kernel.notebook.engine import Engine

COMMANDS = [START, ASK, BUDGET, RESOLVE, USAGE, SQL, *SUBCOMMANDS.values()]
OPTIONS = sorted({name for command in COMMANDS for option in command.options for name in option.names})
WORDS = st.one_of(
    st.sampled_from(OPTIONS),
    st.sampled_from(["--", "-", "--help", "-h", "=", '"', "'", "\\", "-3", "1,000", "1_0", "@x", "–", "—x"]),
    st.sampled_from(
        ["$x", "{x}", "%(prog)s", "%s", "\x1b[2J", "\u202e", "\ud800", "\0", "４", "1e999", "nan"]
    ),
    st.text(max_size=8),
    st.builds(lambda name, value: f"{name}={value}", st.sampled_from(OPTIONS), st.text(max_size=5)),
)
LINES = st.lists(WORDS, max_size=10).map(" ".join)


@fuzzed
@given(st.sampled_from(COMMANDS), LINES)
def test_lines(command: Command, line: str) -> None:
    """Parsed, or one line about why not that steers no terminal."""
    said = "parsed"
    try:
        parse(command, line)
    except UsageError as error:
        said = str(error)
    assert said
    assert not set("\n\r\x1b\u202e\0") & set(said)


@fuzzed
@given(st.sampled_from(["%interview", "%%interview", "%budget", "%usage", "%config InterviewMagics."]), LINES)
def test_completion(magic: str, line: str) -> None:
    """Whole words that begin as what was typed."""
    words = complete(Engine(dict), f"{magic} {line}")
    assert all(isinstance(word, str) for word in words)


@fuzzed
@given(st.sampled_from(["%interview", "%%interview", "x = 1", ""]), LINES, st.lists(LINES, max_size=3))
def test_cells(first: str, line: str, below: list[str]) -> None:
    """A cell is left as it is, or becomes one line that refuses it; nothing raises while a cell is typed."""

    class Shell:
        class input_transformer_manager:
            @staticmethod
            def transform_cell(text: str) -> str:
                return text

    head = " ".join(f"{first} {line}".split("\n"))
    lines = [f"{text}\n" for text in [head, *below]]
    found = mistakes.transformer(Engine(dict), Shell)(lines)
    assert found == lines or len(found) <= 2
