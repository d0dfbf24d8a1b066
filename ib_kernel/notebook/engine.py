"""What the magics of one shell share: plugins, settings, the ledger and the interview in use.

Settings are looked up again at every command, so that ``%config``, a key put into the environment and an
edited ``config.toml`` take effect at once. The ledger is reopened only when it is another one.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.evidence.work import Work
    from ib_kernel.interview.interview import Interview
    from ib_kernel.plugin.manager import Plugins
    from ib_kernel.remote.desk import Desk
    from ib_kernel.remote.interview import RemoteInterview
    from ib_kernel.remote.work import RemoteWork
    from ib_kernel.secrets import Secret
    from ib_kernel.settings import Settings
    from ib_kernel.values import Cell, RateLimits, Session

    CellWriter = Callable[[list[Cell], bool], None]
    """Writes cells; the second argument tells whether an earlier try may have written some of them."""

_LEDGER = ("data_dir", "store", "counter")
"""Settings whose change means another service; any other change keeps the ledger open."""


class Engine:
    """Builds the interview at first use and rebuilds it when settings have changed.

    *overrides* returns what ``%config`` has set, by the names of `Settings`.
    """

    def __init__(self, overrides: Callable[[], Mapping[str, Any]], plugins: Plugins | None = None) -> None:
        self._overrides = overrides
        self._plugins = plugins
        self._service: TokenService | None = None
        self._interview: Interview | None = None
        self.wanted_session: str | None = None
        self.key: Secret | None = None
        """The key that `%interview key` has read; it comes before any other."""
        self.remote: RemoteInterview | None = None
        """The interview at a host that was joined; while it is there, it is the one in use."""
        self.rejoins = False
        """Whether an interview at a host is gone back to at the next use (``%reload_ext``)."""
        self.desk: Desk | None = None
        self.last_start: tuple[Any, str] | None = None
        """The last line that started a session, and which; `started_with` are the settings of that moment."""
        self.started_with: Settings | None = None
        self._variables: dict[str, str | None] = {}
        self.cells_that_ran: Callable[[], Sequence[str]] = lambda: ()
        """Returns the sources of the shell's cells, as Python, oldest first; the first has number 1."""
        self.insert_cell: Callable[[str], bool] = lambda text: False
        """Puts a text into a new cell; returns False where the front end cannot."""
        self.records = True
        """Whether cells are recorded (`%interview record off`)."""
        self.last_error: BaseException | None = None
        """What the last cell that failed has raised, ours apart."""
        self.write_cells: Callable[[], None] = lambda: None
        """Waits until the cells that were run are written, before what writes them is closed."""
        self.on_enter: Callable[[bool], None] = lambda entered: None

    def settings(self) -> Settings:
        """Return the settings as they are now. `ConfigError` names a value that cannot be used."""
        from ib_kernel.settings import Settings

        return Settings().replace("%config", **self._overrides()).replace("%interview key", api_key=self.key)

    @property
    def plugins(self) -> Plugins:
        """The plugins, found when first needed; they stay the same across changes of settings."""
        if self._plugins is None:
            from ib_kernel.plugin.manager import Plugins

            self._plugins = Plugins()
        return self._plugins

    @property
    def interview(self) -> Interview:
        """The interview under the settings of now, with the session in use carried over."""
        settings = self.settings()
        if self.rejoins:
            self._rejoin(settings)
        if self.remote is not None:
            self.remote.show_as(settings)
            return cast("Interview", self.remote)
        if self._interview is None or self._interview.settings != settings:
            self._rebuild(settings)
        assert self._interview is not None  # noqa: S101 - for the type checker
        return self._interview

    @property
    def service(self) -> TokenService:
        """The token service of the interview in use."""
        return self.interview.service

    @property
    def in_use(self) -> Interview | None:
        """The interview that the last command used, without building or changing anything."""
        return cast("Interview", self.remote) if self.remote is not None else self._interview

    @property
    def session_id(self) -> str | None:
        """The id of the session in use, without building anything."""
        return self.remote.session_id if self.remote is not None else self._own_session_id

    @property
    def _own_session_id(self) -> str | None:
        return self._interview.session_id if self._interview else self.wanted_session

    @property
    def work(self) -> Work | RemoteWork:
        """Checks and hints of the interview in use."""
        interview = self.interview
        if self.remote is not None:
            from ib_kernel.remote.work import RemoteWork

            return RemoteWork(self.remote)
        from ib_kernel.evidence.work import Work

        return Work(interview.service.store, interview.whole_challenge)

    def note_recording(self) -> None:
        """Record that cells are recorded from now on, or are not, where a session is in use."""
        interview = self.in_use
        if interview is None or interview.session_id is None:
            return
        if self.remote is not None:
            self.remote.note_recording(self.records)
            return
        from ib_kernel.values import LedgerEvent

        detail = {"on": self.records}
        interview.service.record(LedgerEvent(interview.session_id, "recording", 0.0, detail=detail))

    def cell_writer(self) -> CellWriter:
        """Return what records cells of the session in use: in the ledger, or at the host.

        It takes the cells, and whether some of them may have been written by a try that failed; what it has
        written, or what is not to be recorded, it takes off the list.
        """
        remote, interview = self.remote, self._interview
        if remote is not None:
            return remote.send_cells

        def write(cells: list[Cell], again: bool) -> None:
            while interview is not None and cells:
                store: Any = interview.service.store
                if _was_active(store.session(cells[0].session_id), cells[0]):
                    store.add_cell(cells[0])
                del cells[0]

        return write

    def rate_limits(self) -> Mapping[str, RateLimits]:
        """Return what services have said about their limits, by model, without building anything."""
        return self._interview.rate_limits() if self._interview and self.remote is None else {}

    def enter(self, remote: RemoteInterview) -> None:
        """Make an interview at a host the one in use."""
        self.remote, self.rejoins = remote, False
        self.on_enter(True)

    def leave(self) -> None:
        """Go back to sessions of one's own, and take back what was set for tools."""
        if self.remote is not None:
            self.write_cells()
        remote, self.remote = self.remote, None
        if remote is not None:
            remote.close()
            self.on_enter(False)
        for name, before in self._variables.items():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before
        self._variables = {}

    def set_variables(self, values: Mapping[str, str]) -> None:
        """Set environment variables of this kernel until `leave`."""
        for name, value in values.items():
            self._variables.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    def close(self) -> None:
        """Close the interview, its loop and the ledger. Idempotent; the next use opens them again."""
        self.write_cells()
        self.wanted_session = self._own_session_id
        if self.remote is not None:
            self.leave()
            self.rejoins = True
        if self._interview is not None:
            self._interview.close()
        if self._service is not None:
            self._service.close()
        self._interview = self._service = None

    def _rejoin(self, settings: Settings) -> None:
        from ib_kernel.remote.joining import join

        self.rejoins = False
        self.enter(join("", settings, self.plugins).interview)

    def _rebuild(self, settings: Settings) -> None:
        from ib_kernel.budget.service import TokenService
        from ib_kernel.errors import UnknownSession
        from ib_kernel.interview.interview import Interview

        session_id = self._own_session_id
        if self._interview is not None:
            self._interview.close()
            self._interview = None
        service = self._service
        if service is not None and any(
            getattr(service.settings, name) != getattr(settings, name) for name in _LEDGER
        ):
            service.close()
            service = None
        if service is None:
            service = TokenService(settings, plugins=self.plugins)
        service.settings, self._service = settings, service
        self._interview = Interview(settings, service=service)
        self.wanted_session = None
        if session_id is not None:
            try:
                self._interview.use(session_id)
            except UnknownSession:  # another ledger: nothing is in use there yet
                self._interview = Interview(settings, service=service)


def _was_active(session: Session, cell: Cell) -> bool:
    """Return True if the session runs, or ran until after the cell's end."""
    from ib_kernel.values import Status

    return session.status is Status.ACTIVE or (
        session.started_at is not None and session.ended_at is not None and cell.ended_at <= session.ended_at
    )


ENGINES: weakref.WeakKeyDictionary[Any, Engine] = weakref.WeakKeyDictionary()
"""The engine of each shell that has loaded the extension."""


def current_engine() -> Engine | None:
    """Return the engine of the shell that runs this code, or None outside one."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return ENGINES.get(shell) if shell is not None else None
