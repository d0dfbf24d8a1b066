"""The live widget follows the ledger, composes, and leaves a static gauge behind."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import types

import pytest
from clock import eventually
from notebook_shell import notebook, words

from ib_kernel import BudgetWidget, Interview, TokenService
from ib_kernel.errors import NoSession, QueryError, UnknownSession
from ib_kernel.show.spending import spent


@pytest.fixture
def interview(settings):
    """An interview with a session in use."""
    with Interview(settings) as found:
        found.start("Backend engineer", candidate="Ada", token_budget=4_000, client="demo")
        yield found


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


def test_the_history_has_one_entry_per_turn(interview, monkeypatch):
    """Turn, input and output tokens; read again only when a call was settled."""
    widget = BudgetWidget(interview=interview, live=False)
    assert widget.history == []
    interview.say_sync("A token bucket.")
    interview.say_sync("In Redis.")
    widget.refresh()
    assert [turn for turn, _, _ in widget.history] == [1, 2]
    assert sum(i for _, i, _ in widget.history) == widget.input_tokens
    assert sum(o for _, _, o in widget.history) == widget.output_tokens
    reads: list[str] = []
    monkeypatch.setattr(
        "ib_kernel.notebook.widgets.budget.spent", lambda service, session_id: reads.append(session_id)
    )
    interview.service.pause(interview.session_id)
    widget.refresh()
    assert (widget.status, reads) == ("paused", [])
    widget.close()


def test_a_store_without_the_shortcut_is_asked_in_sql(interview):
    """Other stores need no `spent`; one whose tables differ gives no history instead of an error."""
    interview.say_sync("A token bucket.")
    direct = interview.service.store.spent(interview.session_id)

    class Plain:
        def sql(self, query):
            return interview.service.store.sql(query)

    class Odd:
        def sql(self, query):
            raise QueryError("no table calls")

    for store, expected in ((Plain(), direct), (Odd(), [])):
        service = types.SimpleNamespace(store=store)
        found = spent(service, interview.session_id)
        assert [(s.turn, s.input_tokens, s.output_tokens, s.token_budget) for s in found] == [
            (s.turn, s.input_tokens, s.output_tokens, s.token_budget) for s in expected
        ]


@pytest.mark.parametrize(("used", "level"), [(2_900, "normal"), (3_100, "warning"), (3_700, "critical")])
def test_the_warning_levels_are_told_in_words(interview, used, level):
    """At 75 % and at 90 % a note says so."""
    interview.service.update_consumption(interview.session_id, used, 0)
    widget = BudgetWidget(interview=interview, live=False)
    assert widget.level == level
    assert any("% of the budget is used" in note for note in widget.notes) == (level != "normal")
    widget.close()


def test_several_widgets_show_one_truth(interview, settings):
    """Two widgets, one of them on a second service as in another kernel, agree."""
    other = TokenService(settings)
    here = BudgetWidget(interview=interview)
    there = BudgetWidget(interview.session_id, service=other)
    try:
        other.update_consumption(interview.session_id, 50, 5)
        interview.service.update_consumption(interview.session_id, 30, 3)
        eventually(lambda: here.used == there.used == 88)
        assert here.history == there.history
    finally:
        here.close()
        there.close()
        other.close()


def test_without_a_front_end_the_live_gauge_is_the_gauge(interview):
    """A terminal gets text, and nothing goes on in the background."""
    with notebook() as nb:
        nb.ok("%interview start --client demo --budget 4000")
        shown = nb.ok("%budget --live")
        assert "left 4,000" in shown.text
        assert not watchers()


def test_the_live_gauge_leaves_a_summary_that_stays_right(monkeypatch):
    """Beside the widget stands an output of its own, updated when the budget moves."""
    monkeypatch.setattr("ib_kernel.notebook.widgets.budget.has_front_end", lambda shell: True)
    published: list[tuple[str, bool]] = []
    made: list[BudgetWidget] = []
    begin = BudgetWidget._follow
    monkeypatch.setattr(BudgetWidget, "_follow", lambda widget: made.append(widget) or begin(widget))
    monkeypatch.setattr(
        "ib_kernel.notebook.widgets.budget.publish",
        lambda html, text, display_id=None, update=False: published.append((text, update)),
    )
    with notebook() as nb:
        nb.ok("%interview start --client demo --budget 4000 --candidate Ada")
        shown = nb.ok("%budget --live --controls")
        assert any("application/vnd.jupyter.widget-view+json" in data for data in shown.data)
        assert published[0][0].startswith("Saved with this notebook: used 0 of 4,000")
        nb.ok("%budget 5000")
        eventually(lambda: published[-1][1] and "of 5,000" in published[-1][0])
        made[0].close()


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
    assert "left 4,000" in words(data["text/html"])
    assert "left 4,000" in data["text/plain"]
    assert all(
        re.search(r"As of \d{4}-\d\d-\d\d \d\d:\d\d, not live\.", data[f"text/{kind}"])
        for kind in ("html", "plain")
    )
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
    module = widget._esm.replace('"http://www.w3.org/2000/svg"', "")  # a name; nothing is there
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
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=280, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "ConfigError: BudgetWidget needs anywidget" in last
    assert "pip install anywidget" in last
