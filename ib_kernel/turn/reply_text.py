"""What of a client's pieces is the reply: half characters joined, thoughts told apart, keys taken out."""

from __future__ import annotations

import re

from ib_kernel.secrets import StreamScrubber
from ib_kernel.text import well_formed

THOUGHTS = (
    ("<think>", "</think>"),  # DeepSeek, Qwen, GLM, MiniMax, Nemotron
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # Gemini's compatible endpoint
    ("<reasoning>", "</reasoning>"),
    ("<reason>", "</reason>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<longcat_think>", "</longcat_think>"),  # LongCat
    ("[think]", "[/think]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker, Sky-T1
    ("<|start_thinking|>", "<|end_thinking|>"),  # Command A Reasoning
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("<unused94>", "<unused95>"),  # MedGemma
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),  # gpt-oss without a harmony parser
)
"""Marks around a model's reasoning at the start of its reply (model cards, read 2026-11); lower case."""

_LONGEST = max(len(opening) for opening, _ in THOUGHTS)
_CLOSINGS = {closing: opening for opening, closing in THOUGHTS}
_LONGEST_END = max(map(len, _CLOSINGS))
_CLOSING = re.compile("|".join(map(re.escape, _CLOSINGS)), re.IGNORECASE)

OPENED_IN_PROMPT = ("deepseek-r1", "qwq-", "thinking-2507")
"""Parts of the names of models whose chat template opens the thought itself, so that a reply has only its end
(templates of DeepSeek-R1 and its distillations, QwQ, Qwen3-…-Thinking-2507; model cards, read 2026-11)."""


class ReplyText:
    """Takes a reply piece by piece and tells its text from what was only thought.

    Only blocks at the start are thoughts: a reply may speak about such marks later. Half a surrogate pair
    waits for its other half, a lone one becomes one U+FFFD; a key becomes ``[redacted]``, also when it comes
    in pieces.

    Args:
        opened: Whether the prompt itself opens a thought: then nothing is reply before a closing mark.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._half = ""
        self._opened: list[str] | None = [] if opened else None
        self._tail = ""
        self.held = 0
        self._start: str | None = ""
        self._closing = ""
        self._after_thought = False
        self._scrubber = StreamScrubber()

    def take(self, piece: str) -> tuple[str, str]:
        """Take the next piece of what a client says.

        Args:
            piece: The piece, as it came.

        Returns:
            What it adds to the reasoning, and what it adds to the reply.
        """
        text = self._joined(piece)
        thought = before = ""
        if self._opened is not None:
            before, text = self._hold(text)
        if self._start is not None:
            thought, text = self._split(text)
        return before + thought, self._scrubber.take(text)

    def separated(self) -> None:
        """Note that the service tells reasoning apart itself, so that no mark is waited for."""
        if self._opened == []:
            self._opened = None

    def end(self, *, whole: bool = True) -> tuple[str, str]:
        """Return what was held back, now that nothing more comes.

        Args:
            whole: Whether the reply came to its own end: then what waited for a closing mark is the reply,
                else a thought that was cut off.

        Returns:
            What it adds to the reasoning, and what it adds to the reply.
        """
        if self._opened is not None:
            held, self._opened = "".join(self._opened), None
            if not whole:
                return held, self._scrubber.flush()
            thought, text = self.take(held)
            more, rest = self.end()
            return thought + more, text + rest
        half, self._half = ("�" if self._half else ""), ""
        thought, text = self._split(half) if self._start is not None else ("", half)
        if self._start is not None:
            rest, self._start = self._start, None
            thought, text = (thought + rest, text) if self._closing else (thought, text + rest)
        return thought, self._scrubber.take(text) + self._scrubber.flush()

    def _joined(self, piece: str) -> str:
        text = self._half + piece if self._half else piece
        self._half = ""
        if text.isascii():
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            self._half, text = text[-1], text[:-1]
        return well_formed(text)

    def _hold(self, text: str) -> tuple[str, str]:
        """Keep *text* back until a closing mark; return the thought before it and what comes after it."""
        assert self._opened is not None  # noqa: S101 - for the type checker
        self._opened.append(text)
        self.held += len(text)
        tail = self._tail + text
        self._tail = tail[-_LONGEST_END:]
        if not may_end_thought(tail):
            return "", ""
        everything = "".join(self._opened)
        self._opened = None
        begun = everything.lstrip().lower()
        if any(begun.startswith(opening) for opening, _ in THOUGHTS):  # it opens the thought itself after all
            return "", everything
        found = _CLOSING.search(everything)
        assert found is not None  # noqa: S101 - for the type checker
        self._after_thought = True
        return everything[: found.start()], everything[found.end() :]

    def _split(self, text: str) -> tuple[str, str]:
        """Return the thought and the text in what is known so far; keep what cannot be told yet."""
        known = (self._start or "") + text
        thoughts: list[str] = []
        while True:
            if self._closing:
                thought, known, closed = _until(known, self._closing)
                thoughts.append(thought)
                if not closed:
                    self._start = known
                    return "".join(thoughts), ""
                self._closing, self._after_thought = "", True
            begun = known.lstrip()
            first = begun[:_LONGEST].lower()
            found = next((pair for pair in THOUGHTS if first.startswith(pair[0])), None)
            if found:
                known, self._closing = begun[len(found[0]) :], found[1]
            elif not begun or any(opening.startswith(first) for opening, _ in THOUGHTS):
                self._start = known
                return "".join(thoughts), ""
            else:
                self._start = None
                return "".join(thoughts), begun if self._after_thought else known


def _until(text: str, mark: str) -> tuple[str, str, bool]:
    """Return *text* before *mark*, the rest, and whether the mark was there.

    Without the mark the rest is an end of *text* that may be its beginning.
    """
    lower = text.lower()
    lower = lower if len(lower) == len(text) else text
    at = lower.find(mark)
    if at >= 0:
        return text[:at], text[at + len(mark) :], True
    for size in range(min(len(mark) - 1, len(text)), 0, -1):
        if lower.endswith(mark[:size]):
            return text[:-size], text[-size:], False
    return text, "", False


def may_end_thought(text: str) -> bool:
    """Return True if a closing mark is in a text.

    Args:
        text: A piece of a reply; marks have no blanks, so that none is cut where words are not.
    """
    return (">" in text or "]" in text or "▷" in text) and _CLOSING.search(text) is not None


def lone_end(text: str) -> tuple[str, str] | None:
    """Return the thought and the reply of a text that has only a thought's end; None: it has none.

    Some servers put the opening mark into the prompt and send what follows as the reply. A mark that prose or
    code speaks about stands between quotes, backticks or blanks, or after its opening mark.

    Args:
        text: The reply so far, up to the end of a word.
    """
    found = _CLOSING.search(text)
    if found is None:
        return None
    before, after = text[: found.start()], text[found.end() :]
    opening = _CLOSINGS[found[0].lower()]
    if opening in before.lower() or before.count("```") % 2:
        return None
    first, last = before[-1:] or "\n", after[:1] or "\n"
    on_its_own = first == "\n" and last == "\n"
    glued = not (first.isspace() or first in _QUOTES) and (last == "\n" or last.isalnum())
    return (before, after.lstrip()) if on_its_own or glued else None


_QUOTES = "`'\"“”‘’«»(["
