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
    from ib_kernel.budget.counting import (
        check_token_limit,
        count_message_tokens,
        count_tokens,
        estimate_completion_tokens,
    )
    from ib_kernel.budget.service import TokenService, TokenUsage, get_token_service
    from ib_kernel.interview.interview import Interview
    from ib_kernel.interview.openai_client import get_openai_client
    from ib_kernel.models.limits import get_model_limit
    from ib_kernel.notebook.analysis import connect_usage
    from ib_kernel.notebook.magics import current_interview
    from ib_kernel.notebook.widgets.board import SessionsWidget
    from ib_kernel.notebook.widgets.budget import BudgetWidget
    from ib_kernel.notebook.widgets.replay import ReplayWidget
    from ib_kernel.notebook.widgets.scorecard import ScorecardWidget
    from ib_kernel.plugin.hookspecs import hookimpl
    from ib_kernel.plugin.manager import Plugins
    from ib_kernel.settings import Settings

_WHERE = {
    "BudgetWidget": "notebook.widgets.budget",
    "Interview": "interview.interview",
    "Plugins": "plugin.manager",
    "ReplayWidget": "notebook.widgets.replay",
    "ScorecardWidget": "notebook.widgets.scorecard",
    "SessionsWidget": "notebook.widgets.board",
    "Settings": "settings",
    "TokenService": "budget.service",
    "TokenUsage": "budget.service",
    "check_token_limit": "budget.counting",
    "connect_usage": "notebook.analysis",
    "current_interview": "notebook.magics",
    "count_message_tokens": "budget.counting",
    "count_tokens": "budget.counting",
    "estimate_completion_tokens": "budget.counting",
    "get_model_limit": "models.limits",
    "get_openai_client": "interview.openai_client",
    "get_token_service": "budget.service",
    "hookimpl": "plugin.hookspecs",
}

__all__ = [
    "BudgetWidget",
    "Interview",
    "Plugins",
    "ReplayWidget",
    "ScorecardWidget",
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
