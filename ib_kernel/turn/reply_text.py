"""What of a client's pieces is the reply: half characters joined, thoughts told apart, keys taken out."""

from __future__ import annotations

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


class ReplyText:
    """Takes a reply piece by piece and tells its text from what was only thought.

    Only blocks at the start are thoughts: a reply may speak about such marks later. Half a surrogate pair
    waits for its other half, a lone one becomes one U+FFFD; a key becomes ``[redacted]``, also when it comes
    in pieces.
    """

    def __init__(self) -> None:
        self._half = ""
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
        thought = ""
        if self._start is not None:
            thought, text = self._split(text)
        return thought, self._scrubber.take(text)

    def end(self) -> tuple[str, str]:
        """Return what was held back, now that nothing more comes."""
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
