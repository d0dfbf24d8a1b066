"""Where settings come from, what they refuse, and that they show no key."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import pickle
import traceback
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_kernel.budget.service import get_token_service
from ib_kernel.errors import ConfigError
from ib_kernel.secrets import Secret
from ib_kernel.settings import FIELD_NAMES, Settings, config_path, settings_fields

KEY = "sk-proj-Abc123Abc123Abc123"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that writes the user's config.toml."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("IB_CONFIG", str(path))

    def write(text: str) -> Path:
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(**values: Any) -> str:
    """Return the message with which `Settings` refuses *values*."""
    with pytest.raises(ConfigError) as caught:
        Settings(**values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- where a value comes from


def test_each_source_yields_to_the_one_before(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given beats %config, which beats IB_*, OPENAI_*, config.toml and the default, and origins say so."""

    def now(settings: Settings) -> tuple[str | None, str]:
        return settings.base_url, settings.origins["base_url"]

    assert now(Settings()) == (None, "default")
    config('base_url = "http://file"')
    assert now(Settings()) == ("http://file", "config.toml")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://openai")
    assert now(Settings()) == ("http://openai", "OPENAI_BASE_URL")
    monkeypatch.setenv("IB_BASE_URL", "http://ib")
    assert now(Settings()) == ("http://ib", "IB_BASE_URL")
    configured = Settings().replace("%config", base_url="http://config")
    assert now(configured) == ("http://config", "%config")
    assert now(configured.replace(base_url="http://given")) == ("http://given", "given")
    assert now(Settings(base_url="http://given")) == ("http://given", "given")


@pytest.mark.parametrize("name", FIELD_NAMES)
def test_every_setting_has_an_origin_and_a_doc(name: str) -> None:
    """No field is left without the source of its value and a line that explains it."""
    spec = {spec.name: spec for spec in settings_fields()}[name]
    assert spec.metadata["doc"]
    assert spec.metadata["parse"].__doc__
    assert Settings().origins[name] in {"default", "IB_DATA_DIR"}


SAMPLES: dict[str, tuple[str, Any]] = {
    "data_dir": ("~/ledger", Path.home() / "ledger"),
    "client": ("mine", "mine"),
    "counter": ("fast", "fast"),
    "store": ("postgres", "postgres"),
    "model": ("gpt-5.5", "gpt-5.5"),
    "api_key": (KEY, Secret(KEY)),
    "base_url": ("http://localhost:8080/v1", "http://localhost:8080/v1"),
    "api": ("responses", "responses"),
    "dialect": ("llama.cpp", "llama.cpp"),
    "usage_in_stream": ("false", False),
    "system_role": ("user", "user"),
    "candidate": (" Ada Łovelace ", "Ada Łovelace"),
    "token_budget": ("20,000", 20_000),
    "charge": ("New", "new"),
    "time_limit_s": ("2700", 2700.0),
    "budget_usd": ("$0.50", Decimal("0.50")),
    "reply_tokens": ("1_000", 1000),
    "min_reply_tokens": ("64", 64),
    "temperature": ("0.2", 0.2),
    "persona": ("Assistant", "assistant"),
    "stream": ("final", "final"),
    "allow_network_fs": ("yes", True),
    "store_transcript": ("off", False),
    "judge": ("strict", "strict"),
    "challenges": ("/here:/there:/here", (Path("/here"), Path("/there"))),
    "warn_at": ("0.9, 0.5,0.5", (0.5, 0.9)),
    "notice": ("We keep what you type.", "We keep what you type."),
    "keep_days": ("30", 30),
    "ca_file": ("/tmp/ca.pem", Path("/tmp/ca.pem")),
    "lease_s": ("5", 5.0),
    "hold_s": ("60", 60.0),
    "attempts": ("1", 1),
    "backoff_s": ("0", 0.0),
    "backoff_cap_s": ("1.5", 1.5),
    "retry_after_max_s": ("0", 0.0),
    "deadline_s": ("30", 30.0),
    "first_piece_s": ("10", 10.0),
    "gap_s": ("3", 3.0),
    "retry_budget": ("0", 0),
    "rate_limit_wait_s": ("0", 0.0),
    "cancel": ("Drain", "drain"),
    "drain_s": ("5", 5.0),
}
TABLES = {"models", "model_aliases", "presets"}  # only config.toml and a dict can hold one


def test_no_setting_is_forgotten_here() -> None:
    """The samples above name every setting."""
    assert set(SAMPLES) | TABLES == set(FIELD_NAMES)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_setting_is_read_from_its_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting can be given as text in IB_<NAME>, and the same text can be passed in."""
    text, value = SAMPLES[name]
    assert getattr(Settings(**{name: text}), name) == value
    monkeypatch.setenv(f"IB_{name.upper()}", text)
    settings = Settings()
    assert getattr(settings, name) == value
    assert settings.origins[name] == f"IB_{name.upper()}"


def test_a_whole_config_file_is_read(config: Any) -> None:
    """Numbers, flags, lists and tables come from config.toml in TOML's own types."""
    config(
        "token_budget = 5000\ntemperature = 1\nstore_transcript = false\nwarn_at = [0.5, 0.8]\n"
        '[models."local"]\ncontext_window = 2048\n[model_aliases]\nours = "local"\n'
    )
    settings = Settings()
    assert (settings.token_budget, settings.temperature, settings.store_transcript) == (5000, 1.0, False)
    assert settings.warn_at == (0.5, 0.8)
    assert settings.models == {"local": {"context_window": 2048}}
    assert settings.model_aliases == {"ours": "local"}
    assert settings.origins["models"] == "config.toml"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is empty or blank is passed over, as `VAR= command` in a shell means it."""
    monkeypatch.setenv("IB_MODEL", "")
    monkeypatch.setenv("IB_API_KEY", "  ")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    settings = Settings()
    assert settings.origins["model"] == "default"
    assert settings.origins["api_key"] == "OPENAI_API_KEY"


def test_ib_config_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """IB_CONFIG may use ~; without it the file lies in the user's configuration directory."""
    monkeypatch.setenv("IB_CONFIG", "~/mine.toml")
    assert config_path() == Path.home() / "mine.toml"
    monkeypatch.delenv("IB_CONFIG")
    assert config_path().name == "config.toml"
    assert "interview-buddy" in config_path().parts


# --- what is refused


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("token_budget", "lots", "a whole number from 0 to"),
        ("token_budget", -1, "a whole number from 0 to"),
        ("token_budget", "1,5", "a whole number from 0 to"),
        ("token_budget", 1.5, "a whole number from 0 to"),
        ("token_budget", True, "a whole number from 0 to"),
        ("token_budget", 2**53 + 1, "a whole number from 0 to 9,007,199,254,740,992"),
        ("token_budget", "9" * 5000, "a whole number from 0 to"),
        ("attempts", 0, "a whole number from 1 to"),
        ("temperature", 2.1, "a number from 0 to 2"),
        ("temperature", "nan", "a number from 0 to 2"),
        ("temperature", True, "a number from 0 to 2"),
        ("time_limit_s", 0, "a number of seconds above 0"),
        ("lease_s", "inf", "a number of seconds above 0"),
        ("backoff_s", -0.1, "a number of seconds, 0 or more"),
        ("persona", "two judges", "interviewer, assistant, a plugin's persona"),
        ("stream", ["live"], "one of live, final"),
        ("store_transcript", "maybe", "true or false"),
        ("challenges", 5, "a list of folders"),
        ("warn_at", "90", "fractions between 0 and 1"),
        ("warn_at", 0.9, "fractions between 0 and 1"),
        ("model", " ", "some text"),
        ("candidate", 42, "some text"),
        ("data_dir", "~no-such-user-here/x", "a folder's path"),
        ("base_url", "localhost:8080", "an address such as http://"),
        ("models", "gpt", "a table, in config.toml or as a dict"),
        ("api_key", "sk-with a space", "a key of visible ASCII characters"),
        ("api_key", "sk-…", "a key of visible ASCII characters"),
        ("api_key", 12345678, "a key of visible ASCII characters"),
    ],
)
def test_a_value_that_cannot_be_used_gets_one_line(name: str, value: Any, allowed: str) -> None:
    """The line names the field, where the value came from and what is allowed; a long value is cut."""
    message = refusal(**{name: value})
    assert message.startswith(f"{name} (given) cannot be ")
    assert f"; allowed: {allowed}" in message
    assert len(message) < 250


def test_the_line_names_each_source(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value is blamed on the source it came from."""
    config('persona = "a judge"')
    assert refusal() == (
        "persona (config.toml) cannot be 'a judge'; allowed: interviewer, assistant, a plugin's persona or a "
        ".md file"
    )
    monkeypatch.setenv("IB_PERSONA", "a jury")
    assert refusal().startswith("persona (IB_PERSONA) cannot be 'a jury'; allowed:")
    monkeypatch.setenv("IB_PERSONA", "assistant")
    with pytest.raises(ConfigError, match=r"^persona \(%config\) cannot be 'a clerk'; allowed:"):
        Settings().replace("%config", persona="a clerk")
    monkeypatch.setenv("OPENAI_BASE_URL", "nowhere")
    assert refusal().startswith("base_url (OPENAI_BASE_URL) cannot be 'nowhere'; allowed:")


def test_an_unknown_key_in_the_file_gets_a_hint(config: Any) -> None:
    """A misspelt key in config.toml is refused with the file's path and what was probably meant."""
    path = config('modle = "gpt-5.5"')
    assert refusal() == f"unknown setting 'modle' ({path}); did you mean model?"
    config("zzz = 1")
    assert "; known: data_dir, client," in refusal()


@pytest.mark.parametrize("text", ["model = ", "model = 'a'\nmodel = 'b'", "["])
def test_a_file_that_is_not_toml_gets_one_line(config: Any, text: str) -> None:
    """The line names the file and what the parser says."""
    path = config(text)
    assert refusal().startswith(f"cannot read {path}: ")


def test_a_file_that_cannot_be_read_gets_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory in the file's place, or bytes that are no UTF-8, are named."""
    monkeypatch.setenv("IB_CONFIG", str(tmp_path))
    assert refusal().startswith(f"cannot read {tmp_path}: ")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    monkeypatch.setenv("IB_CONFIG", str(binary))
    assert refusal().startswith(f"cannot read {binary}: ")


def test_an_unknown_name_in_a_change_gets_a_hint() -> None:
    """`but` refuses a name that is no setting."""
    with pytest.raises(ConfigError, match=r"unknown setting 'modle' \(%config\); did you mean model\?"):
        Settings().replace("%config", modle="x")


@given(
    name=st.sampled_from(FIELD_NAMES),
    value=st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.lists(st.text() | st.floats(), max_size=3)
    | st.dictionaries(st.text(), st.integers(), max_size=2),
)
def test_no_value_raises_anything_else(name: str, value: Any) -> None:
    """Whatever is passed in, it is taken or refused with a `ConfigError` of one line."""
    try:
        outcome: Settings | str = Settings(**{name: value})
    except ConfigError as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert outcome.startswith(f"{name} (given) cannot be")
        assert "\n" not in outcome
    else:
        assert dataclasses.replace(outcome) == outcome


# --- frozen, copied, compared


def test_settings_are_frozen(config: Any) -> None:
    """No field can be assigned, and a table that was passed in or looked up is nobody else's."""
    mine = {"local": {"context_window": 2048}}
    settings = Settings(models=mine)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.model = "x"  # type: ignore[misc]
    mine["local"]["context_window"] = 1
    assert settings.models["local"]["context_window"] == 2048
    assert Settings().models is not Settings().models


def test_but_changes_only_what_it_is_told() -> None:
    """`but` keeps the other values with their origins, and None leaves a field as it is."""
    before = Settings(model="gpt-5.5")
    after = before.replace("%config", token_budget=99, candidate=None)
    assert (after.model, after.token_budget, after.candidate) == ("gpt-5.5", 99, None)
    assert after.origins == {**before.origins, "token_budget": "%config"}
    assert before.token_budget == 50_000


@pytest.mark.parametrize(
    "make_copy",
    [
        lambda s: s.replace(),
        lambda s: s.replace(token_budget=50_000),
        dataclasses.replace,
        copy.copy,
        copy.deepcopy,
        lambda s: pickle.loads(pickle.dumps(s)),
    ],
)
def test_a_copy_looks_nothing_up_again(make_copy: Any, config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key or a broken config file that appears later does not reach a copy of older settings."""
    for name in [name for name in os.environ if name.startswith("IB_")]:
        monkeypatch.delenv(name)
    before = Settings(model="gpt-5.5")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    config("this is not toml")
    after = make_copy(before)
    assert after == before
    assert after.api_key is None
    assert after.origins["model"] == "given"


def test_replace_knows_what_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`dataclasses.replace` keeps origins, marks what it changes as given, and looks up what it clears."""
    before = Settings(candidate="Ada")
    after = dataclasses.replace(before, model="gpt-5.5")
    assert after.origins == {**before.origins, "model": "given"}
    assert dataclasses.replace(after, candidate="Bo").origins["model"] == "given"
    monkeypatch.setenv("IB_CANDIDATE", "Eve")
    cleared = dataclasses.replace(after, candidate=None)
    assert (cleared.candidate, cleared.origins["candidate"]) == ("Eve", "IB_CANDIDATE")


def test_equality_is_about_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal values are equal settings with equal hashes, wherever they came from."""
    monkeypatch.setenv("IB_MODEL", "gpt-5.5")
    looked_up = Settings(api_key=KEY)
    monkeypatch.delenv("IB_MODEL")
    passed_in = Settings(model="gpt-5.5", api_key=Secret(KEY))
    assert looked_up == passed_in
    assert hash(looked_up) == hash(passed_in)
    assert passed_in != passed_in.replace(api_key=KEY + "x")
    assert passed_in != passed_in.replace(models={"local": {}})


def test_one_token_service_per_settings(tmp_path: Path) -> None:
    """Equal settings share a service; different ones do not."""
    mine = Settings(data_dir=tmp_path / "service")
    assert get_token_service(mine) is get_token_service(mine.replace())
    assert get_token_service(mine) is not get_token_service(mine.replace(token_budget=1))


# --- which client


@pytest.mark.parametrize(
    ("given_values", "client"),
    [
        ({}, "demo"),
        ({"api_key": KEY}, "openai"),
        ({"base_url": "http://localhost:1"}, "openai"),
        ({"api_key": KEY, "client": "mine"}, "mine"),
        ({"client": "openai"}, "openai"),
    ],
)
def test_the_client_follows_from_the_key(given_values: dict[str, Any], client: str) -> None:
    """A chosen client wins; else openai with a key or an address, else demo."""
    assert Settings(**given_values).client_name == client


def test_a_key_in_the_environment_chooses_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENAI_API_KEY alone is enough."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert Settings().client_name == "openai"


# --- the key stays hidden


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda s: repr(vars(s)),
        lambda s: repr(vars(s.origins)) + repr(s.origins),
        lambda s: repr(dataclasses.asdict(s)) + repr(dataclasses.astuple(s)),
        lambda s: json.dumps(dataclasses.asdict(s), default=str),
        lambda s: repr(
            [copy.copy(s), copy.deepcopy(s), s.replace(model="x"), dataclasses.replace(s, model="x")]
        ),
    ],
)
@pytest.mark.parametrize("source", ["given", "environment", "file"])
def test_settings_never_show_the_key(
    show: Any, source: str, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No way of showing settings shows the key, wherever it came from."""
    if source == "environment":
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
    elif source == "file":
        config(f'api_key = "{KEY}"')
    settings = Settings(api_key=KEY) if source == "given" else Settings()
    assert settings.api_key is not None
    assert settings.api_key.reveal() == KEY
    assert KEY not in show(settings)


def test_settings_with_a_key_cannot_be_pickled() -> None:
    """Pickling fails with one line that does not hold the key."""
    with pytest.raises(TypeError, match="a Secret cannot be pickled") as caught:
        pickle.dumps(Settings(api_key=KEY))
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "values",
    [
        {"api_key": f"{KEY} {KEY}"},
        {"api_key": [KEY]},
        {"persona": KEY},
        {"token_budget": f"Bearer {KEY}"},
        {"base_url": f"http://localhost/v1?api-key={KEY}"},
        {"base_url": f"https://user:{KEY}@host/v1"},
    ],
)
def test_a_key_in_the_wrong_place_is_not_repeated(values: dict[str, Any]) -> None:
    """The refusal of a value that holds a key does not show the key."""
    assert "Abc123" not in refusal(**values)


def test_a_password_in_the_address_is_refused() -> None:
    """base_url is shown to people, so it may hold no secret; the line says so."""
    assert "without a key or password" in refusal(base_url="https://ada:hunter22@host/v1")
    assert "hunter22" not in refusal(base_url="https://ada:hunter22@host/v1")


def test_the_environment_is_only_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building settings changes no variable and creates no folder."""
    before = dict(os.environ)
    settings = Settings(api_key=KEY)
    assert dict(os.environ) == before
    assert not settings.data_dir.exists()


@pytest.mark.parametrize(
    "rest", ["?key=q1", "?token=q1", "?sig=q1&v=2", "?subscription-key=q1", "?q1", "#q1"]
)
def test_an_address_takes_no_parameter_but_the_version(rest: str) -> None:
    """Whatever else follows the address might be somebody's key: refused, and not shown in the refusal."""
    said = refusal(base_url=f"https://host/v1{rest}")
    assert "without a key or password in it or after it" in said
    assert "q1" not in said
    version = "https://host/openai?api-version=2025-01-01"
    assert Settings(base_url=version).base_url == version
