"""The whole plugin interface, on one page.

A plugin is a module (or object) registered under the entry-point group ``ib_kernel`` that implements any
of these hooks::

    from ib_kernel import hookimpl

    @hookimpl
    def ib_register(catalog):
        catalog.add_client("mine", lambda settings: MyClient(settings.base_url))

`ib_register` offers *named factories*; settings choose one by name. The other hooks are observers: each
gets one frozen event, none can change or veto anything, and one that raises is logged and skipped.
A hook name that is misspelt fails when the plugin is loaded.
"""

from __future__ import annotations

import pluggy

from ib_kernel.plugin.events import (
    AfterCall,
    BeforeCall,
    BudgetWarning,
    CallFailed,
    SessionChanged,
    SessionEnded,
)
from ib_kernel.plugin.registry import Catalog

PROJECT = "ib_kernel"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def ib_register(catalog: Catalog) -> None:
    """Offer counters, clients, stores, judges, settings, commands, challenges, personas and models.

    Import what is heavy inside a factory or a command, not here.
    """


@hookspec
def ib_before_call(event: BeforeCall) -> None:
    """Notify that an attempt is about to be sent."""


@hookspec
def ib_after_call(event: AfterCall) -> None:
    """Notify that an attempt was settled."""


@hookspec
def ib_call_failed(event: CallFailed) -> None:
    """Notify that an attempt failed."""


@hookspec
def ib_budget_warning(event: BudgetWarning) -> None:
    """Notify that usage has reached a warning level."""


@hookspec
def ib_session_changed(event: SessionChanged) -> None:
    """Notify that a session was opened, changed its state, its budget or its time limit."""


@hookspec
def ib_session_ended(event: SessionEnded) -> None:
    """Notify that a session was completed or cancelled."""
