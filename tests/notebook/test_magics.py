"""The magics in a real IPython shell: sessions, turns, budgets, SQL, mistakes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from notebook_shell import Notebook, Paced, notebook, words

from ib_kernel import hookimpl
from ib_kernel.errors import BrokenPlugin
from ib_kernel.values import Usage

START = '%interview start "Backend engineer" --candidate Ada --challenge rate-limiter --budget 4,000'


@pytest.fixture
def nb():
    """A shell with the extension loaded and a ledger of its own."""
    with notebook() as loaded:
        yield loaded


def paced(nb: Notebook, pieces: list[str], **options) -> Paced:
    client = Paced(pieces, **options)
    nb.magics.engine.plugins.register(client, name="paced")
    nb.ok("%interview start --client paced --budget 20000")
    return client


# --- starting


def test_start_shows_who_what_how_much_and_what_to_type_next(nb):
    """The block that a session begins with names candidate, role, challenge, budget and the next step."""
    ran = nb.ok(START)
    for part in ("Ada", "Backend engineer", "Rate limiter for a public API", "4,000 tokens", "%%interview"):
        assert part in ran.text
        assert part in words(ran.html)
    assert "Task: Rate limiter for a public API</summary>" in ran.html
    assert "Good openings" not in ran.text, "the interviewer's notes are not for the candidate"


def test_start_without_a_key_says_so_and_how_to_set_one(nb):
    """The demo client that was chosen for want of a key is named once; a chosen one is not explained."""
    assert "OPENAI_API_KEY" in nb.ok("%interview start").text
    assert "OPENAI_API_KEY" not in nb.ok("%interview start --client demo").text


def test_a_role_needs_no_quotes_and_dollars_and_braces_are_left_alone(nb):
    """Words without an option are the role; IPython does not expand variables in the line."""
    nb.shell.user_ns["x"] = "LEAKED"
    nb.ok("%interview start Data {x} engineer $x --level senior")
    session = nb.magics.engine.interview.session
    assert session.role == "Data {x} engineer $x"
    assert session.level == "senior"


def test_every_start_option_reaches_the_session(nb):
    """Budget, minutes, temperature, persona and model end up in the ledger."""
    nb.ok("%interview start --budget 9_000 --minutes 1.5 --temperature 0.5 --as assistant --model demo")
    session = nb.magics.engine.interview.session
    assert (session.token_budget, session.time_limit_s, session.persona) == (9_000, 90.0, "assistant")
    assert session.meta["temperature"] == 0.5
    assert session.model == "demo"


# --- turns


def test_a_turn_shows_the_reply_and_a_footer(nb):
    """The reply is followed by one line of figures that agree with the ledger."""
    nb.ok(START)
    ran = nb.ok("%%interview\nA token bucket per user.")
    totals = nb.magics.engine.service.totals(nb.magics.engine.session_id)
    assert "demo · turn 1 · " in ran.text
    assert f"{totals.left:,} of 4,000 left" in ran.text


def test_the_cell_is_sent_as_it_was_typed(nb):
    """Braces, dollars, percent signs and indentation reach the model unchanged."""
    nb.ok(START)
    text = "def f():\n    return {'a': $x, \"{{b}}\": '%s'}"
    nb.ok(f"%%interview\n{text}")
    assert nb.magics.engine.interview.history()[0].content == text


def test_vars_fills_in_bare_names_only_when_asked(nb):
    """``--vars`` replaces ``{{name}}``; an unknown name is one line with a did-you-mean."""
    nb.ok(START)
    nb.shell.user_ns["plan"] = "a token bucket"
    nb.ok("%%interview --vars\nI choose {{plan}}.")
    assert nb.magics.engine.interview.history()[0].content == "I choose a token bucket."
    assert "did you mean plan?" in nb.fails("%%interview --vars\n{{plam}}")


def test_without_a_session_one_line_says_what_to_type(nb):
    """A turn, a gauge and a status without a session name the two ways to get one."""
    for cell in ("%%interview\nhello", "%budget", "%interview status"):
        line = nb.fails(cell)
        assert line.startswith("No session yet. ")
        assert "%interview start" in line
        assert "%interview use" in line


def test_an_empty_cell_is_refused(nb):
    """Nothing is sent for a cell without text."""
    nb.ok(START)
    assert "nothing to send" in nb.fails("%%interview\n   \n")


def test_a_reply_in_a_front_end_is_one_display_that_is_redrawn(nb):
    """In a kernel the pieces redraw one display; the last state is the whole reply with its footer."""
    nb.shell.kernel = object()
    paced(nb, ["Use **a bucket**.\n\n", "```python\n", "x = 1\n", "```\n"], pause=0.12)
    ran = nb.ok("%%interview\nGo on.")
    assert ran.updates == len(ran.data) - 1
    assert "<strong>a bucket</strong>" in ran.data[-1]["text/html"]
    assert ran.data[-1]["text/plain"].startswith("Use **a bucket**.")
    assert "paced · turn 1 · 100 in + 20 out = 120 · 19,880 of 20,000 left" in ran.data[-1]["text/plain"]
    assert set(ran.data[-1]) == {"text/html", "text/plain"}


def test_redraws_are_fewer_than_pieces(nb):
    """A fast stream of many pieces is redrawn only now and then."""
    nb.shell.kernel = object()
    paced(nb, [f"w{i} " for i in range(400)], usage=Usage(100, 400))
    ran = nb.ok("%%interview -n 2000\nGo on.")
    assert len(ran.data) < 40
    assert "w399" in ran.data[-1]["text/plain"]


def test_a_final_stream_shows_once(nb):
    """``stream = final`` makes one output that another run repeats."""
    nb.shell.kernel = object()
    nb.ok("%config InterviewMagics.stream = 'final'")
    paced(nb, ["one ", "two"], pause=0.12)
    first = nb.ok("%%interview\nGo on.")
    assert (len(first.data), first.updates) == (1, 0)


def test_model_output_is_harmless_in_html_and_in_text(nb):
    """HTML from the model is shown as text, and control characters are gone everywhere."""
    nb.shell.kernel = object()
    paced(nb, ["<script>alert(1)</script> \x1b[31m", "[x](javascript:alert(1)) ![p](https://evil.example/p)"])
    for ran in (nb.ok("%%interview\nx"), nb.ok("%interview transcript")):
        assert "<script" not in ran.html
        assert "<img" not in ran.html
        assert 'href="javascript' not in ran.html
        assert "\x1b" not in ran.text + ran.html


@pytest.mark.parametrize("front_end", [True, False])
def test_an_interrupt_keeps_what_arrived_and_fails_with_one_line(nb, front_end):
    """Stop ends the stream, keeps the partial reply on screen and in the ledger, and says what it counted."""
    if front_end:
        nb.shell.kernel = object()
    client = paced(nb, ["first ", "second ", *["more "] * 500], pause=0.01)

    def interrupt(i: int) -> None:
        if i == 30:
            import _thread

            _thread.interrupt_main()

    client.before = interrupt
    ran = nb.run("%%interview\nGo on.")
    assert not ran.ok
    line = ran.printed.strip().splitlines()[-1]
    assert line.startswith("Stopped. The reply so far is kept; ")
    assert line.endswith(" reply tokens were counted.")
    assert "first second" in ran.text
    assert client.closed == 1
    engine = nb.magics.engine
    assert engine.service.totals(engine.session_id).held == 0
    assert engine.interview.history()[-1].partial
    nb.ok("%budget")


def test_warnings_come_once_after_the_footer(nb):
    """Passing 75 % of the budget adds one line to the reply's footer."""
    client = paced(nb, ["ok"], usage=Usage(15_000, 500))
    ran = nb.ok("%%interview\nGo on.")
    last = ran.text.strip().splitlines()[-1]
    assert last == "⚠ This was the last turn that fits into the budget."  # a next one would send 15,000 again
    client.usage = Usage(100, 10)
    assert "⚠" not in nb.ok("%%interview\nGo on.").text


# --- mistakes


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("%interview strat", "Unknown subcommand strat; did you mean start?"),
        ("%interview start --modle x", "Unknown option --modle; did you mean --model?"),
        ("%%interview --modle x\nhi", "Unknown option --modle; did you mean --model?"),
        ("%%interview -n many\nhi", "-n cannot be 'many'; allowed: a whole number from 1"),
        ("%%interview -n 0\nhi", "-n cannot be '0'"),
        ("%interview start --budget 2,0", "--budget cannot be '2,0'; allowed: a whole number"),
        ("%interview start --budget", "--budget needs a value"),
        ("%interview start --budget --level x", "--budget needs a value"),
        ("%interview start --candidate O'Brien", "A quote is opened and never closed"),
        (
            "%interview start --as judge",
            "No persona called 'judge'; known: interviewer, assistant",
        ),
        (
            "%interview start --temperature 3",
            "--temperature cannot be '3'; allowed: a number from",
        ),
        ("%interview start --challenge rate-limit", "No challenge called 'rate-limit'"),
        ("%interview start --client opnai", "No client called 'opnai'"),
        ("%interview start --model gpt-5.4-mni", "Unknown model 'gpt-5.4-mni'; did you mean"),
        ("%interview pause now", "%interview pause does not take 'now'"),
        ("%interview use", "%interview use needs a session's ID"),
        ("%interview use nobody", "No session 'nobody'"),
        ("%budget lots", "The budget cannot be 'lots'"),
        ("%budget -3", "The budget cannot be '-3'; allowed: a whole number from 0"),
        ("%budget -3,000", "The budget cannot be '-3,000'"),
        ("%budget 5 000", "%budget takes one N, not 2; put it in quotes"),
        ("%interview start -budget 5", "Unknown option -budget; did you mean --budget?"),
        ("%interview start —budget 5", "Unknown option —budget; did you mean --budget?"),
        ("%interview start --lock=yes", "--lock takes no value"),
        ("%%interview", "There is nothing to send; type your answer or question below"),
        ("%%interview\n", "There is nothing to send"),
        ("%%interview -n 40", "There is nothing to send"),
        ("%%interview hello there\nhi", "The text goes below the line %%interview"),
        ("%%interview I'd go\nhi", "The text goes below the line %%interview"),
        (
            "%%interview start Backend\nhi",
            "%%interview sends the text below it; start is a command",
        ),
        ("%interview hello AI?", "Unknown subcommand hello; did you mean help? To talk, begin"),
        ("%interview ask me", "Unknown subcommand ask. To talk, begin the cell with %%interview"),
        ("%interview\nI'd use a bucket", "One percent sign is a command"),
        ("%interview status\nand then?", "One percent sign is a command"),
        ("%usage everything", "%usage takes session, all or accuracy"),
        ("%%usage\n ", "There is no query"),
        ("%%usage\nSELEC 1", "Parser Error: "),
    ],
)
def test_a_mistake_is_one_line_and_fails_the_cell(nb, cell, line):
    """Every typing mistake says what was wrong and what to type instead."""
    if cell.startswith("%budget"):
        nb.ok(START)
    assert nb.fails(cell).startswith(line)


@pytest.mark.parametrize(
    "cell",
    [
        "%interview status\nx = 1  # ok?",
        "%interview\n%budget",
        "%interview?",
        "%%interview?",
        "x = '%interview'",
    ],
)
def test_cells_that_are_no_mistake_run_as_before(nb, cell):
    """Code and other magics below a command, and IPython's own question mark, are left alone."""
    nb.ok(START)
    nb.ok(cell)


def test_a_name_of_several_words_needs_no_quotes_after_the_role(nb):
    """Where it is clear what belongs to the name, it is taken whole; otherwise one line asks for quotes."""
    nb.ok("%interview start Backend engineer --candidate Ada Lovelace --level very senior --budget 9000")
    session = nb.magics.engine.interview.session
    assert (session.candidate, session.role) == ("Ada Lovelace", "Backend engineer")
    assert session.level == "very senior"
    line = nb.fails("%interview start --candidate Ada Lovelace")
    assert "put it in quotes" in line
    nb.ok('%interview start --candidate "Ada Lovelace" Backend engineer')
    assert nb.magics.engine.interview.session.role == "Backend engineer"
    assert "put a value of several words in quotes" in nb.fails(
        "%interview start Backend --budget 5 engineer"
    )


def test_help_is_there_for_every_command(nb):
    """``--help`` prints usage, ``%interview help`` examples and the challenges."""
    assert "--candidate NAME" in nb.ok("%interview start --help").text
    assert "--reply TOKENS" in nb.ok("%%interview --help\n.").text
    assert "--reply TOKENS" in nb.ok("%%interview --help").text
    assert "--minutes N" in nb.ok("%interview resume?").text
    assert "%budget [N]" in nb.ok("%budget --help").text
    assert "%%usage" in nb.ok("%%usage --help\n.").text
    text = nb.ok("%interview help").text
    assert "rate-limiter" in text
    assert "{{name}}" in text


# --- budget and usage


def test_the_budget_is_shown_and_set(nb):
    """%budget N sets the total; a total below what is used is refused and changes nothing."""
    nb.ok(START)
    nb.ok("%%interview\nA token bucket.")
    assert "of 30,000" in nb.ok("%budget 30,000").text
    assert nb.fails("%budget 10").startswith("The budget cannot be 10 tokens: ")
    assert "of 30,000" in nb.ok("%budget").text


def test_sql_is_answered_with_a_result_that_can_be_used(nb):
    """%%usage returns the table, so that the cell shows it and ``_`` holds it."""
    nb.ok(START)
    nb.ok("%%interview\nA token bucket.")
    ran = nb.ok("%%usage\nSELECT count(*) AS calls, sum(input_tokens) AS i FROM calls")
    totals = nb.magics.engine.service.totals(nb.magics.engine.session_id)
    assert ran.result.fetchall() == [(1, totals.input_tokens)]
    assert ran.result.columns == ("calls", "i")


def test_usage_sums_up_the_session_all_sessions_and_accuracy(nb):
    """%usage has three answers, and one for a ledger in which nothing has happened."""
    assert "nothing was used yet" in nb.ok("%usage").text
    nb.ok(START)
    nb.ok("%%interview\nA token bucket.")
    assert "input tokens" in nb.ok("%usage").text
    assert "Ada" in nb.ok("%usage all").text
    assert "no prompt that we counted" in nb.ok("%usage accuracy").text


def test_accuracy_is_a_table_per_model_and_one_per_construct(nb):
    """Models and constructs have different columns, so each has a table of its own."""
    nb.magics.engine.plugins.register(Paced(["Go on."], usage=Usage(500, 10)), name="paced")
    nb.ok("%interview start --client paced --model gpt-4.1-mini --budget 20000")
    nb.ok("%%interview\nA token bucket.")
    ran = nb.ok("%usage accuracy")
    models, constructs = ran.text.strip().split("\n\n")
    assert "gpt-4.1-mini" in models.splitlines()[-1]
    assert "construct" in constructs.splitlines()[1]
    assert "construct" not in models.splitlines()[1]
    assert ran.html.count("<table") == 2


# --- the session's life


def test_pause_resume_and_end(nb):
    """A paused session refuses turns until it is resumed; an ended one for good."""
    nb.ok(START)
    nb.ok("%interview pause")
    assert "%interview resume" in nb.fails("%%interview\nhello")
    assert "Resumed" in nb.ok("%interview resume").text
    nb.ok("%%interview\nhello")
    assert "1 turn ·" in nb.ok("%interview end --yes").text
    assert "%interview start" in nb.fails("%%interview\nhello")


def test_more_time_revives_an_expired_session(nb):
    """An expired session goes on after ``resume --minutes``; without minutes one line says so."""
    nb.ok("%interview start --minutes 0.0001")
    engine = nb.magics.engine
    while engine.interview.session.status != "expired":
        pass
    assert "--minutes" in nb.fails("%interview resume")
    assert "min left" in nb.ok("%interview resume --minutes 10").text
    nb.ok("%%interview\nhello")


def test_an_earlier_session_can_be_used_again(nb):
    """Sessions are listed and chosen by id; the last one is offered where none is in use."""
    nb.ok(START)
    first = nb.magics.engine.session_id
    nb.ok("%interview start --candidate Bob")
    listed = nb.ok("%interview sessions").text
    assert first in listed
    assert "Bob" in listed
    assert "Ada" in nb.ok(f"%interview use {first}").text
    assert nb.magics.engine.session_id == first


def test_a_session_is_used_by_the_beginning_of_its_id(nb):
    """A prefix that one session has is enough; one that several have is refused with them."""
    nb.ok("%interview start --candidate Ada")
    first = nb.magics.engine.session_id
    nb.ok("%interview start --candidate Bob")
    second = nb.magics.engine.session_id
    common = next(i for i in range(len(first)) if first[: i + 1] != second[: i + 1])
    assert "Ada" in nb.ok(f"%interview use {first[: common + 1]}").text
    if common:
        assert "2 sessions begin with" in nb.fails(f"%interview use {first[0]}")
    assert nb.magics.engine.session_id == first


def test_lists_leave_out_what_nobody_looks_for_unless_asked(nb, monkeypatch):
    """Models that are gone and settings at their defaults are shown with --all."""
    monkeypatch.setenv("IB_REPLY_TOKENS", "321")
    few, many = nb.ok("%interview models").text, nb.ok("%interview models --all").text
    assert "was shut down" not in few
    assert "was shut down" in many
    few, many = nb.ok("%interview doctor").text, nb.ok("%interview doctor --all").text
    assert "321" in few
    assert "temperature" not in few
    assert "temperature" in many


def test_lists_of_sessions_say_when_what_and_how_much(nb):
    """Date, challenge, turns and cost; wide names keep the columns."""
    nb.ok('%interview start --candidate "陳大文" --challenge rate-limiter --budget 5000')
    nb.ok("%%interview\nA token bucket.")
    nb.ok("%interview start --candidate Ada")
    for cell in ("%usage all", "%interview sessions"):
        shown = nb.ok(cell).text.splitlines()
        for word in ("began", "challenge", "turns", "cost"):
            assert word in shown[1]
        assert "rate-limiter" in "".join(shown)
    ran = nb.ok("%usage all")
    assert "text-align:right" in ran.html


def test_an_awaited_reply_shows_itself(nb):
    """The value of say() reads as the reply and one line of figures."""
    nb.ok(START)
    ran = nb.ok("from ib_kernel import current_interview\nawait current_interview().say('A token bucket.')")
    shown = repr(ran.result)
    assert shown.startswith(ran.result.text)
    assert shown.splitlines()[-1].startswith("[turn 1 · ")


def test_what_a_query_says_steers_no_terminal(nb):
    """An error that the user's own data made shows its escape sequences and stays one line."""
    line = nb.fails("%%usage\nSELECT error(chr(27) || ']52;c;x' || chr(7) || chr(27) || '[2J' || chr(8238))")
    assert not set("\x1b\x07\u202e") & set(line)
    assert "]52;c;x" in line
    shown = nb.ok("%%usage\nSELECT chr(27) || '[2J' || chr(8238) AS v").result
    assert not set("\x1b\u202e") & set(repr(shown) + shown._repr_html_())


@pytest.mark.parametrize("suffix", ["md", "html", "json", "ipynb"])
def test_a_transcript_is_written_and_never_overwritten_silently(nb, tmp_path, suffix):
    """The conversation goes to a file; an existing file needs --overwrite."""
    nb.ok(START)
    nb.ok("%%interview\nA token bucket, `x`.")
    file = tmp_path / f"ada.{suffix}"
    assert "2 messages written" in nb.ok(f'%interview transcript "{file}"').text
    content = file.read_text(encoding="utf-8")
    assert "A token bucket, " in content
    assert "settled" in content
    assert file.stat().st_mode & 0o777 == 0o600
    if suffix in ("json", "ipynb"):
        json.loads(content)
    if suffix == "ipynb":
        import nbformat

        nbformat.validate(nbformat.reads(content, as_version=4))
    assert "--overwrite" in nb.fails(f'%interview transcript "{file}"')
    nb.ok(f'%interview transcript "{file}" --overwrite')
    assert ".md, .html, .ipynb or .json" in nb.fails("%interview transcript ada.pdf")


# --- settings, loading, completion


def test_config_changes_what_the_next_command_does(nb):
    """A value set with %config counts at once, is reported with its origin, and keeps the session."""
    nb.ok(START)
    session = nb.magics.engine.session_id
    nb.ok("%config InterviewMagics.token_budget = 7_000")
    assert nb.magics.engine.interview.session_id == session
    assert "7,000 tokens" in nb.ok("%interview start").text
    assert nb.magics.engine.settings().origins["token_budget"] == "%config"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("token_budget = -3", "token_budget (%config) cannot be -3"),
        (
            "stream = 'sometimes'",
            "stream (%config) cannot be 'sometimes'; allowed: one of live, final",
        ),
        ("modle = 'x'", "InterviewMagics has no setting 'modle'; did you mean model?"),
        ("api_key = 'sk-secretsecret'", "The API key is not set in a cell"),
    ],
)
def test_a_bad_config_value_fails_the_cell_and_changes_nothing(nb, line, shown):
    """%config refuses with one line, never shows a key, and the next good value is taken."""
    said = nb.fails(f"%config InterviewMagics.{line}")
    assert said.startswith(shown)
    assert "secretsecret" not in said
    nb.ok("%config InterviewMagics.reply_tokens = 300")
    assert nb.magics.overrides() == {"reply_tokens": 300}
    nb.ok("%reload_ext ib_kernel")


def test_a_key_in_the_environment_is_seen_at_once(nb, monkeypatch):
    """Settings are looked up again at every command."""
    assert nb.magics.engine.interview.settings.client_name == "demo"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-not-a-key")
    assert nb.magics.engine.interview.settings.client_name == "openai"


def test_loading_twice_and_reloading_keep_one_instance_and_the_session(nb):
    """There is one %config entry however often the extension is loaded, and the session stays in use."""
    nb.ok(START)
    nb.ok("%load_ext ib_kernel\n%reload_ext ib_kernel\n%load_ext ib_kernel")
    entries = [c for c in nb.shell.configurables if type(c).__name__ == "InterviewMagics"]
    assert entries == [nb.magics]
    assert "Ada" in nb.ok("%interview status").text


def test_unloading_leaves_nothing_behind(nb):
    """Magics, %config entry, completion and the background loop are gone."""
    import threading

    before = threading.enumerate()
    nb.ok(START)
    nb.ok("%%interview\nhello")
    nb.ok("%unload_ext ib_kernel")
    assert "InterviewMagics" not in nb.shell.magics_manager.registry
    for kind in ("line", "cell"):
        assert not {"interview", "budget", "usage"} & set(nb.shell.magics_manager.magics[kind])
    assert not [c for c in nb.shell.configurables if type(c).__name__ == "InterviewMagics"]
    assert not [m for m in nb.shell.Completer.custom_matchers if "interview" in m.__name__]
    assert not [t for t in threading.enumerate() if t.name.startswith("ib-") and t not in before]
    nb.ok("%load_ext ib_kernel")


def test_loading_is_light():
    """A fresh process that loads the extension has imported none of the slow packages."""
    code = (
        "import sys\nfrom IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\nbefore = set(sys.modules)\n"
        "shell.run_line_magic('load_ext', 'ib_kernel')\n"
        "heavy = 'openai tiktoken duckdb ipywidgets anywidget tenacity anyio genai_prices pydantic nh3 "
        "markdown_it apsw pluggy'.split()\n"
        "print([name for name in heavy if name in set(sys.modules) - before])\nshell.atexit_operations()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=280, check=True
    )
    assert done.stdout.strip() == "[]"


def completed(nb: Notebook, line: str) -> set[str]:
    """Return what the line would be after each completion, as a front end applies it."""
    from IPython.core.completer import provisionalcompleter, rectify_completions

    with provisionalcompleter():
        found = list(rectify_completions(line, nb.shell.Completer.completions(line, len(line))))
    return {line[: c.start] + c.text + line[c.end :] for c in found}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%interview st", {"%interview start", "%interview status"}),
        ("%interview start --ca", {"%interview start --candidate"}),
        ("%interview start --challenge ra", {"%interview start --challenge rate-limiter"}),
        ("%interview start --challenge=ra", {"%interview start --challenge=rate-limiter"}),
        ("%interview start --client d", {"%interview start --client demo"}),
        ("%interview start --model gpt-5.4-m", {"%interview start --model gpt-5.4-mini"}),
        ("%interview start --as ", {"%interview start --as interviewer", "%interview start --as assistant"}),
        ("%%interview --v", {"%%interview --var", "%%interview --vars"}),
        ("%%interview -m gpt-5.4-m", {"%%interview -m gpt-5.4-mini"}),
        ("%usage a", {"%usage all", "%usage accuracy"}),
        ("%config InterviewMagics.token", {"%config InterviewMagics.token_budget"}),
    ],
)
def test_tab_completes(nb, line, expected):
    """Subcommands, options and their values are offered, and nothing that does not belong there."""
    assert completed(nb, line) == expected


def test_tab_completes_session_ids(nb):
    """%interview use offers the ids of the ledger."""
    nb.ok(START)
    assert completed(nb, "%interview use ") == {f"%interview use {nb.magics.engine.session_id}"}


def test_tab_leaves_other_lines_alone(nb):
    """Python and other magics complete as before."""
    nb.shell.user_ns["interview_notes"] = 1
    assert "interview_notes" in completed(nb, "interview_no")
    assert "%interview" in completed(nb, "%intervi")


def test_the_docstring_teaches_by_example(nb):
    """%%interview? shows what to type."""
    assert "%interview start" in nb.shell.find_cell_magic("interview").__doc__


def test_the_start_names_a_budget_in_money(nb):
    """Who sets dollars sees them where the tokens stand, before and after the first turn."""
    nb.magics.engine.plugins.register(Paced(["Go on."], usage=Usage(1_000_000, 0)), name="paced")
    start = "%interview start --client paced --model gpt-4.1-mini --budget 2000000 --budget-usd 1"
    assert "Budget: 2,000,000 tokens · $1.00 · no time limit" in nb.ok(start).text
    nb.ok("%%interview\nHello")
    assert "tokens left · $0.60 of $1.00 left · no time limit" in nb.ok("%interview status").text


# --- doctor


def test_the_doctor_tells_everything_but_the_key(nb, monkeypatch):
    """Settings with origins, plugins, versions and the ledger's health; the key is only set or not set."""
    assert "not set" in nb.ok("%interview doctor").text
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-not-a-key")
    nb.ok("%interview start --client demo")
    ran = nb.ok("%interview doctor")
    for part in ("OPENAI_API_KEY", "usage.duckdb", "it adds up", "tiktoken", "chosen", "Python"):
        assert part in ran.text
    assert "not-a-key" not in ran.text + ran.html


def test_the_doctor_names_a_misspelt_variable(nb, monkeypatch):
    """A variable that nothing reads is shown with what it may have meant, and without its value."""
    monkeypatch.setenv("IB_MODLE", "gpt-secret")
    monkeypatch.setenv("IB_DEMO_DELAYS", "1")
    shown = nb.ok("%interview doctor").text
    assert "IB_MODLE" in shown
    assert "nothing reads this variable; did you mean IB_MODEL?" in shown
    assert "nothing reads this variable; did you mean IB_DEMO_DELAY_S?" in shown
    assert "gpt-secret" not in shown


class Lacking:
    """A counter plugin whose library is not installed."""

    @hookimpl
    def ib_register(self, catalog):
        catalog.add_counter("lacking", self.build)

    def build(self, settings):
        raise BrokenPlugin("the counter 'lacking' needs more-words: pip install more-words")


def test_the_doctor_says_what_a_chosen_plugin_lacks(nb):
    """A counter whose package is missing, and a client without its key, are named before the first turn."""
    nb.magics.engine.plugins.register(Lacking(), name="lacking")
    nb.ok("%config InterviewMagics.counter = 'lacking'\n%config InterviewMagics.client = 'openai'")
    lines = [" ".join(line.split()) for line in nb.ok("%interview doctor").text.splitlines()]
    assert (
        "counter lacking lacking chosen, but: the counter 'lacking' needs more-words: pip install more-words"
        in lines
    )
    assert any(line.startswith("client openai openai chosen, but: ") and "API_KEY" in line for line in lines)


def test_the_doctor_reports_a_broken_plugin_and_a_bad_setting(nb, monkeypatch):
    """What is broken becomes a line of the report, never an error."""

    class Broken:
        def ib_regster(self) -> None: ...

    from ib_kernel import hookimpl

    Broken.ib_regster = hookimpl(Broken.ib_regster)
    from ib_kernel.errors import BrokenPlugin

    with pytest.raises(BrokenPlugin):
        nb.magics.engine.plugins.register(Broken(), name="broken")
    assert "BROKEN" in nb.ok("%interview doctor").text
    monkeypatch.setenv("IB_TOKEN_BUDGET", "plenty")
    assert "IB_TOKEN_BUDGET" in nb.ok("%interview doctor").text
