"""What the live widgets share: a thread that follows the ledger, and one message per redraw.

The thread looks at once when this kernel's plugins hear of a call or a change, and every `POLL_S` seconds for
what other kernels do. It ends when the widget is closed or its ledger is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError

try:
    import anywidget
    import traitlets as t
except ImportError as missing:
    raise ConfigError(
        f"BudgetWidget needs {missing.name}, which is not installed; install it with: "
        "pip install anywidget ipywidgets, or use %budget"
    ) from None

from htpy import Node, div

from ib_kernel.notebook.observer import LedgerObserver
from ib_kernel.notebook.output.show import mime_bundle
from ib_kernel.notebook.widgets.controls import ActionResult, act

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.interview.interview import Interview
    from ib_kernel.remote.desk import Desk

POLL_S = 1.0
"""Seconds between two looks at the ledger when nothing was heard of; another kernel shows within two."""


class Watching(anywidget.AnyWidget):
    """A widget that follows the ledger: subclasses read it in `_read`, `_is_relevant` says whom they show.

    `revision` grows with every redraw. `said` is what became of the last click: ``ok``, ``text`` and the
    click's own number ``n``; empty before the first.
    """

    revision = t.Int(0).tag(sync=True)
    said = t.Dict().tag(sync=True)

    _service: TokenService
    _has_ledger = True
    _poll_s = POLL_S

    def __init__(self, **kwargs: Any) -> None:
        self._stop, self._awake = threading.Event(), threading.Event()
        self._reading = threading.RLock()
        self._observer_name = ""
        self._showing = 0  # the thread that is redrawing now
        super().__init__(**kwargs)
        self.on_msg(self._asked)

    def refresh(self) -> None:
        """Read the ledger now and show what has changed, in one message at most."""
        self._show({})

    def close(self) -> None:
        """Stop watching and remove the widget from the front end. Idempotent."""
        if "_stop" not in self.__dict__:  # refused before it began
            super().close()
            return
        self._stop.set()
        self._awake.set()
        if self._observer_name:
            self._service.plugins.unregister(self._observer_name)
            self._observer_name = ""
        super().close()

    def _read(self) -> dict[str, Any]:
        """Return the traits as the ledger has them now."""
        raise NotImplementedError

    def _is_relevant(self, session_id: str) -> bool:
        """Return True if the session is one that this widget shows."""
        raise NotImplementedError

    def _target(self, message: Mapping[str, Any]) -> str | None:
        """Return the session that a click acts on; None when it is to be ignored."""
        raise NotImplementedError

    def _worth_sending(self, changed: Mapping[str, Any]) -> bool:
        """Return True if these changes are worth a message."""
        return bool(changed)

    def _show(self, more: Mapping[str, Any]) -> None:
        with self._reading:
            before, self._showing = self._showing, threading.get_ident()
            try:
                new = {**self._read(), **more}
                changed = {name: value for name, value in new.items() if getattr(self, name) != value}
                if not self._worth_sending(changed):
                    return
                with self.hold_sync():
                    for name, value in changed.items():
                        setattr(self, name, value)
                    self.revision += 1
                self._shown()
            finally:
                self._showing = before

    def _shown(self) -> None:
        """Take note that a redraw was sent."""

    def _follow(self) -> None:
        """Start the thread."""
        if self._has_ledger:
            self._observer_name = f"{type(self).__name__} {self.model_id or id(self)}"
            observer = LedgerObserver(self._awake.set, self._is_relevant)
            self._service.plugins.register(observer, name=self._observer_name)
        threading.Thread(target=self._watch, name="ib-budget-widget", daemon=True).start()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._awake.wait(self._poll_s)
            self._awake.clear()
            if self._stop.is_set():
                return
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001 - the ledger was closed: say so once and stop
                if not self._stop.is_set():
                    self._lost(error)
                return

    def _act(self, target: str, message: Mapping[str, Any]) -> ActionResult:
        """Do what a click asks for."""
        return act(self._service, target, message)

    def _saved(self, bundle: Any, content: Node, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a view's *bundle* with what a notebook shows that is opened again, and when it was so."""
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        line = f"As of {time.strftime('%Y-%m-%d %H:%M')}, not live."
        static = mime_bundle(div[div[line], content], f"{line}\n{text}")
        return {**data, **static}, metadata

    def _lost(self, error: Exception) -> None:
        """Say that the ledger can no longer be followed."""
        raise NotImplementedError

    def _asked(self, _: Any, message: Any, buffers: Any) -> None:
        """Answer a click of the front end."""
        if not isinstance(message, dict) or "do" not in message:
            return
        target = self._target(message)
        if target is None:
            return
        said = self._act(target, message)
        try:
            self._show({"said": {"ok": said.ok, "text": said.text, "n": message.get("n", 0)}})
        except Exception as error:  # noqa: BLE001 - the ledger was closed: the click says so
            self._lost(error)


def find_service(service: TokenService | None, interview: Interview | None) -> tuple[Any, Any]:
    """Return the service to read and the interview behind it (None outside a notebook)."""
    from ib_kernel.budget.service import get_token_service
    from ib_kernel.notebook.engine import current_engine

    engine = current_engine()
    if interview is None and service is None and engine is not None:
        interview = engine.interview
    return service or (interview.service if interview is not None else get_token_service()), interview


def find_desk(host: str) -> Desk:
    """Return this person's place at a host ("": that of ``IB_HOST``). `ConfigError` without host or token."""
    from ib_kernel.notebook.engine import current_engine
    from ib_kernel.remote.desk import Desk
    from ib_kernel.settings import Settings

    engine = current_engine()
    return Desk.at(host, engine.settings() if engine else Settings())
