"""The border that plugins grow through: a plugin in another folder, installed, adds what it needs.

`acme/` is that folder: a package, a challenge and a pyproject.toml, as docs/plugins.md shows them.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from notebook_shell import Notebook, Paced, notebook

from ib_kernel import Interview, hookimpl
from ib_kernel.errors import ConfigError, NameClash, NoSession, UnknownName
from ib_kernel.interview.challenges import list_challenges, load_challenge, offered_challenges
from ib_kernel.notebook.commands.complete import complete
from ib_kernel.notebook.commands.grammar import SUBCOMMANDS
from ib_kernel.plugin.commands import RESERVED, Command
from ib_kernel.plugin.events import SessionEnded
from ib_kernel.plugin.manager import Plugins
from ib_kernel.plugin.registry import Catalog
from ib_kernel.settings import Secret, Settings, parsing, setting
from ib_kernel.values import Usage

FOLDER = Path(__file__).parent / "acme"
TOKEN = "acme-archive-0123456789"


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install the folder as pip would: files on the path, and metadata with its entry point."""
    site = tmp_path / "site"
    shutil.copytree(FOLDER, site)
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = site / f"acme_interviews-{project['version']}.dist-info"
    metadata.mkdir()
    about = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (metadata / "METADATA").write_text(about, encoding="utf-8")
    entries = "".join(f"{name} = {where}\n" for name, where in project["entry-points"]["ib_kernel"].items())
    (metadata / "entry_points.txt").write_text(f"[ib_kernel]\n{entries}", encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("acme_interviews", None)


@pytest.fixture
def nb(acme: Path) -> Iterator[Notebook]:
    """A notebook on a machine where the plugin is installed."""
    with notebook() as loaded:
        yield loaded


def test_the_plugin_is_short() -> None:
    """All four take at most 60 lines of Python, challenge and packaging together."""
    files = [path for path in FOLDER.rglob("*") if path.suffix in (".py", ".md", ".toml")]
    assert len(files) == 3
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= 60


def test_the_guide_shows_the_plugin_as_it_is() -> None:
    """Who copies the three files from docs/plugins.md has what these tests run."""
    page = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
    for path in FOLDER.rglob("*"):
        if path.suffix in (".py", ".md", ".toml"):
            assert f"\n{path.read_text(encoding='utf-8')}```\n" in page, path.name
            assert f"`{path.relative_to(FOLDER).as_posix()}`" in page


def test_the_doctor_shows_all_four(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting with its origin, command, challenge, and model with limits and price; no secret."""
    monkeypatch.setenv("IB_ACME_LONGEST", "40")
    monkeypatch.setenv("IB_ACME_TOKEN", TOKEN)
    shown = nb.ok("%interview doctor")
    rows = [" ".join(line.split()) for line in shown.text.splitlines()]
    assert "plugins.acme.longest 40 IB_ACME_LONGEST" in rows
    assert "plugins.acme.token set IB_ACME_TOKEN" in rows
    assert "command %interview recap acme works" in rows
    assert "challenge parcel-lockers parcel-lockers.md of the plugin acme Parcel lockers" in rows
    assert any(
        row.startswith("model acme-large acme 32,000 tokens, replies of 4,000; $0.5 in, $2 out")
        for row in rows
    )
    assert "plugin acme acme-interviews 1.2 works" in rows
    assert TOKEN not in shown.text + shown.html


def test_an_interview_uses_all_four(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """The challenge is posed, the model has its price and a budget in money, the command its setting."""
    nb.magics.engine.plugins.register(Paced(["Why lockers?"], usage=Usage(1_000, 100)), name="paced")
    nb.ok("%interview start --client paced --model acme-large --challenge parcel-lockers --budget-usd 0.02")
    nb.ok("%%interview\nOne service per city.")
    engine = nb.magics.engine
    totals = engine.service.totals(engine.session_id)
    assert totals.cost_nano_usd == 1_000 * 500 + 100 * 2_000
    price_sources = engine.service.store.sql("SELECT DISTINCT price_source FROM calls").fetchall()
    assert price_sources == [("the plugin acme-interviews 1.2",)]
    assert nb.ok("%interview recap").text.strip() == "user: One service per city.\nassistant: Why lockers?"
    monkeypatch.setenv("IB_ACME_LONGEST", "9")
    assert nb.ok("%interview recap user").text.strip() == "user: One"
    session = engine.interview.session
    assert session.challenge == "parcel-lockers"
    assert engine.interview.challenge(session).title == "Parcel lockers"


def test_a_command_is_helped_listed_and_completed(nb: Notebook) -> None:
    """`--help`, `%interview help`, did-you-mean and Tab know a plugin's command as they know ours."""
    assert nb.ok("%interview recap --help").text.splitlines()[:2] == [
        "%interview recap [user|assistant]",
        "  Show who said what, a line each.",
    ]
    assert "%interview recap " in nb.ok("%interview help").text
    assert "parcel-lockers" in nb.ok("%interview help").text
    assert "did you mean recap?" in nb.fails("%interview recpa")
    engine = nb.magics.engine
    assert complete(engine, "%interview rec") == ["record", "recap"]
    assert complete(engine, "%interview recap ") == ["user", "assistant"]
    assert complete(engine, "%interview recap -") == ["--help"]
    assert complete(engine, "%interview start --challenge parcel") == ["parcel-lockers"]
    assert complete(engine, "%interview start --model acme") == ["acme-large"]


def test_a_mistake_in_a_table_names_the_source(nb: Notebook, tmp_path: Path, monkeypatch: Any) -> None:
    """A key that no setting has, or a value that cannot be used, is one line; a table of nobody is shown."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("IB_CONFIG", str(path))
    path.write_text("[plugins.acme]\nlongst = 3\n", encoding="utf-8")
    line = nb.fails("%interview start")
    assert "Unknown setting 'longst' in [plugins.acme] (config.toml); did you mean longest?" in line
    assert "did you mean longest?" in nb.ok("%interview doctor").text
    path.write_text("[plugins.acme]\nlongest = 0\n", encoding="utf-8")
    assert "plugins.acme.longest (config.toml) cannot be 0; allowed: a whole number" in nb.fails(
        "%interview start"
    )
    path.write_text("[plugins.acme]\nlongest = 5\n[plugins.acne]\nx = 1\n", encoding="utf-8")
    nb.ok("%interview start")
    assert (
        "no plugin that is installed reads this table; did you mean acme?" in nb.ok("%interview doctor").text
    )


# --- settings


@dataclass(frozen=True)
class Mine:
    """Settings of a plugin, one of each kind that matters here."""

    url: str = setting(parsing.parse_url, "https://mine.example/v1", "address")
    token: Secret | None = setting(parsing.parse_secret, None, "key")
    rounds: int = setting(parsing.parse_whole(1), 3, "rounds")


def test_precedence_is_that_of_the_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given, then the environment, then config.toml, then the default; key by key, and typed."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("IB_CONFIG", str(path))
    assert Settings().plugin("mine", Mine) == Mine()
    path.write_text('[plugins.mine]\nrounds = 5\nurl = "http://file.example"\n', encoding="utf-8")
    assert Settings().plugin("mine", Mine) == Mine(url="http://file.example", rounds=5)
    monkeypatch.setenv("IB_MINE_ROUNDS", "7")
    monkeypatch.setenv("IB_MINE_TOKEN", TOKEN)
    assert Settings().plugin("mine", Mine) == Mine("http://file.example", Secret(TOKEN), 7)
    given = Settings(plugins={"mine": {"rounds": 9}})
    assert given.plugin("mine", Mine) == Mine("http://file.example", Secret(TOKEN), 9)
    assert (
        given.replace("%config", plugins={"mine": {"rounds": "1,000"}}).plugin("mine", Mine).rounds == 1_000
    )


def test_settings_with_other_tables_are_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a notebook notices a changed table; a copy keeps what was looked up."""
    before = Settings()
    monkeypatch.setenv("IB_MINE_ROUNDS", "7")
    after = Settings()
    assert before != after
    assert before.replace(model="gpt-4o").plugin("mine", Mine).rounds == 3
    assert after == Settings()


def test_a_plugins_key_is_shown_nowhere() -> None:
    """No repr, no message and no dump of attributes has it, right or wrong."""
    settings = Settings(plugins={"mine": {"token": TOKEN, "url": f"http://h/?key={TOKEN}"}})
    shown = [repr(settings), repr(settings.plugins), str(vars(settings)["plugins"])]
    with pytest.raises(ConfigError) as caught:
        settings.plugin("mine", Mine)
    shown.append(str(caught.value))
    with pytest.raises(ConfigError) as caught:
        Settings(plugins={"mine": {"token": f"{TOKEN} with spaces"}}).plugin("mine", Mine)
    assert "plugins.mine.token (given) cannot be that value" in str(caught.value)
    assert TOKEN not in "".join([*shown, str(caught.value)])
    with pytest.raises(TypeError, match="cannot be pickled"):
        settings.plugins.__reduce__()


@pytest.mark.parametrize("tables", ["x", {"mine": 3}, [1]])
def test_tables_that_are_no_tables_are_one_line(tables: Any) -> None:
    """`[plugins]` holds a table for each plugin."""
    with pytest.raises(ConfigError, match=r"plugins \(given\) must be a table for each plugin"):
        Settings(plugins=tables)


def test_a_declaration_that_cannot_work_is_refused() -> None:
    """Names that are taken or cannot be typed, and classes that declare nothing, fail when registered."""

    @dataclass(frozen=True)
    class Budget:
        budget: int = setting(parsing.parse_whole(1), 3, "rounds")

    @dataclass(frozen=True)
    class Plain:
        rounds: int = 3

    catalog = Catalog()
    with pytest.raises(NameClash, match="IB_TOKEN_BUDGET is a setting of the core"):
        catalog.add_settings("token", Budget)
    with pytest.raises(ConfigError, match="needs a name such as acme"):
        catalog.add_settings("Mine!", Mine)
    with pytest.raises(ConfigError, match=r"Plain.rounds is not made by setting"):
        catalog.add_settings("plain", Plain)
    with pytest.raises(ConfigError, match="needs a frozen dataclass"):
        catalog.add_settings("plain", dict)
    catalog.add_settings("mine", Mine)
    with pytest.raises(NameClash, match="offered by you twice"):
        catalog.add_settings("mine", Mine)
    catalog.add_settings("a", type("A", (), {"__dataclass_fields__": {}}))
    catalog.drop("you")
    assert catalog.settings.names() == {}


# --- commands


def test_what_is_built_in_cannot_be_taken() -> None:
    """The reserved names are exactly the subcommands that are built in (and the other name of one)."""
    assert set(RESERVED) == {*SUBCOMMANDS, "list"}
    with pytest.raises(ConfigError, match="'status': it is built in"):
        Catalog().add_command("status", lambda interview, words: None, "Mine.")
    with pytest.raises(ConfigError, match="lower-case letters"):
        Catalog().add_command("Two words", lambda interview, words: None, "Mine.")
    with pytest.raises(ConfigError, match="needs a one-line summary"):
        Catalog().add_command("mine", lambda interview, words: None, " ")
    with pytest.raises(ConfigError, match="a callable to run"):
        Command("mine", "Mine.", "print")  # type: ignore[arg-type]


def offering(nb: Notebook, run: Any) -> None:
    """Register a plugin whose command `mine` does *run*."""

    class Offers:
        @hookimpl
        def ib_register(self, catalog: Catalog) -> None:
            catalog.add_command("mine", run, "Mine.", options=("--force",))

    nb.magics.engine.plugins.register(Offers(), name="offers")


def test_a_command_gets_its_words_and_any_result_is_shown(nb: Notebook) -> None:
    """Quotes group words; text is shown as text, another object as IPython shows it, None not at all."""
    got: list[Any] = []
    offering(nb, lambda interview, words: got.append(words))
    assert nb.ok('%interview mine "two words" --force').data == []
    assert got == [["two words", "--force"]]
    offering(nb, lambda interview, words: "<b>as it is</b>")
    assert "&lt;b&gt;as it is&lt;/b&gt;" in nb.ok("%interview mine").html
    offering(nb, lambda interview, words: {"a": 1})
    assert "{'a': 1}" in nb.ok("%interview mine").text
    assert "--force" in nb.ok("%interview mine --help").text
    assert complete(nb.magics.engine, "%interview mine --f") == ["--force"]


def test_a_failing_command_is_one_line(nb: Notebook) -> None:
    """Our own errors are shown as they are; anything else names command, plugin and mistake."""
    offering(nb, lambda interview, words: 1 / 0)
    line = nb.fails("%interview mine")
    assert "%interview mine of the plugin offers failed: ZeroDivisionError: division by zero" in line
    offering(nb, lambda interview, words: interview.session)
    ran = nb.run("%interview mine")
    assert isinstance(ran.error, NoSession)


# --- challenges


def posing(*folders: Path) -> Plugins:
    """Return plugins one, two, … that offer the challenges of a folder each."""

    def plugin(folder: Path, name: str) -> Any:
        @hookimpl
        def ib_register(catalog: Catalog) -> None:
            catalog.add_challenges(folder)

        return SimpleNamespace(__name__=name, ib_register=ib_register)

    numbers = ("one", "two", "three")
    return Plugins([plugin(f, n) for f, n in zip(folders, numbers, strict=False)], entry_points=False)


def test_bad_files_and_clashes_are_one_line_each(tmp_path: Path) -> None:
    """A file that cannot be used, and a name that two plugins offer, fail when they are chosen."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "same.md").write_text("A task.", encoding="utf-8")
    (one / "good.md").write_text("A good task.", encoding="utf-8")
    (one / "broken.md").write_text("+++\nname =\n+++\nx", encoding="utf-8")
    (two / "rate-limiter.md").write_text("Ours is shipped.", encoding="utf-8")
    plugins = posing(one, two)
    assert "good" in [c.name for c in list_challenges(plugins)]
    assert load_challenge("good", plugins).text == "A good task."
    assert load_challenge("rate-limiter", plugins).origin == "shipped"
    with pytest.raises(NameClash, match=r"'same' is offered by both one and two"):
        load_challenge("same", plugins)
    with pytest.raises(ConfigError, match=r"front matter of the challenge broken.md of the plugin one"):
        load_challenge("broken", plugins)
    assert set(offered_challenges(plugins)[1]) == {"same", "broken", "rate-limiter"}
    with pytest.raises(UnknownName, match=r"did you mean good\?"):
        load_challenge("godo", plugins)


def test_a_folder_that_is_not_there_breaks_its_plugin_only(tmp_path: Path) -> None:
    """It is told by the doctor; a folder that goes later offers nothing."""
    plugins = posing(tmp_path / "nowhere")
    plugins.load()
    assert "there is no folder" in plugins.infos["one"].problem
    folder = tmp_path / "folder"
    folder.mkdir()
    plugins = posing(folder)
    plugins.load()
    folder.rmdir()
    assert offered_challenges(plugins) == ({}, {})


def test_the_rubric_of_an_own_file_reaches_the_model(tmp_path: Path, settings: Settings) -> None:
    """What is assessed is told to the model with the notes, and shown to nobody."""
    file = tmp_path / "mine.md"
    rubric = 'rubric = ["asks about clocks", "names the race"]'
    file.write_text(f"+++\ntitle = 'T'\n{rubric}\n+++\nTask.\n<!-- interviewer -->\nNote.", encoding="utf-8")
    challenge = load_challenge(file)
    assert challenge.rubric == ("asks about clocks", "names the race")
    assert "clocks" not in repr(challenge) + challenge.text
    client = Paced(["Well?"])
    bodies: list[Any] = []
    body = client.body
    client.body = lambda request: bodies.append(body(request)) or bodies[-1]  # type: ignore[method-assign]
    with Interview(settings.replace(client="paced"), plugins=Plugins([client])) as buddy:
        buddy.start(challenge=str(file))
        buddy.say_sync("Hello")
        assert buddy.challenge(buddy.session).rubric == ()
    system = bodies[0]["messages"][0]["content"]
    assert "asks about clocks" in system
    assert "names the race" in system


# --- models


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"context_window": 9}, "needs max_output"),
        ({"context_window": 9, "max_output": 3, "input_usd_per_mtok": 1}, "needs output_usd_per_mtok too"),
        ({"context_windw": 9}, "did you mean context_window?"),
    ],
)
def test_a_model_that_is_described_wrongly_is_refused(row: dict[str, Any], part: str) -> None:
    """The line names the entry when the plugin is loaded."""
    with pytest.raises(ConfigError, match=part):
        Catalog().add_model("mine", **row)


def test_the_users_row_comes_before_a_plugins(acme: Path) -> None:
    """Whoever pays decides: a price or limit in settings changes what a plugin says."""
    plugins = Plugins()
    info = plugins.model("acme-large", Settings(models={"acme-large": {"max_output": 10}}))
    assert (info.max_output, info.context_window) == (10, 32_000)
    assert info.rates is not None
    assert info.rates.input == Decimal("0.5")


def test_our_own_table_is_not_a_plugins_to_change() -> None:
    """A plugin that offers a shipped model is refused."""
    with pytest.raises(NameClash, match="'gpt-4o' is in our table"):
        Catalog().add_model("gpt-4o", context_window=9, max_output=3)


def test_one_name_is_one_format_for_usage() -> None:
    """Two plugins that write files of one kind are an error that names both."""
    import ib_duckdb
    from ib_duckdb.archive import DuckDBFormat

    class AlsoDuckDB:
        @hookimpl
        def ib_register(self, catalog: Catalog) -> None:
            catalog.add_usage_format("duckdb", DuckDBFormat())

    plugins = Plugins([ib_duckdb, AlsoDuckDB()], entry_points=False)
    plugins.load()
    assert plugins.catalog.usage_formats.names() == {"duckdb": "ib_duckdb"}
    (problem,) = [info.problem for info in plugins.infos.values() if info.problem]
    assert "the format for usage 'duckdb' is offered by" in problem


def test_a_client_names_whose_models_it_serves() -> None:
    """Limits and prices of its models are that provider's; a provider that fails costs the price only."""

    class Serves:
        @hookimpl
        def ib_register(self, catalog: Catalog) -> None:
            catalog.add_client("claude", lambda settings: None, provider="anthropic")  # type: ignore[arg-type]
            catalog.add_client("late", lambda settings: None, provider=lambda settings: settings.base_url)  # type: ignore[arg-type, return-value]
            catalog.add_client("broken", lambda settings: None, provider=lambda settings: 1 / 0)  # type: ignore[arg-type, return-value]

    plugins, settings = Plugins([Serves()], entry_points=False), Settings(client="claude")
    assert plugins.model("claude-haiku-4-5", settings).provider == "anthropic"
    assert plugins.provider("broken", settings) == plugins.provider("nobody", settings) == ""
    groq = settings.replace(base_url="https://api.groq.com/openai/v1")
    assert plugins.model("openai/gpt-oss-120b", groq, "late").provider == "groq"


# --- the end of a session


@pytest.mark.parametrize("how", ["complete", "cancel"])
def test_the_end_of_a_session_is_told_once(how: str, settings: Settings) -> None:
    """`ib_session_ended` has the session with its last status and its sums; pausing is no end."""
    told: list[SessionEnded] = []

    class Watches:
        @hookimpl
        def ib_session_ended(self, event: SessionEnded) -> None:
            told.append(event)

    with Interview(settings.replace(client="demo"), plugins=Plugins([Watches()])) as buddy:
        buddy.start(token_budget=5_000)
        buddy.say_sync("Hello")
        session_id = buddy.session.session_id
        buddy.service.pause(session_id)
        assert told == []
        getattr(buddy.service, how)(session_id)
        (event,) = told
        assert event.session.session_id == session_id
        assert event.session.status == {"complete": "completed", "cancel": "cancelled"}[how]
        assert event.totals == buddy.service.totals(session_id)
        assert event.totals.turns == 1
