"""Plugins are found, chosen by name and told things; a broken one does no harm."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import logging
import os
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ib_kernel import hookimpl
from ib_kernel.errors import BrokenPlugin, ConfigError, NameClash, NoKey, UnknownName
from ib_kernel.plugin import hookspecs
from ib_kernel.plugin import manager as plugins
from ib_kernel.plugin.events import (
    AfterCall,
    BeforeCall,
    BudgetWarning,
    CallFailed,
    SessionChanged,
    SessionEnded,
)
from ib_kernel.plugin.loading import HOOKS
from ib_kernel.plugin.manager import Plugins
from ib_kernel.plugin.registry import Catalog, did_you_mean
from ib_kernel.settings import Settings
from ib_kernel.values import CallEnd, Count, Session, Totals


class Part:
    """Stands for a counter, client or store: here only who was built, from what, matters."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


def offers(**factories: Callable[[Settings], Any]) -> Any:
    """Return a plugin that offers counters by these names."""

    class Offers:
        @hookimpl
        def ib_register(self, catalog: Catalog) -> None:
            for name, factory in factories.items():
                catalog.add_counter(name, factory)  # type: ignore[arg-type]

    return Offers()


def module(source: str, name: str = "mine") -> types.ModuleType:
    """Return a plugin module made of *source*, as a notebook cell or a file would."""
    made = types.ModuleType(name)
    exec(textwrap.dedent(source), made.__dict__)
    return made


def alone(*extra: Any) -> Plugins:
    """Return plugins without any installed one."""
    return Plugins(extra, entry_points=False)


# --- the catalog


def test_a_factory_runs_when_its_product_is_asked_for() -> None:
    """Registering and listing build nothing; each request builds once, from the settings it came with."""
    built = []
    mine = alone(offers(a=lambda settings: built.append(settings) or Part(settings), b=Part))
    mine.load()
    assert mine.catalog.counters.names() == {"a": "Offers", "b": "Offers"}
    assert built == []
    settings = Settings(counter="a")
    assert mine.counter(settings).settings is settings  # type: ignore[attr-defined]
    assert built == [settings]


@pytest.mark.parametrize("kind", ["counter", "client", "store"])
def test_each_kind_has_its_own_names(kind: str) -> None:
    """One name may stand for a counter, a client and a store; each choice finds its own."""

    class Three:
        @hookimpl
        def ib_register(self, catalog: Catalog) -> None:
            catalog.add_counter("same", lambda settings: "counter")  # type: ignore[arg-type, return-value]
            catalog.add_client("same", lambda settings: "client")  # type: ignore[arg-type, return-value]
            catalog.add_store("same", lambda settings: "store")  # type: ignore[arg-type, return-value]

    settings = Settings(counter="same", client="same", store="same")
    assert getattr(alone(Three()), kind)(settings) == kind


def test_a_clash_names_both_plugins() -> None:
    """A name that is taken is refused with both plugins' names."""
    catalog = Catalog()
    catalog.plugin = "one"
    catalog.add_counter("same", Part)  # type: ignore[arg-type]
    catalog.plugin = "two"
    with pytest.raises(NameClash, match=r"the counter 'same' is offered by both one and two; remove one"):
        catalog.add_counter("same", Part)  # type: ignore[arg-type]
    catalog.plugin = "one"
    with pytest.raises(NameClash, match=r"the counter 'same' is offered by one twice"):
        catalog.add_counter("same", Part)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "factory"), [("", Part), (None, Part), ("x", None), ("x", "module:Class")])
def test_only_a_named_callable_is_a_factory(name: Any, factory: Any) -> None:
    """A product, a path or a missing name in the factory's place is refused at registration."""
    with pytest.raises(ConfigError, match=r"add_store\(.*needs a name and a factory"):
        Catalog().add_store(name, factory)


def test_an_unknown_name_lists_what_is_installed() -> None:
    """The line names the kind, what is installed and what was probably meant."""
    mine = alone(offers(tiktoken=Part, fast=Part))
    with pytest.raises(UnknownName) as caught:
        mine.counter(Settings(counter="tiktokne"))
    assert str(caught.value) == (
        "no counter called 'tiktokne'; installed: fast, tiktoken; did you mean tiktoken?"
    )
    with pytest.raises(UnknownName, match=r"^no store called 'duckdb'; installed: none$"):
        alone().store(Settings())


def test_a_hint_is_given_only_for_something_close() -> None:
    """Nothing is suggested for a name that resembles none."""
    assert did_you_mean("opanai", ["openai", "demo"]) == "; did you mean openai?"
    assert did_you_mean("zzz", ["openai", "demo"]) == ""


# --- what is installed


def test_the_default_plugins_are_found_and_work() -> None:
    """The four plugins of this distribution register like anyone's, without a problem."""
    mine = Plugins()
    mine.load()
    assert {"tiktoken", "openai", "duckdb", "demo"} <= set(mine.infos)
    assert [info for info in mine.infos.values() if info.problem] == []
    assert "tiktoken" in mine.catalog.counters.names()
    assert {"openai", "demo"} <= set(mine.catalog.clients.names())
    assert "duckdb" in mine.catalog.stores.names()
    assert mine.infos["demo"].version == importlib.metadata.version("interview-buddy-kernel")


def fake_entry_points(
    monkeypatch: pytest.MonkeyPatch, entries: dict[str, Callable[[], Any]], calls: list[str] | None = None
) -> None:
    """Let the installed plugins be *entries*: names, and what loading each does."""

    class Entry:
        value = "somewhere"
        dist = None

        def __init__(self, name: str, load: Callable[[], Any]) -> None:
            self.name, self.load = name, load

    def entry_points(*, group: str) -> list[Any]:
        if calls is not None:
            calls.append(group)
        return [Entry(name, load) for name, load in entries.items()]

    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", entry_points)


def test_entry_points_are_read_at_first_use_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building `Plugins` reads nothing; the first request reads, the second does not."""
    calls: list[str] = []
    fake_entry_points(monkeypatch, {"a": lambda: offers(a=Part)}, calls)
    mine = Plugins()
    assert calls == []
    mine.counter(Settings(counter="a"))
    mine.counter(Settings(counter="a"))
    assert calls == ["ib_kernel"]


def test_entry_points_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With entry_points=False only the plugins handed in exist."""
    calls: list[str] = []
    fake_entry_points(monkeypatch, {"a": lambda: offers(a=Part)}, calls)
    mine = Plugins([offers(b=Part)], entry_points=False)
    mine.load()
    assert calls == []
    assert mine.catalog.counters.names() == {"b": "Offers"}


def test_many_threads_load_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that ask at the same time all get their part, and every plugin is loaded once."""
    loads: list[str] = []
    gate = threading.Barrier(8)

    def load() -> Any:
        loads.append("a")
        return offers(a=Part)

    fake_entry_points(monkeypatch, {"a": load})
    mine = Plugins()
    products: list[Any] = []

    def ask() -> None:
        gate.wait()
        products.append(mine.counter(Settings(counter="a")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(products) == 8
    assert loads == ["a"]


def test_an_interrupt_while_loading_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during a slow import reaches the user, and the next use loads everything."""
    presses = iter([True, False])

    def slow() -> Any:
        if next(presses):
            raise KeyboardInterrupt
        return offers(slow=Part)

    fake_entry_points(monkeypatch, {"a": lambda: offers(a=Part), "slow": slow, "z": lambda: offers(z=Part)})
    mine = Plugins()
    with pytest.raises(KeyboardInterrupt):
        mine.load()
    mine.load()
    assert sorted(mine.catalog.counters.names()) == ["a", "slow", "z"]


# --- what is broken


def missing_import() -> Any:
    """Import something that does not exist."""
    import no_such_library_here  # noqa: F401


def syntax_error() -> Any:
    """Compile something that is not Python."""
    compile("def broken(:", "broken.py", "exec")


def leaves() -> Any:
    """Exit, as a module that checks its Python version does."""
    sys.exit("needs Python 4")


class Panic(BaseException):
    """What a compiled library may raise."""


def panics() -> Any:
    """Raise what is not even an Exception."""
    raise Panic("index out of bounds")


BROKEN: dict[str, tuple[Callable[[], Any], str]] = {
    "import error": (missing_import, "ModuleNotFoundError: No module named 'no_such_library_here'"),
    "syntax error": (syntax_error, "SyntaxError: invalid syntax"),
    "exit": (leaves, "SystemExit: needs Python 4"),
    "panic": (panics, "Panic: index out of bounds"),
    "register raises": (
        lambda: module(
            """
            from ib_kernel import hookimpl
            @hookimpl
            def ib_register(catalog):
                catalog.add_counter("half", lambda settings: None)
                raise RuntimeError("no licence\\nfound")
            """
        ),
        "RuntimeError: no licence found",
    ),
    "misspelt hook": (
        lambda: module("from ib_kernel import hookimpl\n@hookimpl\ndef ib_aftr_call(event): ..."),
        "there is no hook ib_aftr_call; did you mean ib_after_call?",
    ),
    "wrong argument": (
        lambda: module("from ib_kernel import hookimpl\n@hookimpl\ndef ib_after_call(evnt): ..."),
        "Argument(s) {'evnt'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "forgotten mark": (
        lambda: module("def ib_register(catalog): ..."),
        "ib_register lacks its @hookimpl (from ib_kernel import hookimpl)",
    ),
    "wrapper": (
        lambda: module(
            "from ib_kernel import hookimpl\n@hookimpl(wrapper=True)\ndef ib_after_call(event):\n    yield"
        ),
        "ib_after_call is a wrapper",
    ),
    "nothing": (lambda: module(""), "it implements no hook; there are: ib_register, ib_before_call"),
    "no module": (lambda: None, "it implements no hook"),
    "no factory": (
        lambda: module(
            """
            from ib_kernel import hookimpl
            @hookimpl
            def ib_register(catalog):
                catalog.add_client("x", object())
            """
        ),
        "add_client('x', …) needs a name and a factory",
    ),
    "key in the reason": (
        lambda: (_ for _ in ()).throw(ValueError("bad key sk-Abc123Abc123")),
        "ValueError: bad key [redacted]",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plugin_is_reported_and_does_no_harm(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason stands in `infos` as one line; the others load, and only its choice raises."""
    load, reason = BROKEN[how]
    fake_entry_points(monkeypatch, {"a": lambda: offers(a=Part), "m": load, "z": lambda: offers(z=Part)})
    mine = Plugins()
    mine.load()
    assert mine.infos["a"].problem == mine.infos["z"].problem == ""
    assert reason in mine.infos["m"].problem
    assert "\n" not in mine.infos["m"].problem
    assert mine.catalog.counters.names() == {"a": "a", "z": "z"}
    assert mine.catalog.clients.names() == {}
    mine.counter(Settings(counter="a"))
    mine.notify("ib_after_call", object())
    with pytest.raises(BrokenPlugin) as caught:
        mine.counter(Settings(counter="m"))
    assert str(caught.value).startswith("the counter 'm' cannot be loaded: ")
    assert reason in str(caught.value)


def test_an_unknown_name_mentions_broken_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a broken plugin would have offered is unknown, so its reason is added to the line."""
    fake_entry_points(monkeypatch, {"acme": missing_import, "a": lambda: offers(a=Part)})
    with pytest.raises(UnknownName) as caught:
        Plugins().counter(Settings(counter="acme-counter"))
    assert str(caught.value) == (
        "no counter called 'acme-counter'; installed: a; "
        "broken: acme: ModuleNotFoundError: No module named 'no_such_library_here'"
    )


def test_a_broken_plugin_handed_in_is_reported_too() -> None:
    """Among the plugins handed in, a broken one is reported like an installed one."""
    mine = alone(module("", "empty"), offers(a=Part))
    mine.counter(Settings(counter="a"))
    assert "implements no hook" in mine.infos["empty"].problem


def test_a_name_offered_twice_is_refused_when_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two installed plugins that offer one name: neither is silently taken, everything else works."""
    fake_entry_points(
        monkeypatch, {"a": lambda: offers(same=Part, other=Part), "b": lambda: offers(same=Part)}
    )
    mine = Plugins()
    mine.counter(Settings(counter="other"))
    assert "offered by both a and b" in mine.infos["b"].problem
    with pytest.raises(NameClash, match=r"^the counter 'same' is offered by both a and b; remove one$"):
        mine.counter(Settings(counter="same"))
    mine.unregister("b")
    mine.counter(Settings(counter="same"))


def test_two_entry_points_of_one_name_both_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that reuses a plugin's name neither replaces nor breaks it."""

    class Entry:
        value, dist, name = "x", None, "tiktoken"

        def __init__(self, counter: str) -> None:
            self.load = lambda: offers(**{counter: Part})

    monkeypatch.setattr(
        plugins.importlib.metadata, "entry_points", lambda group: [Entry("tiktoken"), Entry("other")]
    )
    mine = Plugins()
    mine.load()
    assert mine.catalog.counters.names() == {"tiktoken": "tiktoken", "other": "tiktoken (x)"}


# --- what cannot be built


def test_a_factory_that_fails_is_named_with_the_reason() -> None:
    """A missing library or a bug in a factory is one line that names the part."""
    mine = alone(offers(a=lambda settings: missing_import(), b=lambda settings: None))
    with pytest.raises(BrokenPlugin) as caught:
        mine.counter(Settings(counter="a"))
    assert str(caught.value) == (
        "the counter 'a' cannot be built: ModuleNotFoundError: No module named 'no_such_library_here'"
    )
    with pytest.raises(BrokenPlugin, match="the counter 'b' cannot be built: its factory returned None"):
        mine.counter(Settings(counter="b"))


def test_a_factory_may_refuse_in_our_own_words() -> None:
    """An error of the project's own tree passes through unchanged."""

    def refuse(settings: Settings) -> Any:
        raise NoKey("the openai client was chosen but OPENAI_API_KEY is not set")

    with pytest.raises(NoKey, match=r"^the openai client was chosen"):
        alone(offers(a=refuse)).counter(Settings(counter="a"))


def test_a_factory_cannot_leak_the_key(caplog: pytest.LogCaptureFixture) -> None:
    """A key of any shape in a factory's error reaches neither the message nor the log."""

    def leak(settings: Settings) -> Any:
        raise RuntimeError(f"cannot log in with {settings.api_key.reveal()}")  # type: ignore[union-attr]

    with caplog.at_level(logging.DEBUG), pytest.raises(BrokenPlugin) as caught:
        alone(offers(a=leak)).counter(Settings(counter="a", api_key="hunter2hunter2"))
    assert "cannot log in with [redacted]" in str(caught.value)
    assert "cannot log in with [redacted]" in caplog.text
    assert "hunter2" not in caplog.text + str(caught.value)


# --- plugins from a notebook


def test_registering_again_replaces() -> None:
    """Running a cell twice leaves the second version, with what it offers now and nothing else."""
    mine = alone()
    mine.register(offers(first=Part), "mine")
    mine.register(offers(second=Part), "mine")
    assert mine.catalog.counters.names() == {"second": "mine"}
    assert list(mine.infos) == ["mine"]


def test_registering_says_what_is_wrong() -> None:
    """A broken plugin that is registered by hand raises at once, and stays listed with the reason."""
    mine = alone(offers(a=Part))
    with pytest.raises(
        BrokenPlugin, match=r"the plugin 'mine' cannot be used: ib_register lacks its @hookimpl"
    ):
        mine.register(module("def ib_register(catalog): ..."))
    assert mine.infos["mine"].problem
    mine.counter(Settings(counter="a"))


def test_registering_a_taken_name_changes_nothing() -> None:
    """A clash is raised to the one who registers; the plugin that was there goes on."""
    mine = alone(offers(a=Part))
    with pytest.raises(BrokenPlugin, match="the counter 'a' is offered by both Offers and mine"):
        mine.register(offers(a=Part), "mine")
    mine.counter(Settings(counter="a"))


def test_a_plugin_can_be_removed() -> None:
    """After `unregister` its parts are unknown and its observers silent; a wrong name is refused."""
    seen: list[object] = []

    class Watcher:
        @hookimpl
        def ib_after_call(self, event: AfterCall) -> None:
            seen.append(event)

    mine = alone(offers(a=Part), Watcher())
    mine.unregister("Offers")
    mine.unregister("Watcher")
    mine.notify("ib_after_call", object())
    assert (seen, mine.infos) == ([], {})
    with pytest.raises(UnknownName):
        mine.counter(Settings(counter="a"))
    with pytest.raises(UnknownName, match=r"^no plugin called 'Offers'; there are: none$"):
        mine.unregister("Offers")


def test_any_object_can_be_a_plugin() -> None:
    """A module, an instance, a dataclass or a namespace works, also one that cannot be hashed."""

    @dataclasses.dataclass
    class Counting:
        calls: int = 0

        @hookimpl
        def ib_after_call(self, event: AfterCall) -> None:
            self.calls += 1

    @hookimpl
    def ib_after_call(event: AfterCall) -> None:
        bag.calls += 1

    counting, bag = Counting(), types.SimpleNamespace(calls=0, ib_after_call=ib_after_call)
    mine = alone(counting, bag)
    mine.notify("ib_after_call", object())
    assert [info.problem for info in mine.infos.values()] == ["", ""]
    assert (counting.calls, bag.calls) == (1, 1)


# --- observers


EVENTS: dict[str, object] = {
    "ib_before_call": BeforeCall("s", 1, 1, "demo", "m", Count(5), 10),
    "ib_after_call": AfterCall("s", 1, 1, "demo", "m", CallEnd(5, 6), Totals(100)),
    "ib_call_failed": CallFailed("s", 1, 1, "demo", "m", "TimedOut", "no answer", "unknown"),
    "ib_budget_warning": BudgetWarning("s", 0.75, Totals(100)),
    "ib_session_changed": SessionChanged(Session("s", "Ada", 100, "m"), "created"),
    "ib_session_ended": SessionEnded(Session("s", "Ada", 100, "m"), Totals(100)),
}


def watching(hook: str, action: Callable[[object], None], name: str, **marks: Any) -> Any:
    """Return a plugin called *name* that does *action* with each event of *hook*."""
    made = types.ModuleType(name)

    def implementation(event: object) -> None:
        action(event)

    setattr(made, hook, hookimpl(implementation, **marks))
    return made


@pytest.mark.parametrize("hook", EVENTS)
def test_every_observer_gets_the_frozen_event(hook: str) -> None:
    """Each observer of each hook is handed the very event, which none of them can change."""
    seen: list[object] = []
    mine = alone(watching(hook, seen.append, "one"), watching(hook, seen.append, "two"))
    mine.notify(hook, EVENTS[hook])
    assert [event is EVENTS[hook] for event in seen] == [True, True]
    field = dataclasses.fields(EVENTS[hook])[0].name  # type: ignore[arg-type]
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        setattr(seen[0], field, "changed")


@pytest.mark.parametrize("error", [RuntimeError("boom sk-Abc123Abc123"), SystemExit(3), Panic("panic")])
def test_an_observer_that_raises_is_logged_and_skipped(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The others still run, whichever comes first, and the log names plugin and hook."""
    seen: list[object] = []

    def fail(event: object) -> None:
        raise error

    mine = alone(
        watching("ib_after_call", seen.append, "before"),
        watching("ib_after_call", fail, "failing"),
        watching("ib_after_call", seen.append, "after"),
    )
    with caplog.at_level(logging.WARNING):
        mine.notify("ib_after_call", EVENTS["ib_after_call"])
    assert len(seen) == 2
    assert "the plugin failing failed in ib_after_call and is skipped" in caplog.text
    assert "Traceback" in caplog.text
    assert "Abc123" not in caplog.text


def test_an_interrupt_in_an_observer_reaches_the_user() -> None:
    """Ctrl-C is not swallowed as if it were the plugin's error."""

    def interrupt(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        alone(watching("ib_after_call", interrupt, "slow")).notify("ib_after_call", object())


def test_observers_may_ask_to_be_first_or_to_take_nothing() -> None:
    """pluggy's tryfirst is honoured, and an observer need not accept the event."""
    order: list[str] = []

    class NoArgument:
        @hookimpl(tryfirst=True)
        def ib_after_call(self) -> None:
            order.append("first")

    mine = alone(NoArgument(), watching("ib_after_call", lambda event: order.append("second"), "x"))
    mine.notify("ib_after_call", object())
    assert order == ["first", "second"]


def test_telling_about_a_hook_nobody_observes_is_quiet() -> None:
    """Without observers nothing happens."""
    alone().notify("ib_after_call", object())


# --- the interface itself


def specs() -> dict[str, Callable[..., Any]]:
    """Return the hooks that hookspecs declares."""
    return {name: value for name, value in vars(hookspecs).items() if name.startswith("ib_")}


def test_the_hooks_are_all_known() -> None:
    """What `plugins` takes for a hook is what hookspecs declares, in its order."""
    assert tuple(specs()) == HOOKS


@pytest.mark.parametrize("name", specs())
def test_every_hook_is_documented(name: str) -> None:
    """Each hook has a docstring and typed arguments."""
    assert inspect.getdoc(specs()[name])
    signature = inspect.signature(specs()[name])
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


@pytest.mark.parametrize("name", specs())
def test_every_hook_is_exercised_by_a_test(name: str) -> None:
    """Each hook is implemented somewhere in the tests; observers here get an event of the declared type."""
    if name == "ib_register":
        return  # all over this file
    (argument,) = inspect.signature(specs()[name]).parameters.values()
    assert type(EVENTS[name]).__name__ == argument.annotation


def test_only_registering_takes_more_than_an_event() -> None:
    """Observers have one argument called event, so that a hook can grow without breaking a plugin."""
    arguments = {name: list(inspect.signature(spec).parameters) for name, spec in specs().items()}
    assert arguments.pop("ib_register") == ["catalog"]
    assert set(map(tuple, arguments.values())) == {("event",)}


# --- plugins that are really installed elsewhere


def install(folder: Path, distribution: str, code: str, entry: str = "") -> None:
    """Put a distribution into *folder* as pip does: a module, and metadata with its entry points."""
    name = distribution.replace("-", "_")
    (folder / f"{name}.py").write_text(textwrap.dedent(code))
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[ib_kernel]\n{entry or name} = {name}\n")


def run(code: str, *, path: Path, **environment: str) -> str:
    """Run *code* in a fresh process that finds *path* first; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ACME = """
    from ib_kernel import hookimpl
    from ib_kernel.values import Count

    class Words:
        name = "words"
        def count_text(self, text, model):
            return Count(len(text.split()))
        def count_request(self, request, model):
            return Count(sum(len(m["content"].split()) for m in request["messages"]))

    class Parrot:
        name = "parrot"
        def __init__(self, settings):
            self.settings = settings

    class Memory:
        name = "memory"
        def __init__(self, settings):
            self.settings = settings

    @hookimpl
    def ib_register(catalog):
        catalog.add_counter("words", lambda settings: Words())
        catalog.add_client("parrot", Parrot)
        catalog.add_store("memory", Memory)
"""


def test_a_plugin_from_another_folder_is_found_and_chosen(tmp_path: Path) -> None:
    """Its counter, client and store are chosen by environment variables; a broken neighbour does no harm."""
    install(tmp_path, "acme-buddy", ACME, "acme")
    install(tmp_path, "sad-buddy", "import no_such_library_here", "sad")
    install(tmp_path, "gone-buddy", "import sys; sys.exit(1)", "gone")
    printed = run(
        """
        import ib_kernel
        from ib_kernel.plugin.manager import Plugins
        mine, settings = Plugins(), ib_kernel.Settings()
        print(mine.counter(settings).count_text("one two three", "any").tokens)
        print(mine.client(settings).name, mine.store(settings).name)
        print(ib_kernel.count_tokens("one two three four"))
        for name in ("acme", "gone", "sad", "tiktoken"):
            print(name, mine.infos[name].source.split()[0], mine.infos[name].problem or "works")
        """,
        path=tmp_path,
        IB_COUNTER="words",
        IB_CLIENT="parrot",
        IB_STORE="memory",
    )
    assert printed.splitlines() == [
        "3",
        "parrot memory",
        "4",
        "acme acme-buddy works",
        "gone gone-buddy SystemExit: 1",
        "sad sad-buddy ModuleNotFoundError: No module named 'no_such_library_here'",
        "tiktoken interview-buddy-kernel works",
    ]


def test_a_plugin_from_elsewhere_cannot_take_a_default_name(tmp_path: Path) -> None:
    """A distribution that offers "tiktoken" as well is the one that is told, whatever it is called."""
    install(tmp_path, "aaa-first", ACME.replace('"words"', '"tiktoken"'))
    printed = run(
        """
        from ib_kernel import Plugins
        mine = Plugins()
        mine.load()
        print(mine.infos["tiktoken"].problem or "works")
        print(mine.infos["aaa_first"].problem)
        """,
        path=tmp_path,
    )
    assert printed.splitlines() == [
        "works",
        "NameClash: the counter 'tiktoken' is offered by both tiktoken and aaa_first; remove one",
    ]


@pytest.mark.parametrize(
    ("name", "kind", "chosen"),
    [
        ("tiktoken", "counter", {}),
        ("duckdb", "store", {}),
        ("demo", "client", {}),
        ("openai", "client", {"IB_CLIENT": "openai"}),
    ],
)
def test_without_a_default_plugin_the_core_still_imports(
    name: str, kind: str, chosen: dict[str, str], tmp_path: Path
) -> None:
    """One default plugin's entry point is taken away: the rest works, and asking for it is one line."""
    installed = importlib.metadata.distribution("interview-buddy-kernel")
    info = tmp_path / "interview_buddy_kernel-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(installed.read_text("METADATA") or "")
    lines = (installed.read_text("entry_points.txt") or "").splitlines()
    (info / "entry_points.txt").write_text("\n".join(x for x in lines if x.split(" =")[0] != name))
    printed = run(
        f"""
        import ib_kernel, ib_kernel.interview.interview
        from ib_kernel.errors import BuddyError
        mine = ib_kernel.Plugins()
        try:
            mine.{kind}(ib_kernel.Settings())
        except BuddyError as error:
            print(type(error).__name__, error)
        print(sorted(mine.infos), [i.name for i in mine.infos.values() if i.problem])
        """,
        path=tmp_path,
        **chosen,
    )
    rest = sorted({entry.name for entry in importlib.metadata.entry_points(group="ib_kernel")} - {name})
    line, infos = printed.splitlines()
    assert line.startswith(f"UnknownName no {kind} called '{name}'; installed: ")
    assert infos == f"{rest} []"
