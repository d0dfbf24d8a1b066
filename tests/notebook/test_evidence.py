"""What goes along with a question, and what is recorded of cells: in a shell with history, as in a kernel."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from notebook_shell import Notebook, Ran, notebook

from ib_kernel.errors import StoreBusy
from ib_kernel.notebook.engine import ENGINES
from ib_kernel.testing import FaultServer
from ib_kernel.values import Cell


class Book:
    """A notebook whose cells are numbered, with a session whose service is a loopback server."""

    def __init__(self, book: Notebook, server: FaultServer) -> None:
        self.book, self.server = book, server
        self.engine = ENGINES[book.shell]

    def run(self, cell: str) -> Ran:
        run = self.book.shell.run_cell
        self.book.shell.run_cell = lambda source: run(source, store_history=True)  # type: ignore[method-assign]
        try:
            return self.book.run(cell)
        finally:
            self.book.shell.run_cell = run  # type: ignore[method-assign]

    def ok(self, cell: str) -> Ran:
        ran = self.run(cell)
        assert ran.ok, ran.printed
        return ran

    def fails(self, cell: str) -> str:
        ran = self.run(cell)
        assert not ran.ok
        return str(ran.error)

    def sent(self) -> str:
        """Return the last question as it reached the service."""
        return str(self.server.requests[-1].body["messages"][-1]["content"])

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return self.engine.service.store.sql(sql).fetchall()


@pytest.fixture
def book(server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    monkeypatch.setenv("IB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")
    monkeypatch.setenv("IB_BASE_URL", server.base_url)
    with notebook() as plain:
        plain.shell.history_manager.outputs.clear()  # IPython keeps one for all shells of a process
        made = Book(plain, server)
        made.ok(
            "%interview start Engineer --candidate Ada --budget 50000 --client openai --model gpt-5.4-mini"
        )
        yield made


def test_the_last_error_goes_along_without_library_frames(book: Book) -> None:
    """The request holds the exception and the cell's line; no terminal sequence, no frame of a library."""
    book.run("import json\ndef load(text):\n    return json.loads(text)\nload('{')")
    book.run("def share(a, b):\n    return a / b\nshare(1, 0)")
    shown = book.ok("%%interview --error\nWhy does this fail?")
    sent = book.sent()
    assert sent.startswith("Why does this fail?")
    assert "ZeroDivisionError: division by zero" in sent
    assert "return a / b" in sent
    assert "\x1b" not in sent
    assert "site-packages" not in sent
    assert "last error, ZeroDivisionError attached (" in shown.text
    assert "tokens)" in shown.text


def test_an_error_inside_a_library_shows_the_way_there_only(book: Book) -> None:
    """Frames of the standard library are left out, the candidate's line stays."""
    book.run("import json\ndef load(text):\n    return json.loads(text)\nload('{')")
    book.ok("%%interview --error\nWhat now?")
    assert "return json.loads(text)" in book.sent()
    assert "decoder.py" not in book.sent()
    assert "JSONDecodeError" in book.sent()


def test_a_mistake_in_our_own_line_is_not_the_last_error(book: Book) -> None:
    """What a person asks about is their code, not a mistyped option."""
    book.run("1 / 0")
    book.fails("%%interview --errror\nhello")
    book.ok("%%interview --error\nWhat is it?")
    assert "ZeroDivisionError" in book.sent()


def test_cells_outputs_and_variables_go_along_fenced(book: Book) -> None:
    """Each is labelled as the candidate's material; a fence in it cannot end ours."""
    book.ok("text = '```' + 'x' * 3\nprint('shown ' + text)")
    book.ok("size = 41 + 1\nsize")
    shown = book.ok("%%interview --cell -1 --out --var size,text\nIs that right?")
    sent = book.sent()
    assert "attached: cell 3]" in sent
    assert "size = 41 + 1" in sent
    assert "output of cell 3" in sent
    assert "variable size, int" in sent
    assert "````" in sent
    footer = [line for line in shown.text.split("\n") if " of 50,000 left" in line][-1]
    assert footer.count("attached (") == 4
    told = book.rows("SELECT detail FROM events WHERE kind = 'attached'")
    assert [item["kind"] for item in json.loads(str(told[0][0]))["items"]] == [
        "cell",
        "output",
        "variable",
        "variable",
    ]


def test_several_cells_and_output_of_an_earlier_one(book: Book) -> None:
    """Numbers count from 1, negative ones back from this cell."""
    book.ok("a = 1")
    book.ok("b = 2\nb")
    book.ok("%%interview --cell 2,3\nBoth.")
    assert "a = 1" in book.sent()
    assert "b = 2" in book.sent()


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%interview --error\nx", "--error: no cell has failed"),
        ("%%interview --cell 99\nx", "--cell 99: there is no such cell"),
        ("%%interview --cell zero\nx", "numbers of cells that ran"),
        ("%%interview --out\nx", "--out: no cell has an output"),
        ("%%interview --var nothing\nx", "--var: no variable called 'nothing'"),
        ("%%interview --var a.b\nx", "names of variables"),
        ("%%interview --var odd\nx", "--var: odd cannot be shown as text: RuntimeError"),
        ("%%interview --var slow\nx", "to show; attach a part of it"),
    ],
)
def test_what_cannot_be_attached_is_one_line(book: Book, cell: str, words: str) -> None:
    """Nothing is sent, nothing is charged, and the line says what to do."""
    if "odd" in cell:
        book.ok("class Odd:\n    def __repr__(self):\n        raise RuntimeError('no')\nodd = Odd()")
    if "slow" in cell:
        code = "class Slow:\n    def __repr__(self):\n        while True:\n            pass\nslow = Slow()"
        book.ok(code)
    before = len(book.server.requests)
    line = book.fails(cell)
    assert words in line
    assert "\n" not in line
    assert len(book.server.requests) == before


def test_large_values_are_shown_by_their_beginning(book: Book) -> None:
    """A frame of fifty megabytes and a list of a million: the head, in a few kilobytes."""
    pytest.importorskip("pandas")
    book.ok("import pandas as pd\nframe = pd.DataFrame({'n': range(3_000_000), 'm': 1.5})")
    book.ok("many = list(range(10**6))")
    book.ok("%%interview --var frame,many\nWhat do you see?")
    sent = book.sent()
    assert "shape (3000000, 2)" in sent
    assert "float64" in sent
    assert len(sent) < 12_000


def test_keys_do_not_go_along(book: Book) -> None:
    """What is known as a key, and what looks like one, is hidden in attachments."""
    book.ok("token = 'AIza' + 'SyD9-x0Qm3kLp7Wv2Tn8Rb4Jc6Hf1Zg5Ys'")
    book.ok("settings = {'key': 'sk-test-0123456789abcdef', 'other': token}")
    book.ok("%%interview --var settings\nHere.")
    assert "0123456789abcdef" not in book.sent()
    assert "AIzaSyD9" not in book.sent()


def test_cells_are_recorded_with_their_errors_and_kinds(book: Book) -> None:
    """Every cell that was run is a row: source, result, error, ours and other kinds marked."""
    for cell in ("x = 1\nx", "1 / 0", "%budget", "%%capture\nprint('quiet')"):
        book.run(cell)
    found = wait_for_rows(book, 5)[1:]  # the first is the one that started the session
    assert [row[:3] for row in found] == [
        ("python", True, None),
        ("python", False, "ZeroDivisionError"),
        ("magic", True, None),
        ("capture", True, None),
    ]
    assert found[0][3] == "x = 1\nx"


def wait_for_rows(book: Book, count: int) -> list[tuple[object, ...]]:
    sql = "SELECT kind, ok, nullif(error, ''), source FROM cells ORDER BY n"
    for _ in range(200):
        rows = book.rows(sql)
        if len(rows) >= count:
            return rows
        time.sleep(0.02)
    raise AssertionError(book.rows(sql))


def test_nothing_is_recorded_while_it_is_off_or_no_session_runs(book: Book) -> None:
    """Off is off, and told; a session that has ended records nothing more."""
    book.ok("%interview record off")
    book.ok("secret = 1")
    book.ok("%interview record on")
    book.ok("open_again = 2")
    book.ok("%interview end --yes")
    book.ok("after = 3")
    rows = wait_for_rows(book, 3)
    time.sleep(0.1)
    sources = [row[3] for row in book.rows("SELECT kind, ok, error, source FROM cells ORDER BY n")]
    assert len(rows) == len(sources) == 3
    assert "open_again = 2" in sources
    assert not any("secret" in str(s) or "after" in str(s) for s in sources)
    told = book.rows("SELECT detail FROM events WHERE kind = 'recording' ORDER BY seq")
    switched = [json.loads(str(detail))["on"] for (detail,) in told]
    assert switched == [False, True]


@pytest.mark.parametrize("line", ["%interview end --yes", "%interview pause"])
def test_cells_of_a_slow_ledger_are_written_before_what_stops_their_session(
    book: Book, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """However late they are written: what ran while the session was active is in its rows."""
    store = book.engine.service.store
    add = store.add_cell

    def slow(cell: Cell) -> Cell:
        time.sleep(0.03)
        return add(cell)

    monkeypatch.setattr(store, "add_cell", slow)
    for n in range(5):
        book.ok(f"n{n} = {n}")
    book.ok(line)
    assert [row[3] for row in wait_for_rows(book, 6)][1:] == [f"n{n} = {n}" for n in range(5)]


def test_a_cell_that_ran_before_its_session_was_ended_elsewhere_is_recorded(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ends the session, and whenever the cell is written: when it ran counts."""
    store = book.engine.service.store
    add, started, ended = store.add_cell, threading.Event(), threading.Event()

    def late(cell: Cell) -> Cell:
        started.set()
        ended.wait(20)
        return add(cell)

    wait_for_rows(book, 1)
    monkeypatch.setattr(store, "add_cell", late)
    book.ok("held_up = 1")
    assert started.wait(20)
    book.ok("before = 1")
    book.engine.service.complete(str(book.engine.session_id))
    book.ok("after = 1")
    ended.set()
    book.engine.write_cells()
    assert [row[3] for row in wait_for_rows(book, 3)][1:] == ["held_up = 1", "before = 1"]


def test_a_cell_is_tried_again_and_written_once(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is away for a moment costs no cell, and doubles none."""
    store = book.engine.service.store
    add, calls = store.add_cell, iter(range(100))

    def away(cell: Cell) -> Cell:
        if next(calls) % 2 == 0:
            raise StoreBusy("another program writes to it")
        return add(cell)

    wait_for_rows(book, 1)
    monkeypatch.setattr(store, "add_cell", away)
    for n in range(3):
        book.ok(f"n{n} = {n}")
    assert [row[3] for row in wait_for_rows(book, 4)][1:] == [f"n{n} = {n}" for n in range(3)]


def test_a_failing_recorder_never_breaks_a_cell(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that refuses, a clock that raises: cells go on."""

    def refuse(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(book.engine, "cell_writer", lambda: refuse)
    assert book.ok("1 + 1").result == 2
    monkeypatch.setattr(book.engine, "cell_writer", refuse)
    assert book.ok("2 + 2").result == 4
