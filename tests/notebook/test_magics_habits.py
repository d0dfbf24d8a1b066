"""How people use cells: timed, captured, in loops, awaited, interrupted at bad moments, loaded twice."""

from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import pytest
from notebook_shell import Notebook, Paced, notebook

from ib_kernel import Interview
from ib_kernel.notebook.cell import Cell
from ib_kernel.notebook.interrupts import Interrupts
from ib_kernel.notebook.output.live import Live
from ib_kernel.plugin.manager import Plugins
from ib_kernel.turn.reply import Reply
from ib_kernel.values import Totals

START = "%interview start --client paced --budget 50000"


@pytest.fixture
def nb():
    """A shell with the extension loaded, a session, and a client that says two words."""
    with notebook() as loaded:
        register(loaded, "one ", "two")
        loaded.ok(START)
        yield loaded


def register(nb: Notebook, *pieces: str, **options) -> Paced:
    client = Paced(list(pieces), **options)
    nb.magics.engine.plugins.register(client, name="paced")
    return client


def held(nb: Notebook) -> int:
    interview = nb.magics.engine.interview
    return interview.service.totals(interview.session.session_id).held


def test_a_timed_reply_is_shown_and_timed(nb):
    """%%time around %%interview shows the reply and the time."""
    ran = nb.ok("%%time\n%%interview\nhello")
    assert "one two" in ran.text
    assert "Wall time" in ran.text


def test_a_captured_reply_is_captured(nb):
    """%%capture takes the reply in, and shows it when asked."""
    assert "one two" not in nb.ok("%%capture taken\n%%interview\nhello").text
    assert "one two" in nb.ok("taken.show()").text


def test_a_loop_of_turns_keeps_every_reply(nb):
    """Each pass of a loop shows its own reply; none takes another's place."""
    ran = nb.ok(
        "for text in ('a', 'b', 'c'):\n"
        "    print('asking', text)\n"
        "    get_ipython().run_cell_magic('interview', '', text)"
    )
    assert ran.text.count("one two") == 3
    assert ran.text.count("asking") == 3
    for turn in (1, 2, 3):
        assert f"turn {turn} " in ran.text


def test_a_turn_can_be_awaited(nb):
    """Top-level await works on the engine behind the magics."""
    nb.ok("from ib_kernel import current_interview\nresult = await current_interview().say('hello')")
    assert nb.shell.user_ns["result"].text == "one two"
    assert held(nb) == 0


def test_a_plugin_registered_again_takes_effect_at_once(nb):
    """The client built from the replaced plugin is not used any more."""
    assert "one two" in nb.ok("%%interview\nhello").text
    register(nb, "something else")
    assert "something else" in nb.ok("%%interview\nhello").text


def test_unloading_takes_back_the_listener_and_the_interrupt(nb):
    """No event callback of ours stays registered, no thread runs on, and Ctrl-C means what it meant."""
    before = signal.getsignal(signal.SIGINT)
    nb.ok("%%interview\nhello")
    cell = nb.magics.cell
    assert cell.begins in nb.shell.events.callbacks["pre_run_cell"]
    nb.ok("%unload_ext ib_kernel")
    assert cell.begins not in nb.shell.events.callbacks["pre_run_cell"]
    assert signal.getsignal(signal.SIGINT) is before
    assert not [t.name for t in threading.enumerate() if t.name in ("ib-kernel", "ib-mover")]


def test_unloading_ends_the_widgets_of_the_ledger_too(nb):
    """A live widget stops watching a ledger that was closed, and no file of it stays open."""
    pytest.importorskip("anywidget")
    nb.ok("from ib_kernel import BudgetWidget\nw = BudgetWidget()")
    watching = [t for t in threading.enumerate() if t.name == "ib-budget-widget"]
    assert watching
    nb.ok("%unload_ext ib_kernel")
    for thread in watching:
        thread.join(10)
        assert not thread.is_alive()


# --- the interrupt


@pytest.mark.parametrize("moment", range(3))
def test_an_interrupt_while_a_turn_starts_or_streams_ends_it(nb, moment):
    """Before the first piece, after it, and before the last: one line, nothing held, the next turn works."""
    client = register(nb, "one ", "two ", "three", pause=0.02)
    client.before = lambda i: signal.raise_signal(signal.SIGINT) if i == moment else None
    ran = nb.run("%%interview\nhello")
    assert not ran.ok
    assert ran.printed.splitlines()[-1].startswith("Stopped. ")
    assert "Traceback" not in ran.printed
    assert held(nb) == 0
    assert client.closed == 1
    client.before = lambda i: None
    assert "one two three" in nb.ok("%%interview\nhello").text


def test_an_interrupt_between_entering_and_the_first_line_ends_the_turn(nb, monkeypatch):
    """Even an exception right after the turn was started leaves nothing running or held."""
    client = register(nb, "one ", "two", pause=0.05)
    interview = nb.magics.engine.interview
    start = interview._loop.start

    def interrupted(work, on_done):
        start(work, on_done)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(interview._loop, "start", interrupted)
        with pytest.raises(KeyboardInterrupt), interview.ask("hello"):
            pass
    assert held(nb) == 0
    assert client.closed <= 1
    assert "one two" in nb.ok("%%interview\nhello").text


def test_an_interrupt_before_the_turn_was_scheduled_waits_for_nothing(nb, monkeypatch):
    """A turn that never began is closed, without a warning and without a wait."""
    interview = nb.magics.engine.interview

    def interrupted(work, on_done):
        raise KeyboardInterrupt

    monkeypatch.setattr(interview._loop, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), interview.ask("hello"):
        pass
    assert held(nb) == 0


def test_a_stop_asked_for_twice_cancels_once(settings):
    """A second cancellation would cut short the tidying of the first."""
    plugins = Plugins()
    client = Paced(["one ", "two"], pause=0.2)
    plugins.register(client, name="paced")
    with Interview(settings, plugins=plugins) as buddy:
        buddy.start(client="paced")
        with buddy.ask("hello") as reply:
            reply.stop()
            reply.stop()
            assert list(reply) == []
        assert isinstance(reply, Reply)
        assert reply.stopped
        assert buddy.service.totals(buddy.session_id).held == 0


def test_the_third_press_raises_after_all():
    """Should ending a turn hang, the user is not locked in."""
    asked = []
    with pytest.raises(KeyboardInterrupt), Interrupts(lambda: asked.append(1)) as interrupts:
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
    assert interrupts.pressed == len(asked) == 3


def test_interrupts_elsewhere_than_in_the_main_thread_are_left_alone():
    """A thread has no signals; entering there does nothing."""
    before = signal.getsignal(signal.SIGINT)

    def enter():
        with Interrupts(lambda: None):
            pass

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before


# --- whose outputs may be replaced


class Info:
    """What IPython tells about a cell."""

    def __init__(self, raw_cell):
        self.raw_cell = raw_cell


class Kernel:
    """A shell that runs requests."""

    def __init__(self):
        self.request = "1"

    def get_parent(self):
        return {"header": {"msg_id": self.request}}


def test_only_a_whole_interview_cell_is_ours():
    """A cell that begins with %%interview is; one that is timed, nested or of another request is not."""
    shell = Kernel()
    cell = Cell(shell)
    assert not cell.ours()
    cell.begins(Info("%%interview -n 3\nhello"))
    assert cell.ours()
    cell.begins(Info("%%interview\nnested"))
    assert not cell.ours()
    shell.request = "2"
    assert not cell.ours()
    cell.begins(Info("%%time\n%%interview\nhello"))
    assert not cell.ours()
    shell.request = "3"
    cell.begins(Info("%%interviewer\nhello"))
    assert not cell.ours()
    assert not Cell(object()).ours()


def test_a_long_reply_leaves_finished_displays_behind_and_ends_as_one(nb, monkeypatch):
    """In a cell of our own the sum of what is sent grows with the reply, and the end clears the rest."""
    shown, cleared = [], []
    monkeypatch.setattr("ib_kernel.notebook.output.live.REDRAW_S", 0.0)
    monkeypatch.setattr("ib_kernel.notebook.output.live.SHARE", 0)
    monkeypatch.setattr("ib_kernel.notebook.output.live._clear", lambda: cleared.append(len(shown)))
    monkeypatch.setattr(
        "ib_kernel.notebook.output.live.publish",
        lambda html, text, display_id=None, update=False: shown.append((display_id, update, str(html), text)),
    )
    sizes = {}
    for paragraphs in (50, 200):
        shown.clear()
        live = Live("paced", alone=True)
        for n in range(paragraphs):
            live.piece(f"Paragraph {n} " + "with some more words " * 10 + "\n\n")
        sizes[paragraphs] = sum(len(html) for _, _, html, _ in shown)

        class Done:
            text, footer = "the whole", "figures"
            result = SimpleNamespace(time_left_s=None, totals=Totals(1_000, 300, 200))

        monkeypatch.setattr("ib_kernel.notebook.output.screen.warning_line", lambda reply: "")
        live.end(Done())
        assert len({display_id for display_id, *_ in shown}) > 2
        assert shown[-1][0] is None
        assert shown[-1][3] == "the whole\n\nfigures"
        assert cleared.pop() == len(shown) - 1
    assert sizes[200] < 6 * sizes[50]
