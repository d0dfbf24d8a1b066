"""Who sees what of an assessment: the one place that decides it.

A rater sees the levels of others, the model's included, for a criterion once they have given their own: so a
first level is always somebody's own. A coordinator who will not rate may `unfold` a session instead; that is
recorded, and whoever has done it gives no first level there any more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ib_kernel.values import LedgerEvent, Reader, Score

UNFOLDED = "unfolded"
"""The kind of event that says who looked at a session's levels without scoring."""


def latest_scores(scores: Iterable[Score]) -> list[Score]:
    """Return each rater's newest level for each criterion of each session.

    Args:
        scores: In the order they were given; nothing is taken away from the ledger.
    """
    found: dict[tuple[str, str, str, str], Score] = {}
    for score in scores:
        key = score.session_id, score.criterion, score.rater, score.rater_kind
        found.pop(key, None)  # the newest stands last
        found[key] = score
    return list(found.values())


def visible_scores(scores: Iterable[Score], rater: str, *, unfolded: Collection[str] = ()) -> list[Score]:
    """Return those of *scores* that *rater* may see, in the same order.

    Args:
        scores: Of any sessions, in the order they were given.
        rater: A person's name.
        unfolded: Sessions (ids) that this person has unfolded.
    """
    every = list(scores)
    opened = {
        (s.session_id, s.criterion)
        for s in every
        if s.rater_kind == "person" and s.rater == rater and s.level is not None
    }
    return [s for s in every if (s.session_id, s.criterion) in opened or s.session_id in unfolded]


def has_unfolded(events: Iterable[LedgerEvent], rater: str) -> bool:
    """Return True if *rater* has unfolded the session whose *events* these are."""
    return any(event.kind == UNFOLDED and event.who == rater for event in events)


def scores_for(store: Any, session_id: str, rater: str) -> list[Score]:
    """Return the scores of a session that *rater* may see; empty where the ledger keeps none.

    Args:
        store: The ledger.
        session_id: The session. `UnknownSession`.
        rater: A person's name.
    """
    read = getattr(store, "scores", None)
    if read is None:
        return []
    scores = read(session_id)
    opened = {session_id} if has_unfolded(store.events(session_id), rater) else set()
    return visible_scores(scores, rater, unfolded=opened)


def owner_reader(name: str, opened: Collection[str] = ()) -> Reader:
    """Return the reader of a ledger of one's own: all but what locked sessions keep to themselves.

    Args:
        name: Whose it is.
        opened: Sessions (ids) whose passphrase was given.
    """
    return Reader(name, coordinator=True, all_scores=True, hides_locked=True, opened=frozenset(opened))


_THAI = 0x0E00
_BETWEEN = r"[\s._-]{0,2}"


class NameHider:
    """Replaces a person's names, and parts of them, in texts.

    Upper and lower case, accents, width and invisible characters make no difference; only whole words are
    replaced, so that "Ada" leaves "adapter" alone. Other spellings of a name stay.

    Args:
        names: What names the person: name and candidate ID.
        label: What stands instead.
    """

    def __init__(self, names: Iterable[str], label: str = "the candidate") -> None:
        self.label = label
        wanted: set[str] = set()
        for name in names:
            parts = [part for part in re.split(r"[\W_]+", _folded(name)[0]) if part]
            wanted |= {re.escape(part) for part in parts if sum(c.isalpha() for c in part) >= 2}
            if sum(map(len, parts)) >= 2:
                wanted.add(_BETWEEN.join(map(re.escape, parts)))
        spaced = _any_of(part for part in wanted if not _is_unspaced(part))
        unspaced = _any_of(part for part in wanted if _is_unspaced(part))
        found = [rf"(?<![^\W_])(?:{spaced})(?![^\W_])"] if spaced else []
        self._pattern = re.compile("|".join(found + ([unspaced] if unspaced else []))) if wanted else None

    def hide(self, text: str) -> str:
        """Return *text* with the label in place of each name."""
        if self._pattern is None or not text:
            return text
        folded, places = _folded(text)
        found, end = [], 0
        for match in self._pattern.finditer(folded):
            first, last = places[match.start()], places[match.end() - 1]
            if first < end:  # one character of the text can fold to several
                continue
            found.append(text[end:first] + self.label)
            end = last + 1
            while end < len(text) and not _fold(text[end]):  # accents that belong to the last letter
                end += 1
        return "".join([*found, text[end:]])

    def hide_value(self, value: Any) -> Any:
        """Return *value* with the names replaced in every text of its mappings and lists."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, dict):
            return {key: self.hide_value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.hide_value(item) for item in value]
        return value


def _any_of(parts: Iterable[str]) -> str:
    return "|".join(sorted(parts, key=lambda part: (-len(part), part)))


def _is_unspaced(part: str) -> bool:
    """Return True for scripts that write words without spaces: Thai and what follows it in Unicode."""
    return any(ord(c) > _THAI and unicodedata.category(c) == "Lo" for c in part)


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """Return *text* as names are compared, and which character of *text* each of its characters is from."""
    if text.isascii():
        return text.lower(), range(len(text))
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        folded = _fold(character)
        letters.append(folded)
        places += [place] * len(folded)
    return "".join(letters), places


def _fold(character: str) -> str:
    if character.isascii():
        return character.lower()
    spread = unicodedata.normalize("NFKD", character).casefold()
    kept = (c for c in spread if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    return "".join(unicodedata.normalize("NFKD", "".join(kept)))
