"""A quote counts if it stands in the record: in that place, by the candidate, in a row."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_kernel.assessment.flags import flags
from ib_kernel.assessment.passages import passages_of
from ib_kernel.assessment.quotes import Dropped, Kept, Record
from ib_kernel.values import Cell, Message, Quote

SAID = (
    "I'd keep one bucket per user — the check and the update are one step, so that 1.5 million "
    "requests can't race; it's unable to scale without a non-blocking \"store\"."
)


def record(*said: tuple[str, str], cells: tuple[str, ...] = (), candidate: str = "") -> Record:
    """A record of what was said, a turn for each question and reply."""
    turn, messages = 0, []
    for at, (role, text) in enumerate(said, 1):
        turn += role == "user"
        messages.append(Message(turn, role, text, created_at=float(at), asked_at=float(at)))
    ran = [
        Cell("s", source, started_at=100.0 + n, ended_at=100.0 + n, n=n) for n, source in enumerate(cells, 1)
    ]
    passages = passages_of(messages, ran, candidate)
    return Record(passages, flags(passages))


def look_up(words: str, text: str = SAID) -> Any:
    return record(("user", text)).look_up(Quote("turn 1", "candidate", words))


@pytest.mark.parametrize(
    "words",
    [
        "I'd keep one bucket per user",
        "I’D KEEP ONE BUCKET PER USER — THE CHECK",
        "one   bucket\nper\u00a0user - the check",
        "“keep one bucket per user …”",
        "so that 1.5 million requests can’t race",
        "without a non\u2011blocking 'store'",
        "the check and the update are one step, so that",
    ],
)
def test_what_was_said_is_found_in_any_form(words: str) -> None:
    """Case, marks, dashes, spaces and what stands around it make no difference."""
    assert isinstance(look_up(words), Kept)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("one bucket", "shorter than three words"),
        ("— … !", "shorter than three words"),
        ("the update and the check are one step", "not in the record"),
        ("keep one bucket per use", "not in the record"),
        ("able to scale without", "not in the record"),
        ("5 million requests can't race", "not in the record"),
        ("I'd keep one bucket … the update are one step", "joined from several places"),
        ("I'd keep one bucket per user and the check", "not in the record"),
        ('blocking "store"', "shorter than three words"),
        ("word " * 600, "too long"),
    ],
)
def test_what_was_not_said_is_dropped_with_its_reason(words: str, reason: str) -> None:
    """Other words, another order, parts put together, parts of words."""
    assert look_up(words).reason == reason


def test_a_quote_does_not_begin_or_end_within_a_hyphenated_word() -> None:
    """Who finds non-blocking calls fine has not said that blocking calls are."""
    found = look_up("blocking calls are fine", text="I think non-blocking calls are fine here.")
    assert found.reason == "cut inside a word"
    assert isinstance(look_up("calls are fine here", text="I mean — calls are fine here."), Kept)


def test_only_the_candidate_is_evidence() -> None:
    """The AI's words are not the candidate's, whoever the judge says has said them."""
    spoken = record(("user", "How would one do that?"), ("assistant", "Use one atomic script in Redis."))
    words = "one atomic script in Redis"
    assert spoken.look_up(Quote("turn 1", "candidate", words)).reason == "said by somebody else"
    assert spoken.look_up(Quote("turn 1", "ai", words)).reason == "not the candidate's words"


def test_the_place_is_part_of_the_quote() -> None:
    """Words of another turn are not what was answered here."""
    spoken = record(
        ("user", "First I ask about bursts."), ("assistant", "Good."), ("user", "Then I write code.")
    )
    assert (
        spoken.look_up(Quote("turn 2", "candidate", "I ask about bursts")).reason == "said in another place"
    )
    assert spoken.look_up(Quote("turn 9", "candidate", "never said at all")).reason == "no such place"
    assert isinstance(spoken.look_up(Quote(" Turn  1", "Candidate", "I ask about bursts")), Kept)


def test_words_that_the_ai_had_said_before_say_so() -> None:
    """Who repeats the reply has said it, and people are told where it comes from."""
    spoken = record(
        ("user", "What now?"),
        ("assistant", "Use a token bucket in Redis."),
        ("user", "I use a token bucket in Redis."),
    )
    kept = spoken.look_up(Quote("turn 2", "candidate", "a token bucket in Redis"))
    assert kept == Kept("turn 2", "a token bucket in Redis", after="turn 1")


def test_cells_are_quoted_by_their_number() -> None:
    """What was run is what the candidate did."""
    ran = record(cells=("bucket.tokens = min(burst, bucket.tokens + rate)",))
    kept = ran.look_up(Quote("cell 1", "candidate", "min(burst, bucket.tokens + rate)"))
    assert isinstance(kept, Kept)


def test_a_name_is_hidden_from_the_judge_and_whole_in_the_quote() -> None:
    """The judge reads no name; the report has the words as they were said."""
    spoken = record(("user", "As **Noor** said, two buckets are enough for us."), candidate="Noor Tamm")
    kept = spoken.look_up(Quote("turn 1", "candidate", "As Candidate said, two buckets are enough"))
    assert kept == Kept("turn 1", "As Noor said, two buckets are enough")


def test_words_on_both_sides_of_what_was_left_out_are_not_in_a_row() -> None:
    """A judge sees the beginning and the end of a long text."""
    text = "The beginning of it all. " + "praise " * 5_000 + "And this is the end."
    passages = passages_of([Message(1, "user", text, created_at=1.0)], [])
    (shown,) = passages
    assert len(shown.passage.text) < 8_100
    assert shown.gap is not None
    words = shown.passage.text[shown.gap - 30 : shown.gap + 40].split(" ", 1)[1].rsplit(" ", 1)[0]
    found = Record(passages).look_up(Quote("turn 1", "candidate", words))
    assert isinstance(found, Dropped)
    assert found.reason == "joined from several places"


def test_scripts_without_spaces_are_looked_up_letter_by_letter() -> None:
    """Two letters count as a word there."""
    text = "我会先问限制是每个客户还是每个实例的。"
    assert isinstance(look_up("先问限制是每个客户", text=text), Kept)
    assert look_up("限制是", text=text).reason == "shorter than three words"
    assert look_up("先问限制是每个用户", text=text).reason == "not in the record"


WORDS = st.text(
    st.characters(categories=("L", "N", "M"), exclude_characters="ı"), min_size=1, max_size=8
).filter(lambda word: word[0].isalnum())
TEXTS = st.lists(
    WORDS,
    min_size=6,
    max_size=30,
    unique_by=lambda word: unicodedata.normalize("NFKC", word).upper().casefold(),
)
FORMS = ("NFC", "NFD", "NFKC", "NFKD")
SPACES = (" ", "\u00a0", "\u2003", "\n", "  ", "\t", "\u200b ")
DASHES = ("-", "\u2013", "\u2014", "\u2212", "\u2011")
MARKS = ("'", "\u2019", '"', "\u201c", "\u2018")
CASES = (str, str.upper, str.lower, str.casefold, str.swapcase)


@st.composite
def quotes(draw: st.DrawFn) -> tuple[str, str, str]:
    """Return a text, a quote of it in another form, and one that was not said."""
    words = draw(TEXTS)
    for at in range(2, len(words), 5):
        words[at] = f"'{words[at]}'"
    dash = draw(st.integers(1, len(words) - 1))
    first = draw(st.integers(0, len(words) - 4))
    last = draw(st.integers(first + 4, len(words)))
    text = " ".join([*words[:dash], "-", *words[dash:]])
    chosen = words[first:last]
    said = draw(st.sampled_from(SPACES)).join(
        [*words[first : max(first, dash)], draw(st.sampled_from(DASHES)), *words[max(first, dash) : last]]
        if first < dash < last
        else chosen
    )
    said = draw(st.sampled_from(CASES))(said.replace("'", draw(st.sampled_from(MARKS))))
    said = unicodedata.normalize(draw(st.sampled_from(FORMS)), said)
    at = draw(st.integers(0, len(chosen) - 1))
    false = list(chosen)
    how = draw(st.sampled_from(("longer", "other", "left out", "turned round")))
    if how == "longer":
        false[at] = f"{false[at].rstrip(chr(39))}x"
    elif how == "left out" and 0 < at < len(chosen) - 1:
        del false[at]
    elif how == "turned round":
        false = false[::-1]
    else:
        false[at] = "entirelyotherword"
    return text, said, " ".join(false)


@settings(max_examples=200)
@given(quotes())
def test_true_quotes_are_kept_and_false_ones_dropped(made: tuple[str, str, str]) -> None:
    """Two hundred of each: case, marks, dashes, spaces and forms of letters never matter, words always do."""
    text, true, false = made
    spoken = record(("user", text))
    assert isinstance(spoken.look_up(Quote("turn 1", "candidate", true)), Kept), (text, true)
    assert isinstance(spoken.look_up(Quote("turn 1", "candidate", false)), Dropped), (text, false)


@settings(max_examples=100)
@given(st.text(max_size=400), st.text(max_size=60))
def test_any_text_is_looked_up(text: str, words: str) -> None:
    """Whatever somebody wrote, and whatever a judge says, ends in a quote or a reason."""
    spoken = record(("user", text), candidate=words[:10])
    assert isinstance(spoken.look_up(Quote("turn 1", "candidate", words)), Kept | Dropped)
    assert isinstance(spoken.look_up(Quote(words, text[:60], text)), Kept | Dropped)
