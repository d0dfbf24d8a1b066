"""What of a client's pieces is the reply, however the pieces are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.secrets import known, learn
from ib_kernel.text import well_formed
from ib_kernel.turn.reply_text import THOUGHTS, ReplyText, lone_end

KEY = "odd key 0"
CUTS = st.lists(st.integers(1, 9), max_size=40)


def read(text: str, cuts: list[int], *, opened: bool = False, whole: bool = True) -> tuple[str, str]:
    """Return reasoning and reply of *text*, cut into pieces of the sizes in *cuts*."""
    reading, at = ReplyText(opened=opened), 0
    thoughts, shown = [], []
    for size in [*cuts, len(text) + 1]:
        if piece := text[at : at + size]:
            thought, part = reading.take(piece)
            thoughts.append(thought)
            shown.append(part)
        at += size
    thought, part = reading.end(whole=whole)
    return "".join([*thoughts, thought]), "".join([*shown, part])


@given(marks=st.sampled_from(THOUGHTS), cuts=CUTS, upper=st.booleans(), twice=st.booleans())
def test_thoughts_at_the_start_are_no_reply(
    marks: tuple[str, str], cuts: list[int], upper: bool, twice: bool
) -> None:
    """Every model's marks, in either case, once or twice, cut anywhere."""
    opening, closing = (mark.upper() if upper else mark for mark in marks)
    block = f" \n{opening}reject him{closing}\n\n"
    thought, shown = read(block * (1 + twice) + "Well, <think> is a tag.", cuts)
    assert shown == "Well, <think> is a tag."
    assert thought == "reject him" * (1 + twice)


@given(cuts=CUTS)
def test_an_open_thought_is_no_reply_either(cuts: list[int]) -> None:
    """A cap may cut a thought off."""
    assert read("<think>on and on</thi", cuts) == ("on and on</thi", "")


@given(text=st.text(max_size=60), cuts=CUTS)
def test_any_other_text_is_the_reply(text: str, cuts: list[int]) -> None:
    """Nothing is lost, added or moved, whatever the pieces."""
    if not any(text.lstrip().lower().startswith(opening) for opening, _ in THOUGHTS):
        assert read(text, cuts) == ("", well_formed(text))


@given(text=st.text(st.characters(categories=("Cs", "Ll", "So")), max_size=20), cuts=CUTS)
def test_halves_are_joined_and_lone_ones_replaced_once(text: str, cuts: list[int]) -> None:
    """However a text of surrogates is cut, the same well-formed text comes out."""
    assert read(text, cuts)[1] == well_formed(text)


@pytest.mark.parametrize(
    ("text", "shown"), [("\ud83d\ude00", "😀"), ("a\ud83db", "a�b"), ("\ude00", "�"), ("a\ud83d", "a�")]
)
def test_surrogates(text: str, shown: str) -> None:
    """A pair is one character, a lone half one U+FFFD."""
    assert read(text, [1] * len(text))[1] == shown


@given(before=st.text("oddk 0x", max_size=30), after=st.text("oddk 0x", max_size=30), cuts=CUTS)
def test_a_known_key_is_taken_out_wherever_it_is_cut(before: str, after: str, cuts: list[int]) -> None:
    """A key in play is in no reply, whatever its shape."""
    before_this = known.registry
    known.registry = known.Known()
    try:
        learn(KEY)
        shown = read(before + KEY + after, cuts)[1]
    finally:
        known.registry = before_this
    assert shown == (before + KEY + after).replace(KEY, "[redacted]")


@given(
    marks=st.sampled_from(THOUGHTS),
    size=st.integers(1, 9),
    answer=st.sampled_from(["Why?", "Well, <think> is a tag."]),
)
def test_a_thought_that_the_prompt_opened_is_no_reply(marks: tuple[str, str], size: int, answer: str) -> None:
    """Only its end comes: nothing before it is ever shown, however it is cut."""
    thought, shown = read(f"reject him{marks[1]}\n\n{answer}", [size] * 60, opened=True)
    assert (thought, shown) == ("reject him", answer)


@given(cuts=CUTS, whole=st.booleans())
def test_a_reply_without_the_mark_that_was_waited_for_is_shown_at_its_end(
    cuts: list[int], whole: bool
) -> None:
    """A model may answer without a thought; one that was cut off is taken for a thought."""
    seen = read("Why a bucket?", cuts, opened=True, whole=whole)
    assert seen == (("", "Why a bucket?") if whole else ("Why a bucket?", ""))


@given(cuts=CUTS)
def test_a_thought_that_opens_itself_is_told_apart_whatever_the_prompt_does(cuts: list[int]) -> None:
    """A template that opens the thought and a model that does it again."""
    assert read("<think>reject him</think>Why?", cuts, opened=True) == ("reject him", "Why?")


def test_what_a_service_tells_apart_itself_is_not_waited_for() -> None:
    """Once reasoning came on its own, text is shown as it comes."""
    reading = ReplyText(opened=True)
    reading.separated()
    assert reading.take("Why a bucket? ") == ("", "Why a bucket? ")


@pytest.mark.parametrize(
    ("text", "thought", "reply"),
    [
        ("reject him\n</think>\n\nWhy?", "reject him\n", "Why?"),
        ("reject him.</think>Why?", "reject him.", "Why?"),
        ("reject him\n</THINK>", "reject him\n", ""),
        ("reject him[/think]\nWhy?", "reject him", "Why?"),
    ],
)
def test_the_end_of_a_thought_that_never_began_is_found(text: str, thought: str, reply: str) -> None:
    """What stands before it was thought."""
    assert lone_end(text) == (thought, reply)


@pytest.mark.parametrize(
    "text",
    [
        "the tag </think> ends a thought",
        "write `</think>` here",
        'print("</think>")\n',
        "first <think>, then\n</think>\n",
        "```\n</think>\n```\nso",
        "a list[int] and a > b",
    ],
)
def test_a_reply_may_speak_about_such_marks(text: str) -> None:
    """Prose and code about them stay what they are."""
    assert lone_end(text) is None
