"""Interview Buddy: AI-assisted technical interviews in Jupyter under a strict token budget.

In a notebook: ``%load_ext ib_kernel``, then ``%interview help``. In Python: `Interview`, `TokenService`,
`Settings` and the counting functions below. Names are resolved when first used, so that importing the
package costs next to nothing.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ib_kernel.analysis import connect_usage
    from ib_kernel.client import get_openai_client
    from ib_kernel.counting_api import (
        check_token_limit,
        count_message_tokens,
        count_tokens,
        estimate_completion_tokens,
    )
    from ib_kernel.hookspecs import hookimpl
    from ib_kernel.interview import Interview
    from ib_kernel.models import get_model_limit
    from ib_kernel.notebook.board import SessionsWidget
    from ib_kernel.notebook.magics import current_interview
    from ib_kernel.notebook.widget import BudgetWidget
    from ib_kernel.plugins import Plugins
    from ib_kernel.settings import Settings
    from ib_kernel.token_service import TokenService, TokenUsage, get_token_service

_WHERE = {
    "BudgetWidget": "notebook.widget",
    "Interview": "interview",
    "Plugins": "plugins",
    "SessionsWidget": "notebook.board",
    "Settings": "settings",
    "TokenService": "token_service",
    "TokenUsage": "token_service",
    "check_token_limit": "counting_api",
    "connect_usage": "analysis",
    "current_interview": "notebook.magics",
    "count_message_tokens": "counting_api",
    "count_tokens": "counting_api",
    "estimate_completion_tokens": "counting_api",
    "get_model_limit": "models",
    "get_openai_client": "client",
    "get_token_service": "token_service",
    "hookimpl": "hookspecs",
}

__all__ = [
    "BudgetWidget",
    "Interview",
    "Plugins",
    "SessionsWidget",
    "Settings",
    "TokenService",
    "TokenUsage",
    "check_token_limit",
    "connect_usage",
    "count_message_tokens",
    "count_tokens",
    "current_interview",
    "estimate_completion_tokens",
    "get_model_limit",
    "get_openai_client",
    "get_token_service",
    "hookimpl",
    "load_ipython_extension",
    "unload_ipython_extension",
]

__version__ = "0.1.0"

# A library leaves logging to its user: without this, warnings would print into cells by themselves.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """Register the magics (``%load_ext ib_kernel``). Prints nothing."""
    from ib_kernel.notebook.magics import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Remove the magics and close what they opened (``%unload_ext ib_kernel``)."""
    from ib_kernel.notebook.magics import unload

    unload(shell)
