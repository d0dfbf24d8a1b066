"""`ReplayWidget`: a session played back, step by step, and the same as a page without scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import ConfigError

try:
    import anywidget
    import traitlets as t
except ImportError as missing:
    raise ConfigError(
        f"ReplayWidget needs {missing.name}, which is not installed; install it with: "
        "pip install anywidget ipywidgets, or use %interview timeline"
    ) from None

from htpy import body, details, div, h1, html, li, meta, ol, pre, style, summary, title
from htpy import head as head_
from markupsafe import Markup

from ib_kernel.errors import NoSession
from ib_kernel.evidence.replay import about, moment_line, replay_rows
from ib_kernel.evidence.timeline import timeline
from ib_kernel.notebook.output.show import mime_bundle
from ib_kernel.notebook.widgets.modules import one_module, read
from ib_kernel.notebook.widgets.watching import find_desk, find_service

if TYPE_CHECKING:
    from ib_kernel.budget.service import TokenService
    from ib_kernel.interview.interview import Interview

_STYLE = "body{font:16px/1.5 system-ui,sans-serif;max-width:76ch;margin:2em auto;padding:0 1em}" \
    "li{margin:0 0 12px}pre{overflow:auto;background:rgba(127,127,127,.1);padding:8px}"  # fmt: skip


class ReplayWidget(anywidget.AnyWidget):
    """A session as it went: the notebook's cells on the left, the conversation on the right.

    The slider and the arrow keys move through it; buttons jump to the next failure, question and check. Above
    the slider stand what was left of the budget, and a mark for each question, check, hint, refusal and
    failed cell. Where nothing can be moved, the page shows the same without scripts.

    Args:
        session: A session's id; "": the one in use.
        service: Whose ledger is read; by default the notebook's own.
        interview: The interview whose ledger is read, instead of the notebook's.
        host: A host's address, such as ``https://host.example`` ("": that of ``IB_HOST``), whose session is
            played back instead. For interviewers: ``IB_HOST_TOKEN`` says who asks.
        blind: Whether a host replaces names until this person has rated every criterion.

    Attributes:
        place: Which moment is shown, from 0.
        moments: All moments, as the front end takes them.
    """

    _esm = one_module("replay")
    _css = read("ib.css") + read("widget.css") + read("replay.css")

    moments: t.List[Any] = t.List().tag(sync=True)
    place = t.Int(0).tag(sync=True)
    about = t.Unicode("").tag(sync=True)

    def __init__(
        self,
        session: str = "",
        *,
        service: TokenService | None = None,
        interview: Interview | None = None,
        host: str | None = None,
        blind: bool = False,
        **kwargs: Any,
    ) -> None:
        if host is None:
            line, rows = _here(session, service, interview)
        else:
            line, rows = _at_host(session, host, blind)
        self._rows = tuple(rows)  # what is saved and exported: a front end may set the traits
        self._line = line
        super().__init__(moments=rows, about=line, **kwargs)

    def to_html(self) -> str:
        """Return the session as one self-contained page without scripts."""
        page = html(lang="en")[
            head_[meta(charset="utf-8"), title[self._line], style[_STYLE]],
            body[h1[self._line], self._steps()],
        ]
        return f"<!doctype html>\n{page}"

    def _steps(self) -> Any:
        return ol[(li[div[moment_line(row)], _content(row)] for row in self._rows)]

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle: Any = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        text = "\n".join([self._line, *(moment_line(row) for row in self._rows)])
        static = mime_bundle(details[summary[self._line], self._steps()], text)
        return {**data, **static}, metadata


def _here(session: str, service: Any, interview: Any) -> tuple[str, list[dict[str, Any]]]:
    """Return the line and the moments of a session of this ledger."""
    found, in_use = find_service(service, interview)
    if not hasattr(getattr(found, "store", None), "reserve"):  # it is a host's
        raise ConfigError("a host keeps this session's timeline, for the interviewer")
    session_id = session or (in_use.session_id if in_use is not None else None)
    if not session_id:
        raise ConfigError("no session is in use; name one: ReplayWidget('ID')")
    shown = found.get_session(session_id)
    rows = replay_rows(timeline(found, shown), shown)
    return about(shown, len(rows)), rows


def _at_host(session: str, host: str, blind: bool) -> tuple[str, list[dict[str, Any]]]:
    """Return the line and the moments of a session at a host."""
    if not session:
        raise NoSession("which session of the host? Pass its id: ReplayWidget('ID', host=…)")
    with find_desk(host) as desk:
        return desk.replay(session, blind=blind)


def _content(row: Mapping[str, Any]) -> Any:
    if row["html"]:
        return Markup(row["html"])  # noqa: S704 - made and cleaned by `ib_kernel.show`
    return pre(tabindex="0")[row["text"]] if row["kind"] == "cell" else div[row["text"]]
