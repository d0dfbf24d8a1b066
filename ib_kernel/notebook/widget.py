"""`BudgetWidget`: the live gauge, on the ipywidgets stack.

One background thread per widget reads the hot ledger: at once when this kernel's plugins hear of a call or a
change, and every `POLL_S` seconds for what other kernels do. It ends when the widget is closed. A saved or
exported notebook shows the static gauge of the moment the widget was displayed.
"""

from __future__ import annotations

import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError, NoSession
from ib_kernel.notebook.gauge import BudgetView, gauge_html, gauge_text, look, title, warnings

try:
    import anywidget
    import traitlets as t
except ImportError as missing:
    raise ConfigError(
        f"BudgetWidget needs {missing.name}, which is not installed; install it with: "
        "pip install anywidget ipywidgets, or use %budget"
    ) from None

from ib_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from ib_kernel.interview import Interview
    from ib_kernel.protocols import Session
    from ib_kernel.token_service import TokenService

POLL_S = 1.0
"""Seconds between two looks at the ledger when nothing was heard of; another kernel shows within two."""

DRIFT_S = 2.0
"""The front end counts the time down itself and is corrected when it would be off by more than this."""


@cache
def _front_end() -> str:
    from importlib import resources

    return resources.files("ib_kernel.notebook").joinpath("widget.js").read_text(encoding="utf-8")


class _Ears:
    """An observer plugin that wakes the widget when something happens to its session."""

    def __init__(self, session_id: str, wake: Any) -> None:
        self._session_id, self._wake = session_id, wake

    def _heard(self, session_id: str) -> None:
        if session_id == self._session_id:
            self._wake()

    @hookimpl
    def ib_before_call(self, event: Any) -> None:
        self._heard(event.session_id)

    @hookimpl
    def ib_after_call(self, event: Any) -> None:
        self._heard(event.session_id)

    @hookimpl
    def ib_call_failed(self, event: Any) -> None:
        self._heard(event.session_id)

    @hookimpl
    def ib_session_changed(self, event: Any) -> None:
        self._heard(event.session.session_id)


class BudgetWidget(anywidget.AnyWidget):
    """The live budget of one session; composes with ``HBox``, ``link`` and ``observe``.

    *session* is a `Session`, a session's id, or None for the one in use in this notebook. The ledger is that
    of *service* or *interview*, by default the notebook's own. ``live=False`` updates on `refresh` only.
    `budget`, `used`, `input_tokens`, `output_tokens`, `held`, `in_doubt` and `left` are tokens, `turns_left`
    is None before the first turn, `time_left_s` None without a time limit. `notes` are lines that need
    attention. Raises `NoSession` or `UnknownSession`; importing this raises `ConfigError` when a package is
    missing.
    """

    session_id = t.Unicode().tag(sync=True)
    title = t.Unicode().tag(sync=True)
    status = t.Unicode().tag(sync=True)
    level = t.Unicode("normal").tag(sync=True)
    budget = t.Int().tag(sync=True)
    used = t.Int().tag(sync=True)
    input_tokens = t.Int().tag(sync=True)
    output_tokens = t.Int().tag(sync=True)
    held = t.Int().tag(sync=True)
    in_doubt = t.Int().tag(sync=True)
    left = t.Int().tag(sync=True)
    turns = t.Int().tag(sync=True)
    turns_left = t.Int(None, allow_none=True).tag(sync=True)
    cost = t.Unicode().tag(sync=True)
    time_left_s = t.Float(None, allow_none=True).tag(sync=True)
    notes = t.List(t.Unicode()).tag(sync=True)
    revision = t.Int(0).tag(sync=True)

    def __init__(
        self,
        session: Session | str | None = None,
        *,
        service: TokenService | None = None,
        interview: Interview | None = None,
        live: bool = True,
        **kwargs: Any,
    ) -> None:
        self._stop, self._awake = threading.Event(), threading.Event()  # closing needs them
        self._reading = threading.Lock()
        self._ears_name = ""
        self._service, found = _find(session, service, interview)
        self._view = look(self._service, found)
        self._seen_at = time.monotonic()
        super().__init__(_esm=_front_end(), session_id=found, **_traits(self._view), **kwargs)
        if live:
            self._ears_name = f"BudgetWidget {self.model_id or id(self)}"
            self._service.plugins.register(_Ears(found, self._awake.set), name=self._ears_name)
            threading.Thread(target=self._watch, name="ib-budget-widget", daemon=True).start()

    def refresh(self) -> None:
        """Read the ledger now and show what has changed, in one message at most."""
        with self._reading:
            view = look(self._service, self.session_id)
            new = _traits(view)
            changed = {name: value for name, value in new.items() if getattr(self, name) != value}
            if set(changed) == {"time_left_s"} and not self._drifted(view):
                return
            self._view = view
            if changed:
                self._seen_at = time.monotonic()
                with self.hold_sync():
                    for name, value in changed.items():
                        setattr(self, name, value)
                    self.revision += 1

    def close(self) -> None:
        """Stop watching and remove the widget from the front end. Idempotent."""
        self._stop.set()
        self._awake.set()
        if self._ears_name:
            self._service.plugins.unregister(self._ears_name)
            self._ears_name = ""
        super().close()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._awake.wait(POLL_S)
            self._awake.clear()
            if self._stop.is_set():
                return
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001 - the ledger was closed: say so once and stop
                if not self._stop.is_set():
                    self.notes = [*self.notes, f"no longer updated: {error}"]
                    self.revision += 1
                return

    def _drifted(self, view: BudgetView) -> bool:
        """Tell whether the front end's own countdown would now be wrong."""
        if view.session.time_left_s is None or self.time_left_s is None:
            return True
        passed = time.monotonic() - self._seen_at if view.session.status == "active" else 0.0
        return abs(self.time_left_s - passed - view.session.time_left_s) > DRIFT_S

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle: Any = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        static = {"text/html": gauge_html(self._view), "text/plain": gauge_text(self._view)}
        return {**data, **static}, metadata


def _traits(view: BudgetView) -> dict[str, Any]:
    totals, session = view.totals, view.session
    return {
        "title": title(view),
        "status": str(session.status),
        "level": view.level,
        "budget": totals.token_budget,
        "used": totals.used,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "held": totals.held,
        "in_doubt": totals.in_doubt,
        "left": totals.left,
        "turns": totals.turns,
        "turns_left": view.turns_left,
        "cost": view.cost,
        "time_left_s": session.time_left_s,
        "notes": warnings(view),
    }


def _find(
    session: Session | str | None, service: TokenService | None, interview: Interview | None
) -> tuple[TokenService, str]:
    """Return the service and the session's id that the arguments mean."""
    from ib_kernel.notebook.magics import current_engine
    from ib_kernel.token_service import get_token_service

    engine = current_engine()
    if interview is None and service is None and engine is not None:
        interview = engine.interview
    chosen = service or (interview.service if interview is not None else get_token_service())
    if session is None:
        if interview is None:
            raise NoSession("BudgetWidget needs a session: pass one, or its session_id.")
        session = interview.session
    return chosen, session if isinstance(session, str) else session.session_id
