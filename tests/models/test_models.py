"""The table of models: what it must know, how names resolve, and what users can add."""

import datetime
import os
import subprocess
import sys
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.errors import ConfigError, UnknownModel
from ib_kernel.models.limits import get_model, get_model_limit, list_models, retirement_note
from ib_kernel.models.prices import worst_case
from ib_kernel.settings import Settings

EARLIER_APP = {
    "gpt-4": 8192,
    "gpt-4-32k": 32768,
    "gpt-4-turbo": 128000,
    "gpt-3.5-turbo": 4096,
    "gpt-3.5-turbo-16k": 16384,
}


@pytest.mark.parametrize(("name", "window"), EARLIER_APP.items())
def test_windows_of_the_earlier_app(name: str, window: int) -> None:
    """The five models of the earlier app keep exactly their context windows."""
    assert get_model_limit(name) == window


@pytest.mark.parametrize("info", list_models(), ids=lambda info: info.name)
def test_every_row_is_sound(info) -> None:
    """Every row has a source, a day on which it was checked, and limits that make sense together."""
    assert info.source.strip()
    assert isinstance(info.checked, datetime.date)
    assert 0 < info.max_output <= info.context_window
    assert info.max_input is None or info.max_input < info.context_window
    assert info.cap_field in ("max_completion_tokens", "max_tokens")
    if info.reasoning:
        assert info.cap_field == "max_completion_tokens"


def test_every_chat_model_of_the_sdk_is_known() -> None:
    """Every name of the installed SDK's ChatModel resolves, except the one it calls unsupported."""
    from openai.types.shared.chat_model import ChatModel

    unknown = []
    for name in typing.get_args(ChatModel):
        try:
            get_model(name)
        except UnknownModel:
            unknown.append(name)
    assert set(unknown) <= {"gpt-5.1-mini"}  # "Not a supported model ID. Retained for SDK compatibility."


def test_shutdown_dates_match_the_sdk() -> None:
    """Shutdown dates equal those in the SDK's docstring of the same version, name by name."""
    import inspect
    import re

    import openai
    from openai.types.shared import chat_model

    if openai.__version__ != "3.54.0":
        pytest.skip(f"the table was compared with openai 3.54.0, this is {openai.__version__}")
    text = " ".join(inspect.getsource(chat_model).split("Deprecated values:")[1].split())
    compared = 0
    for entry in text.split(' - "')[1:]:
        day = re.search(r"shutdown date: (\d{4}-\d\d-\d\d)", entry)
        if day:
            for name in re.findall(r'"([^"]+)"', '"' + entry.split(": Announced")[0]):
                assert get_model(name).retired == datetime.date.fromisoformat(day[1]), name
                compared += 1
    assert compared > 60


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("openai/gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("ft:gpt-4.1-mini-2025-04-14:org:name:id", "gpt-4.1-mini"),
        ("azure/ft:gpt-4o:org::id", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        (" gpt-5.4-mini ", "gpt-5.4-mini"),
    ],
)
def test_names_resolve_to_rows(name: str, row: str) -> None:
    """Prefixes, fine-tuned names and dated snapshots resolve, the most specific row first."""
    assert get_model(name).name == row


def test_an_unknown_model_says_what_to_do() -> None:
    """An unknown model is refused in one line with the nearest name and the table to write."""
    with pytest.raises(UnknownModel) as caught:
        get_model("gpt-5.4-mni")
    line = str(caught.value)
    assert "\n" not in line
    assert "did you mean gpt-5.4-mini?" in line
    assert '[models."gpt-5.4-mni"]' in line


@given(st.text(max_size=40))
def test_any_name_is_answered_or_refused(name: str) -> None:
    """No name whatsoever makes the lookup raise anything but UnknownModel, or run forever."""
    try:
        info = get_model(name)
    except UnknownModel:
        return
    assert info.context_window > 0


def test_users_add_override_and_alias_models() -> None:
    """Settings add models, change single figures of shipped ones, and name deployments."""
    settings = Settings(
        models={"llama": {"context_window": 8192, "max_output": 2048}, "gpt-4o": {"max_output": 1000}},
        model_aliases={"prod": "azure/gpt-5.4-mini", "loop": "pool", "pool": "loop"},
    )
    llama = get_model("llama", settings)
    assert (llama.context_window, llama.max_output, llama.cap_field) == (8192, 2048, "max_tokens")
    assert llama.source == "your settings"
    changed = get_model("gpt-4o", settings)
    assert (changed.context_window, changed.max_output) == (128000, 1000)
    assert get_model("prod", settings).name == "gpt-5.4-mini"
    assert "llama" in [info.name for info in list_models(settings)]
    assert "llama" not in [info.name for info in list_models()]
    with pytest.raises(UnknownModel):
        get_model("loop", settings)


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"max_output": 5}, "needs context_window"),
        ({"context_window": 0, "max_output": 5}, "at least 1"),
        ({"context_window": True, "max_output": 5}, "at least 1"),
        ({"contextwindow": 5}, "did you mean context_window?"),
        ({"context_window": 9, "max_output": 5, "cap_field": "max"}, "max_completion_tokens or max_tokens"),
        ({"context_window": 9, "max_output": 5, "retired": "soon"}, "a date such as"),
        ("8192", "must be a table"),
        ({"context_window": 9, "max_output": 5, "input_usd_per_mtok": 1}, "needs output_usd_per_mtok too"),
        ({"context_window": 9, "max_output": 5, "input_usd_per_mtok": -1}, "US dollars for a million tokens"),
        ({"context_window": 9, "max_output": 5, "input_usd_per_mtok": True}, "US dollars for a million"),
        ({"context_window": 9, "max_output": 5, "output_usd_per_mtok": "1e9"}, "US dollars for a million"),
        ({"context_window": 2**60, "max_output": 5}, "at least 1"),
        ({"provder": "mistral"}, "did you mean provider?"),
    ],
)
def test_mistakes_in_user_rows(row, part: str) -> None:
    """A mistake in a user's row is one line that names the table and what is allowed."""
    with pytest.raises(ConfigError, match=r"\[models.\"mine\"\]") as caught:
        get_model("mine", Settings(models={"mine": row}))
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


CLAUDE = "anthropic:claude-haiku-4-5"


def test_a_model_of_another_provider_has_that_providers_limits() -> None:
    """Outside our table the price list of the provider is asked: the name's own, else the client's."""
    for info in (get_model(CLAUDE), get_model("claude-haiku-4-5", provider="anthropic")):
        assert (info.name, info.provider, info.context_window) == ("claude-haiku-4-5", "anthropic", 200_000)
        assert info.source.startswith("genai-prices ")
    assert get_model("gemini:gemini-2.5-flash").provider == "google"
    assert get_model("openai/gpt-oss-120b", provider="https://api.groq.com/openai/v1").provider == "groq"
    for unknown in ("claude-haiku-4-5", "openai:claude-haiku-4-5", "ollama:llama3.2"):
        with pytest.raises(UnknownModel, match="unknown model"):
            get_model(unknown)
    with pytest.raises(UnknownModel):
        get_model("claude-haiku-4-5", provider="openai")


def test_a_model_that_is_listed_without_a_window_needs_its_limits_only() -> None:
    """The line says that the price is known; with limits from settings, the provider's price applies."""
    name = "mistral:mistral-large-latest"
    with pytest.raises(UnknownModel, match=r"knows its price and no context window\. Give its limits under"):
        get_model(name)
    given = Settings(models={name: {"context_window": 128_000, "max_output": 8_000}})
    info = get_model(name, given, provider="openai")
    assert info.provider == "mistral"
    assert worst_case(info, 1_000, 100) > 0


def test_our_table_is_for_openais_models_only() -> None:
    """A provider in front of a name in our table decides the price; other providers have no such model."""
    assert (get_model("gpt-4o").provider, get_model("openai:gpt-4o").provider) == ("openai", "openai")
    assert get_model("azure:gpt-4o-2024-11-20").provider == "azure"
    assert get_model("azure:gpt-4o").max_output == get_model("gpt-4o").max_output
    assert get_model("openrouter:openai/gpt-4o").provider == "openrouter"
    assert get_model("gpt-4o", provider="http://127.0.0.1:8080/v1").provider == "openai"
    with pytest.raises(UnknownModel):
        get_model("anthropic:gpt-4o")


def test_settings_complete_what_the_list_knows_and_give_prices() -> None:
    """A row may add what the list lacks, name the provider, or give a price of its own."""
    settings = Settings(
        models={
            CLAUDE: {"max_output": 64_000},
            "house": {"context_window": 9_000, "max_output": 900, "provider": "mistral"},
            "own": {
                "context_window": 9_000,
                "max_output": 900,
                "input_usd_per_mtok": 0.25,
                "output_usd_per_mtok": "1.25",
            },
        }
    )
    claude = get_model(CLAUDE, settings)
    assert (claude.context_window, claude.max_output, claude.provider) == (200_000, 64_000, "anthropic")
    assert get_model("house", settings, provider="openai").provider == "mistral"
    rates = get_model("own", settings).rates
    assert rates is not None
    assert (str(rates.input), str(rates.output), rates.source) == ("0.25", "1.25", "your settings")
    assert get_model("own", settings, provider="openai").rates == rates


def test_a_row_without_a_provider_has_its_clients() -> None:
    """A model given in settings is priced as the client's provider lists it."""
    settings = Settings(models={"gpt-5.4-mini-eu": {"context_window": 9_000, "max_output": 900}})
    assert get_model("gpt-5.4-mini-eu", settings).provider == ""
    assert get_model("gpt-5.4-mini-eu", settings, provider="openai").provider == "openai"
    assert get_model("gpt-5.4-mini-eu", settings, provider="groq").provider == "groq"


def test_retirement_note() -> None:
    """A retired model stays usable and gets one line, before and after its last day."""
    info = get_model("gpt-4o")
    assert info.retired == datetime.date(2027, 1, 14)
    assert "(1 day left)" in retirement_note(info, datetime.date(2027, 1, 13))
    assert "was shut down on 2027-01-14" in retirement_note(info, datetime.date(2027, 1, 14))
    assert retirement_note(get_model("gpt-5.4-mini"), datetime.date(2026, 11, 23)) == ""


def test_the_default_model_is_current() -> None:
    """The default model was current, priced and known on the day the table was checked."""
    from ib_kernel.models.prices import price_call
    from ib_kernel.settings import settings_fields
    from ib_kernel.values import Usage

    default = next(spec.metadata["default"] for spec in settings_fields() if spec.name == "model")
    info = get_model(default)
    assert info.checked is not None
    assert info.retired is None or info.retired > info.checked + datetime.timedelta(days=90)
    assert price_call(info, Usage(1_000_000, 100_000)).nano_usd <= 2 * 10**9


def test_the_import_is_cheap() -> None:
    """Importing the module reads no table and imports neither tomllib nor a heavy package."""
    code = (
        "import sys, ib_kernel.models.limits as m; "
        "print(m._shipped.cache_info().currsize, [x for x in ('tomllib', 'openai', 'genai_prices') "
        "if x in sys.modules])"
    )
    measured = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=280, check=True, env=measured
    )
    assert done.stdout.split() == ["0", "[]"]
