"""The live widget follows the ledger, composes, and leaves a static gauge behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from ib_kernel import BudgetWidget, Interview, TokenService
from ib_kernel.errors import NoSession, UnknownSession


@pytest.fixture
def interview(settings):
    """An interview with a session in use."""
    with Interview(settings) as found:
        found.start("Backend engineer", candidate="Ada", token_budget=4_000, client="demo")
        yield found


def eventually(holds) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def watchers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "ib-budget-widget"]


def test_the_widget_shows_the_ledger(interview):
    """Its traits are the session's figures; it takes a session, an id, or the interview's own."""
    interview.say_sync("A token bucket.")
    totals = interview.service.totals(interview.session_id)
    for arguments in ((interview.session,), (interview.session_id,), ()):
        widget = BudgetWidget(*arguments, interview=interview, live=False)
        assert (widget.used, widget.left, widget.budget) == (totals.used, totals.left, 4_000)
        assert (widget.input_tokens, widget.output_tokens) == (totals.input_tokens, totals.output_tokens)
        assert widget.status == "active"
        assert "Ada" in widget.title
        widget.close()


def test_the_widget_follows_turns_and_changes_of_the_session(interview):
    """A turn, another budget and a pause show without anybody asking, and observers hear of it."""
    widget = BudgetWidget(interview=interview)
    heard: list[int] = []
    widget.observe(lambda change: heard.append(change["new"]), names="used")
    try:
        interview.say_sync("A token bucket.")
        used = interview.service.totals(interview.session_id).used
        eventually(lambda: widget.used == used)
        assert heard[-1] == used
        interview.service.set_budget(interview.session_id, 9_000)
        interview.service.pause(interview.session_id)
        eventually(lambda: (widget.budget, widget.status) == (9_000, "paused"))
        assert "the session is paused; %interview resume goes on" in widget.notes
    finally:
        widget.close()


def test_the_widget_sees_what_another_process_spends(interview, settings):
    """Spending that this kernel's plugins never hear of shows as well."""
    widget = BudgetWidget(interview=interview)
    other = TokenService(settings)
    try:
        other.update_consumption(interview.session_id, 100, 23)
        eventually(lambda: widget.used == 123)
    finally:
        other.close()
        widget.close()


def test_refresh_sends_one_message_and_none_when_nothing_has_changed(interview):
    """At most one message to the front end per redraw."""
    widget = BudgetWidget(interview=interview, live=False)
    sent: list[dict] = []
    widget._send = lambda message, buffers=None: sent.append(message)
    widget.refresh()
    assert sent == []
    interview.service.update_consumption(interview.session_id, 100, 23)
    widget.refresh()
    assert len(sent) == 1
    assert {"used", "left", "revision"} <= set(sent[0]["state"])


def test_closing_ends_the_thread_and_the_observer(interview):
    """A closed widget leaves no thread and no plugin; closing again is harmless."""
    before = set(interview.plugins.infos)
    widget = BudgetWidget(interview=interview)
    assert watchers()
    widget.close()
    widget.close()
    eventually(lambda: not watchers())
    assert set(interview.plugins.infos) == before


def test_a_closed_ledger_ends_the_updates_with_a_note(settings):
    """The widget outlives the interview without raising in its thread."""
    interview = Interview(settings)
    interview.start(client="demo")
    widget = BudgetWidget(interview=interview)
    interview.close()
    eventually(lambda: not watchers())
    assert widget.notes[-1].startswith("no longer updated: ")
    widget.close()


def test_a_saved_notebook_has_the_static_gauge(interview):
    """Beside the live view stand HTML and plain text for readers without a kernel."""
    widget = BudgetWidget(interview=interview, live=False)
    data, _ = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "left 4,000" in data["text/html"]
    assert "left 4,000" in data["text/plain"]
    widget.close()


def test_the_widget_composes(interview):
    """It sits in a box and links like any other widget."""
    import ipywidgets
    import traitlets

    widget = BudgetWidget(interview=interview, live=False)
    label = ipywidgets.IntText()
    traitlets.dlink((widget, "left"), (label, "value"))
    assert ipywidgets.HBox([widget, label]).children[0] is widget
    assert label.value == 4_000
    widget.close()


def test_the_front_end_module_writes_text_only(interview):
    """What the ledger says reaches the page as text, never as HTML, and nothing is fetched."""
    widget = BudgetWidget(interview=interview, live=False)
    module = widget._esm
    assert "export default" in module
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "fetch(", "import(", "http"):
        assert word not in module
    widget.close()


def test_an_unknown_session_and_none_at_all_are_refused(settings):
    """Each gets its one line."""
    with Interview(settings) as empty:
        with pytest.raises(NoSession):
            BudgetWidget(interview=empty)
        with pytest.raises(UnknownSession):
            BudgetWidget("nobody", interview=empty)


def test_a_missing_package_is_named_in_one_line():
    """Importing the widget without anywidget says what to install."""
    code = "import sys; sys.modules['anywidget'] = None\nfrom ib_kernel import BudgetWidget"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "ConfigError: BudgetWidget needs anywidget" in last
    assert "pip install anywidget" in last
