"""The grammar of magic lines, whatever is typed: values come through whole, mistakes are one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.notebook.commands.args import Command, parse
from ib_kernel.notebook.commands.grammar import ASK, BUDGET, RESOLVE, SQL, START, SUBCOMMANDS, USAGE
from ib_kernel.notebook.commands.words import MAX_LINE, UsageError, parse_minutes, split

COMMANDS = [START, ASK, BUDGET, RESOLVE, USAGE, SQL, *SUBCOMMANDS.values()]

WORDS = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=12)
PLAIN = WORDS.filter(lambda word: not set("\"'") & set(word) and not word.startswith(("-", "–", "—")))


@given(role=st.lists(PLAIN, min_size=1, max_size=4), name=st.lists(PLAIN, min_size=1, max_size=4))
def test_words_after_an_option_are_its_value_and_words_before_it_the_role(role, name):
    """Nothing is lost and nothing changes places, whatever the words are."""
    parsed = parse(START, f"{' '.join(role)} --candidate {' '.join(name)} --budget 20_000")
    assert parsed.positional == " ".join(role)
    assert parsed.values == {"candidate": " ".join(name), "token_budget": 20_000}


@given(name=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters='"'), min_size=1))
def test_a_quoted_value_comes_through_as_it_was_typed(name):
    """Backslashes, spaces, hyphens and line ends inside quotes are kept (edges are trimmed)."""
    if not name.strip():
        return
    assert parse(START, f'--candidate="{name}"').values["candidate"] == name.strip()


ODD = ["--", "-", "-n", "--candidate", "--budget=", "--budget=5", "--help", "-3", "''", '"', "=", "--=", "@x"]


@given(st.sampled_from(COMMANDS), st.lists(st.one_of(WORDS, st.sampled_from(ODD)), max_size=8).map(" ".join))
def test_any_line_is_parsed_or_refused_in_one_line(command: Command, line: str):
    """No line whatever ends in another error than a UsageError of one line."""
    said = "parsed"
    try:
        parse(command, line)
    except UsageError as error:
        said = str(error)
    assert said
    assert "\n" not in said


def test_options_share_their_words_with_help_and_the_docs():
    """Each option of each command is in the text that --help shows."""
    for command in COMMANDS:
        shown = command.usage()
        assert command.name in shown
        for option in command.options:
            assert option.name in shown
            assert option.help.split()[0] in shown


def test_help_may_hold_any_character():
    """A plugin's help text is no format string."""
    from ib_kernel.notebook.commands.args import Option

    odd = Command(
        "%x 100%", "50 % (half)", (Option("--a", "a", str, "[A](B)", "90 % of %(prog)s"),), "C{D}[E]"
    )
    assert "90 % of %(prog)s" in odd.usage()
    assert "%x 100%" in odd.usage()


def test_a_huge_line_is_refused_before_it_is_read():
    """Text of any length belongs into the cell."""
    with pytest.raises(UsageError, match="at most"):
        split("x" * (MAX_LINE + 1))


@pytest.mark.parametrize(("typed", "minutes"), [("45", 45), ("0.5", 0.5), ("1,5", 1.5), ("1,000", 1000)])
def test_minutes_are_read_as_people_write_them(typed, minutes):
    """A comma is a decimal comma, or separates thousands."""
    assert parse_minutes(typed) == minutes


@pytest.mark.parametrize("typed", ["0", "-1", "inf", "nan", "1e400", "many", ""])
def test_minutes_that_are_none_are_refused(typed):
    """No minutes, endless ones and words are no time limit."""
    with pytest.raises((ValueError, OverflowError)):
        parse_minutes(typed)
