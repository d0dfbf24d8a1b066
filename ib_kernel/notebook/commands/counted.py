"""How prompts for a model are counted, for `%interview models`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ib_kernel.models.limits import ModelInfo
    from ib_kernel.notebook.engine import Engine

_SAMPLE = {
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}


def how_counted(engine: Engine, model: ModelInfo) -> str:
    """Return how a plain prompt for *model* is counted: exact rules, a margin, learned, or bytes.

    What the session in use has taught about a model is part of the answer.
    """
    from ib_kernel.turn.learned_bound import LearnedBound, how_counted

    service = engine.service
    count = service.counter.count_request(_SAMPLE, model.counts_as or model.name)
    session = engine.interview.session_id
    learned = LearnedBound()
    if count.by_bytes and session is not None:
        learned = LearnedBound.read(service.store, session, model.name)
    return how_counted(count, learned.reports)
