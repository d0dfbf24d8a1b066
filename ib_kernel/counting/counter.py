"""A whole token counter but for its tokenizer: chooses the rules, keeps the caches, never raises."""

from __future__ import annotations

import functools
import logging
import math
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ib_kernel.counting.accumulator import TokenAccumulator, utf8_length
from ib_kernel.counting.chat import add_chat
from ib_kernel.counting.encoder import CachedCounts, Encoder, Encoders, Uncountable, is_failure
from ib_kernel.counting.evidence import Api
from ib_kernel.counting.fallback import rough_count
from ib_kernel.counting.profile import Profile, profile
from ib_kernel.counting.responses import add_responses
from ib_kernel.values import Count

log = logging.getLogger(__name__)


class RuleCounter:
    """Implements `ib_kernel.values.TokenCounter` over any encoder. Thread-safe, offline, never raises.

    *encoders* returns the encoder of an encoding name; it is called once per encoding, at first use.
    *aliases* maps deployment names (Azure) to models. *cache_chars* bounds the memory of the text cache, in
    characters per encoding.
    """

    name = "rules"

    def __init__(
        self, encoders: Encoders, aliases: Mapping[str, Any] | None = None, *, cache_chars: int = 2_000_000
    ) -> None:
        self._encoders = encoders
        self._aliases = {str(key): str(value) for key, value in (aliases or {}).items()}
        self._cache_chars = cache_chars
        self._caches: dict[str, CachedCounts] = {}
        self._lock = threading.Lock()

    def encoder(self, encoding: str) -> Encoder:
        """Return the encoder behind this counter for "o200k_base" or "cl100k_base"."""
        return self._cache(encoding).encoder

    def encode(self, text: str, model: str) -> list[int]:
        """Return the token ids of *text* in *model*'s encoding. Raises `Uncountable` for a rare text."""
        return self.encoder(self._profile(model).encoding).encode(text)

    def count_text(self, text: str, model: str) -> Count:
        """Count the tokens of *text* as *model* sees it, special-token text as ordinary text.

        Exact when a rule names the model's encoding; otherwise bounded by the text's UTF-8 bytes.
        """
        try:
            found = self._profile(model)
            tokens = self._cache(found.encoding).count(text)
            if found.known and not found.share:
                return _exact(tokens)
            upper = max(tokens, utf8_length(text))
            if found.share:
                upper = min(upper, math.ceil(tokens * (1 + found.share)) + 8)
            return Count(tokens, exact=False, upper=upper, reason=found.doubt("all"))
        except BaseException as error:
            if not is_failure(error):
                raise
            return rough_count(text, _reason(error))

    def count_request(self, request: Mapping[str, Any], model: str) -> Count:
        """Count the prompt tokens of a body with ``messages`` (Chat Completions) or ``input`` (Responses)."""
        try:
            found = self._profile(model)
            chat = "messages" in request
            api: Api = "chat" if chat else "responses"
            total = TokenAccumulator(found, self._cache(found.encoding).count, api)
            if chat:
                add_chat(request, total)
            else:
                add_responses(request, total)
            result = total.result()
            if not found.known and result.upper is not None:  # another tokenizer: only its bytes bound it
                upper = max(result.upper, rough_count(request).upper or 0)
                return replace(result, upper=upper, by_bytes=True)
            return result
        except BaseException as error:
            if not is_failure(error):
                raise
            return rough_count(request, _reason(error))

    def _profile(self, model: str) -> Profile:
        return profile(self._aliases.get(model, model))

    def _cache(self, encoding: str) -> CachedCounts:
        found = self._caches.get(encoding)
        if found is None:
            with self._lock:
                found = self._caches.get(encoding)
                if found is None:
                    found = CachedCounts(self._encoders(encoding), self._cache_chars)
                    self._caches[encoding] = found
        return found


@functools.lru_cache(maxsize=4096)
def _exact(tokens: int) -> Count:
    return Count(tokens)  # frozen, so equal counts can be one object: building it costs more than a look-up


def _reason(error: BaseException) -> str:
    if isinstance(error, Uncountable):
        return str(error)
    log.debug("counting fell back to the bytes bound", exc_info=error)
    return f"counting failed ({type(error).__name__}: {str(error)[:80]})"
