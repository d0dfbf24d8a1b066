"""The magics: `%interview`, `%%interview`, `%budget`, `%usage`, `%%usage`, and how they are loaded.

Everything that is slow to import is imported by the first command that needs it, so that ``%load_ext``
takes milliseconds.
"""

from __future__ import annotations

import contextlib
import uuid
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand

from ib_kernel.errors import ConfigError, did_you_mean
from ib_kernel.notebook.cell import Cell
from ib_kernel.notebook.commands import complete, mistakes
from ib_kernel.notebook.commands.args import parse
from ib_kernel.notebook.commands.grammar import BUDGET, SQL, USAGE
from ib_kernel.notebook.commands.words import UsageError, parse_budget, parse_value
from ib_kernel.notebook.config import CONFIGURABLE, Refused, Setting
from ib_kernel.notebook.engine import ENGINES, Engine, current_engine
from ib_kernel.notebook.lab.status import StatusWire
from ib_kernel.notebook.recorder import Recorder

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview

_loaded: weakref.WeakKeyDictionary[Any, InterviewMagics] = weakref.WeakKeyDictionary()
_kept: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()


@magics_class
class InterviewMagics(Magics):
    """Interviews under a token budget. `%interview help` shows what to type."""

    shell: Any

    client = Setting("client")
    api = Setting("api")
    cancel = Setting("cancel")
    model = Setting("model")
    base_url = Setting("base_url")
    candidate = Setting("candidate")
    persona = Setting("persona")
    token_budget = Setting("token_budget")
    charge = Setting("charge")
    budget_usd = Setting("budget_usd")
    time_limit_s = Setting("time_limit_s")
    reply_tokens = Setting("reply_tokens")
    min_reply_tokens = Setting("min_reply_tokens")
    temperature = Setting("temperature")
    stream = Setting("stream")
    warn_at = Setting("warn_at")
    store_transcript = Setting("store_transcript")
    data_dir = Setting("data_dir")
    store = Setting("store")
    counter = Setting("counter")
    attempts = Setting("attempts")
    deadline_s = Setting("deadline_s")
    first_piece_s = Setting("first_piece_s")
    gap_s = Setting("gap_s")

    def __init__(self, shell: Any = None, **kwargs: Any) -> None:
        super().__init__(shell=shell, **kwargs)
        self.engine = Engine(self.overrides)
        self.engine.on_enter = self.listen
        self.engine.cells_that_ran = lambda: [
            *shell.user_ns.get("In", ()),
            *map(shell.transform_cell, self.recorder.unstored),
        ]
        self.engine.insert_cell = self._insert_cell
        self.cell = Cell(shell)
        self.recorder = Recorder(shell, self.engine)
        self.engine.write_cells = self.recorder.flush
        self.status = StatusWire(shell, self.engine)
        self.matcher: Any = None
        self.transformer: Any = None

    def _insert_cell(self, text: str) -> bool:
        from ib_kernel.notebook.handout import insert_cell

        return insert_cell(self.shell, text)

    def overrides(self) -> dict[str, Any]:
        """Return what ``%config`` has set, by the names of `Settings`."""
        return {name: getattr(self, name) for name in CONFIGURABLE if getattr(self, name) is not None}

    def update_config(self, config: Any) -> None:
        """Take a ``%config`` line; a value or name that cannot be used fails the cell and changes nothing."""
        for name, value in config.get("InterviewMagics", {}).items():
            try:
                self._check_name(name)
                getattr(type(self), name).validate(self, value)
            except ConfigError as error:
                self.shell.config.get("InterviewMagics", {}).pop(name, None)  # or the shell keeps it
                raise Refused(error) from None
        super().update_config(config)

    @staticmethod
    def _check_name(name: str) -> None:
        if name == "api_key":
            raise ConfigError(
                "the API key is not set in a cell, which is saved with it; put it into OPENAI_API_KEY"
            )
        if name not in CONFIGURABLE:
            hint = did_you_mean(name, CONFIGURABLE) or f"; known: {', '.join(CONFIGURABLE)}"
            raise ConfigError(f"InterviewMagics has no setting {name!r}{hint}")

    @no_var_expand
    @line_cell_magic
    def interview(self, line: str, cell: str | None = None) -> None:
        """Interview under a token budget.

        Start, then talk: a cell that begins with %%interview is sent, and the reply appears under it::

            %interview start "Backend engineer" --candidate Ada --challenge rate-limiter --budget 20000

            %%interview
            I'd start with a token bucket per user, kept in Redis.

            %%interview -n 400        at most 400 tokens of reply
            %%interview -m MODEL      another model, this once
            %%interview --vars        {{name}} becomes the value of the variable called name
            %%interview --dry-run     send nothing; show what it would take

        %interview SUBCOMMAND: start, status, transcript [FILE.md|.html|.ipynb|.json], pause,
        resume, extend --minutes N, begin, end, sessions, use ID, models, key, doctor, help. Each takes
        --help. An interrupt (■) ends a reply and keeps what has arrived.
        """
        if cell is None:
            from ib_kernel.notebook.commands.run import run

            run(self.engine, line)
        else:
            from ib_kernel.notebook.commands.ask import ask

            ask(self.engine, self.cell, self.shell, line, cell)

    def show_said(self, _: Any = None) -> None:
        """Show what the interviewer has said meanwhile (before and after every cell, while joined)."""
        from ib_kernel.notebook.commands.joined import show_said

        show_said(self.engine)

    def listen(self, on: bool) -> None:
        """Begin or stop to show what the interviewer says."""
        events = self.shell.events
        for name in ("pre_run_cell", "post_run_cell"):
            if on:
                events.register(name, self.show_said)
            else:
                with contextlib.suppress(ValueError):
                    events.unregister(name, self.show_said)

    @no_var_expand
    @line_magic
    def budget(self, line: str) -> None:
        """Show the budget of the session in use; ``%budget 30000`` sets the total first.

        ``%budget --usd 0.50`` sets a budget in US dollars beside it. ``%budget resolve ID`` decides what a
        call in doubt has cost (``--settle IN+OUT``, or ``--write-off``).

        ``%budget --live`` follows the session while it goes on (``--controls`` adds the interviewer's
        controls) and leaves a summary that a reopened notebook still shows.

        The gauge shows tokens used (in and out), held, in doubt and left, cost, turns left at this rate, and
        time left. A total below what is used and held is refused.
        """
        from ib_kernel.notebook.output.gauge import gauge_html, gauge_text
        from ib_kernel.notebook.output.show import publish
        from ib_kernel.show.figures import read_budget

        if line.split()[:1] == ["resolve"]:
            from ib_kernel.notebook.commands.resolve import resolve

            self._usage_of(resolve(self.engine, line.split("resolve", 1)[1]))
            return
        parsed = parse(BUDGET, line)
        if parsed.help:
            self._usage_of(BUDGET.usage())
            return
        interview = self.engine.interview
        session = interview.session
        if parsed.positional or "usd" in parsed.values:
            total = parse_value("the budget", parsed.positional, parse_budget) if parsed.positional else None
            from ib_kernel.notebook.commands.passphrase import passphrase_for

            key = passphrase_for(interview.service, session.session_id)
            if total is not None:
                interview.service.set_budget(session.session_id, total, passphrase=key)
            if "usd" in parsed.values:
                usd = parsed.values["usd"]
                interview.service.set_money_budget(session.session_id, usd, passphrase=key)
        if parsed.get("live") or parsed.get("controls"):
            from ib_kernel.notebook.widgets.budget import show_live

            show_live(interview, controls=bool(parsed.get("controls")))
            return
        view = read_budget(interview.service, session.session_id)
        if session.status in ("active", "created"):
            view = replace(view, next_turn=interview.estimate(""))
        publish(gauge_html(view), gauge_text(view), display_id=f"ib-budget-{uuid.uuid4().hex}")

    @no_var_expand
    @line_cell_magic
    def usage(self, line: str, cell: str | None = None) -> Any:
        """Show what was used, or answer SQL.

        ``%usage`` sums up the session in use, ``%usage all`` every session, ``%usage accuracy`` compares
        counted with actual prompt tokens. In a cell::

            %%usage
            SELECT model, sum(input_tokens), sum(output_tokens), sum(cost_usd) FROM calls GROUP BY model

        ``%%usage --host https://host.example`` asks a host; interviewers sign in with IB_HOST_TOKEN.
        The result shows as a table and has .df(), .arrow(), .fetchall() and .dicts(). Tables: sessions,
        calls, messages, events; views: session_usage, usage_by_model, usage_by_day, usage_by_hour, burn_down,
        forecast, forecast_error, latency, attempts, failures, candidates, count_accuracy,
        count_accuracy_by_construct.
        """
        from ib_kernel.notebook.commands import usage

        parsed = parse(USAGE if cell is None else SQL, line)
        if parsed.help:
            return self._usage_of((USAGE if cell is None else SQL).usage())
        if cell is not None:
            unlock = bool(parsed.get("unlock"))
            return usage.query(self.engine, cell, parsed.values.get("host"), unlock=unlock)
        answers = {
            "": usage.summary,
            "session": usage.summary,
            "all": usage.everything,
            "accuracy": usage.accuracy,
        }
        if parsed.positional not in answers:
            raise UsageError(f"%usage takes session, all or accuracy, not {parsed.positional!r}")
        from ib_kernel.notebook.commands.run import show

        show(answers[parsed.positional](self.engine))
        return None

    @staticmethod
    def _usage_of(text: str) -> None:
        from ib_kernel.notebook.commands.run import show
        from ib_kernel.notebook.output.show import show_lines

        show(show_lines(text))


def load(shell: Any) -> None:
    """Register the magics with *shell*. Loading again changes nothing."""
    if shell in _loaded:
        return
    magics = InterviewMagics(shell=shell)
    _loaded[shell] = magics
    ENGINES[shell] = magics.engine
    kept = _kept.pop(shell, None)
    if kept is not None:
        magics.engine.wanted_session = kept.pop("session_id")
        magics.engine.rejoins = kept.pop("rejoins")
        for name, value in kept.items():
            setattr(magics, name, value)
    shell.register_magics(magics)
    magics.matcher = complete.install(shell, magics.engine)
    magics.transformer = mistakes.transformer(magics.engine, shell)
    shell.input_transformers_cleanup.append(magics.transformer)
    magics.cell.listen()
    magics.recorder.listen()
    magics.status.open()


def unload(shell: Any) -> None:
    """Remove the magics from *shell* and close the interview, its loop and the ledger.

    The session in use and what ``%config`` has set are remembered for the next `load` (``%reload_ext``).
    """
    magics = _loaded.pop(shell, None)
    ENGINES.pop(shell, None)
    if magics is None:
        return
    manager = shell.magics_manager
    for kind, table in magics.magics.items():
        for name in table:
            manager.magics[kind].pop(name, None)
    manager.registry.pop("InterviewMagics", None)
    shell.configurables[:] = [c for c in shell.configurables if c is not magics]
    complete.remove(shell, magics.matcher)
    shell.input_transformers_cleanup[:] = [
        t for t in shell.input_transformers_cleanup if t is not magics.transformer
    ]
    magics.cell.leave()
    magics.recorder.leave()
    magics.status.close()
    magics.engine.close()
    engine = magics.engine
    _kept[shell] = {
        "session_id": engine.wanted_session,
        "rejoins": engine.rejoins,
        **magics.overrides(),
    }


def current_interview() -> Interview:
    """Return the interview behind this notebook's magics: its session, service, plugins and transcript.

    Plugins written in a notebook are added with ``current_interview().plugins.register(...)``.

    Returns:
        The interview under the settings of now; the next command uses the same.

    Raises:
        ConfigError: The extension is not loaded here.
    """
    engine = current_engine()
    if engine is None:
        raise ConfigError("the extension is not loaded here; type %load_ext ib_kernel first")
    return engine.interview
