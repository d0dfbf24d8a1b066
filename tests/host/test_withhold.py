"""What an AI was told for itself is held back, whole or in pieces, and everything else passes unchanged."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.host.withhold import RUN, WITHHELD, PrivateText, Withholder, screened

NOTES = (
    "The candidate should notice that the counter is read and written in two steps, so that two requests "
    "pass at once. Ask for a lock or an atomic increment. ib-canary-7fe21c"
)
TASK = "Write a limiter that lets ten requests pass in a minute."
PRIVATE = PrivateText([NOTES], [TASK])

WORDS = st.sampled_from([*NOTES.split(), "limiter", "ten", "requests", "\n", "Redis.", "größer"])


def streamed(text: str, cuts: list[int]) -> tuple[str, list[str], bool]:
    """Return what is sent of *text* when it arrives cut at *cuts*: all of it, its pieces, and the verdict."""
    holder = Withholder(PRIVATE)
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    sent = [holder.take(text[a:b]) for a, b in itertools.pairwise(places)]
    sent.append(holder.flush())
    return "".join(sent), sent, holder.withheld


def test_a_reply_that_repeats_the_notes_is_cut_before_them() -> None:
    """Whoever reads the reply sees what came before, and that something was held back."""
    shown = screened(f"Let me think. My notes say: {NOTES}", PRIVATE)
    assert shown == f"Let me think. My notes say: \n\n{WITHHELD}"


def test_case_punctuation_and_forms_of_letters_hide_nothing() -> None:
    """A run of words is found however it is written."""
    shouted = "THE, COUNTER; is (read) AND *written* in two\n\nsteps"
    assert WITHHELD in screened(f"Well: {shouted}!", PRIVATE)
    assert WITHHELD in screened("ｔｈｅ counter is read and written in two steps", PRIVATE)


def test_a_planted_canary_is_enough() -> None:
    """One word that nobody says by chance ends the reply."""
    assert screened("It is IB-CANARY-7fe21c.", PRIVATE) == f"It is \n\n{WITHHELD}"


def test_fewer_words_in_a_row_pass() -> None:
    """Seven words may be chance, and what the task says is no secret."""
    seven = " ".join(NOTES.split()[: RUN - 1])
    for text in (seven, TASK, f"{TASK} {TASK}"):
        assert screened(text, PRIVATE) == text


@given(st.lists(WORDS, max_size=40), st.lists(st.integers(0, 10_000), max_size=30))
def test_the_pieces_never_matter(words: list[str], cuts: list[int]) -> None:
    """However a reply is cut into pieces, the same text is sent, and no run of the notes in any moment."""
    text = " ".join(words)
    whole, pieces, withheld = streamed(text, cuts)
    assert whole == screened(text, PRIVATE)
    assert withheld == (PRIVATE.find(text) is not None)
    if not withheld:
        assert whole == text
    so_far = ""
    for piece in pieces:
        so_far += piece
        assert PRIVATE.find(so_far) is None


def test_little_is_kept_back_while_nothing_is_private() -> None:
    """A stream stays one: of ordinary words at most a few wait."""
    holder = Withholder(PRIVATE)
    sent = sum(len(holder.take(f"ordinary sentence number {n} about caches, ")) for n in range(100))
    assert sent >= 100 * len("ordinary sentence number 1 about caches, ") - 40


@given(
    st.integers(0, 5_000),
    st.sampled_from([" ", ".", "\n", "—", "_"]),
    st.lists(st.integers(0, 10**6), max_size=9),
)
def test_no_length_of_what_stands_between_words_hides_them(size: int, mark: str, cuts: list[int]) -> None:
    """A reply that spreads eight words over pages is held back, in a stream as in one piece."""
    spread = (mark * size + " ").join(NOTES.split()[:RUN])
    assert streamed(f"Well: {spread} and so on", cuts)[2]
    seven = (mark * size + " ").join(NOTES.split()[: RUN - 1])
    assert streamed(f"Well: {seven} and so on", cuts)[0] == f"Well: {seven} and so on"


@given(st.lists(st.integers(0, 10**6), max_size=9))
def test_invisible_letters_and_marks_hide_nothing(cuts: list[int]) -> None:
    """Neither a joiner in each word nor an accent on each first letter, nor either in a canary."""
    for hidden in ("\u200b", "\u00ad", "\ufeff", "\u2060", "\u0301"):
        words = " ".join(word[0] + hidden + word[1:] for word in NOTES.split()[:RUN])
        assert streamed(f"So: {words} there", cuts)[2]
        assert streamed(f"It is ib-{hidden}canary-7f{hidden}e21c now", cuts)[2]


def test_a_canary_in_tests_or_a_solution_is_held_back_and_their_code_is_not() -> None:
    """No prompt has them: a model that writes the same code wrote it itself, a canary it cannot know."""
    code = "def solve(items):\n    return sorted(set(items), key=lambda item: (len(item), item))"
    private = PrivateText(["the notes"], [], [f"# ib-canary-s0lution\n{code}"])
    assert private.find(f"I would write\n{code}") is None
    assert private.find("it says ib-canary-s0lution there") is not None
