"""Practice: feedback in the person's own words, without a key, and in nobody's comparison."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from notebook_shell import Notebook, notebook

from ib_kernel.assessment.practice import as_markdown, feedback, habits, is_practice, sentences
from ib_kernel.values import Message

STRONG = """I assume ten thousand requests per second, is that right?
I would use a token bucket instead of a fixed window, because a window lets bursts through.
If Redis crashes we fail open, and I would test that with a killed server.

```python
# I assume this is no sentence; tests crash instead of failing
x = 1
```"""


@pytest.fixture
def nb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook in which the demo answers."""
    monkeypatch.setenv("IB_DEMO_DELAY_S", "0")
    with notebook() as running:
        yield running


def said(*texts: str, role: str = "user") -> list[Message]:
    """Return what somebody has said, a turn each."""
    return [Message(turn, role, text) for turn, text in enumerate(texts, 1)]


def test_every_quote_is_the_persons_own_words() -> None:
    """As they stand in the transcript, outside code; nobody else's are quoted."""
    history = [*said(STRONG), *said("I assume that you crash instead of testing it.", role="assistant")]
    found = list(sentences(history))
    assert all(sentence in STRONG for _, sentence in found)
    assert not any("no sentence" in sentence or "you crash" in sentence for _, sentence in found)
    assert {turn for turn, _ in found} == {1}


def test_feedback_comes_at_the_end_and_quotes(nb: Notebook) -> None:
    """A strong answer shows habits, with turn and words; what was not found gets a next step."""
    started = nb.ok("%interview practice rate-limiter --minutes 30").text
    assert "Practice started" in started
    assert "nobody else is shown this session" in started
    nb.ok(f"%%interview\n{STRONG}")
    interview = nb.magics.engine.interview
    assert is_practice(interview.session)
    shown = nb.ok("%interview end --yes").text
    assert "Practice: " in shown
    assert "turn 1: `I assume ten thousand requests per second, is that right?`" in shown
    assert "turn 1: `If Redis crashes we fail open" in shown
    assert "1 turn" in shown
    found = feedback(interview.service, interview.session)
    assert all(one.quotes for one in found.said)
    assert len(found.said) == len(habits()) == 6


def test_somebody_who_says_nothing_gets_next_steps(nb: Notebook) -> None:
    """One for each habit, and no quote."""
    nb.ok("%interview practice rate-limiter")
    nb.ok("%%interview\nok then")
    shown = nb.ok("%interview end --yes").text
    assert shown.count("nothing was found. Next time:") == len(habits())
    assert "turn 1:" not in shown


def test_practice_is_in_no_comparison(nb: Notebook) -> None:
    """Neither in the command's nor in the view's."""
    nb.ok("%interview practice rate-limiter")
    nb.ok("%%interview\nI assume something.")
    nb.ok("%interview end --yes")
    compared = nb.ok("%interview compare rate-limiter").text
    assert "0 sessions" in compared
    assert "Left out: 1 session (practice" in compared


def test_a_mistake_is_one_line(nb: Notebook) -> None:
    """Without a challenge, or with one that is not there."""
    assert "needs a challenge" in nb.fails("%interview practice")
    assert "No challenge called" in nb.fails("%interview practice nothing-like-it")


def test_hostile_words_stay_words() -> None:
    """Markdown and backticks of the person's are quoted as text, in one line."""
    from ib_kernel.assessment.practice import Feedback, Said

    habit = habits()[0]
    text = as_markdown(Feedback((), (Said(habit, ((1, "`<script>` **bold**\u202e?"),)),)))
    line = next(line for line in text.splitlines() if line.startswith("> turn"))
    assert line == "> turn 1: `'<script>' **bold**\\u202e?`"
