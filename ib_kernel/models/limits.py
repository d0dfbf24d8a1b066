"""What a model can take: context window, output limit and the like, each with its source and date.

The table is ``data/models.toml``; users add or change rows in their settings::

    [models."my-model"]            # config.toml, or Settings(models={"my-model": {...}})
    context_window = 32768
    max_output = 4096

    [model_aliases]                # a deployment's name, and the model it stands for
    our-deployment = "gpt-5.4-mini"

Prices are not here: `ib_kernel.models.prices` asks genai-prices. The table is read when first needed.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ib_kernel.errors import ConfigError, UnknownModel, did_you_mean

if TYPE_CHECKING:
    from ib_kernel.settings import Settings

CapField = Literal["max_completion_tokens", "max_tokens"]
"""The request field that limits a reply."""

_SNAPSHOT = re.compile(r"-(?:20\d\d-\d\d-\d\d|20\d{6}|\d{4})$")
_OPENAI_NAME = re.compile(r"(?:gpt-|chatgpt-|o\d|codex-)")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The limits of one model. Windows and limits are whole tokens.

    `name` is the row's name: an alias, snapshot or fine-tuned name has been resolved, so send the name that
    the user gave and use this one for limits and counting. `context_window` holds prompt and reply together.
    `cap_field` is the request field that limits the reply. `accepts_temperature` holds for requests that
    name no reasoning effort. `retired` is the announced shutdown day (None: none announced), `source` where
    the figures come from, `checked` when they were compared with it. `max_input` limits the prompt alone
    where that is less than the window (None: it does not). `counts_as` names the model whose counting rules
    apply to a model that no service bills, such as the scripted ``demo`` ("": its own, billed).
    """

    name: str
    context_window: int
    max_output: int
    cap_field: CapField = "max_completion_tokens"
    reasoning: bool = False
    accepts_temperature: bool = True
    retired: datetime.date | None = None
    source: str = ""
    checked: datetime.date | None = None
    max_input: int | None = None
    counts_as: str = ""


def get_model(name: str, settings: Settings | None = None) -> ModelInfo:
    """Return the limits of the model called *name*.

    Looked up in this order: the name as it is, what it is an alias of, without a provider's prefix
    (``openai/…``), the base of a fine-tuned name (``ft:BASE:…``), the base of a dated snapshot. Raises
    `UnknownModel` with one line that says how to give limits.
    """
    table = _rows(settings)
    aliases: Mapping[str, Any] = settings.model_aliases if settings is not None else {}
    current, seen = name.strip(), {""}
    while current not in seen:
        seen.add(current)
        if current in aliases:
            current = str(aliases[current]).strip()
        elif current in table:
            return table[current]
        else:
            current = _shorter(current)
    raise _unknown(name, table, aliases)


def get_model_limit(model: str, settings: Settings | None = None) -> int:
    """Return the context window of *model* in tokens, prompt and reply together. Raises `UnknownModel`."""
    return get_model(model, settings).context_window


def list_models(settings: Settings | None = None) -> list[ModelInfo]:
    """Return every known model: the user's own first, then the table in its order (newest first)."""
    return list(_rows(settings).values())


def retirement_note(info: ModelInfo, today: datetime.date | None = None) -> str:
    """Return one line about a model that is or will be shut down; "" when nothing is announced.

    *today* defaults to the current day (UTC).
    """
    if info.retired is None:
        return ""
    today = today or datetime.datetime.now(datetime.UTC).date()
    days = (info.retired - today).days
    if days <= 0:
        return f"{info.name} was shut down on {info.retired}; OpenAI no longer serves it."
    return f"{info.name} will be shut down on {info.retired} ({days} day{'s' if days > 1 else ''} left)."


def _shorter(name: str) -> str:
    """Take one layer off a name: the provider's prefix, ``ft:``, a snapshot's date; "" when none is left."""
    if "/" in name:
        return name.rsplit("/", 1)[1]
    if name.startswith("ft:"):
        return name.split(":")[1]
    base = _SNAPSHOT.sub("", name)
    return base if base != name else ""


def _unknown(name: str, table: Mapping[str, ModelInfo], aliases: Mapping[str, Any]) -> UnknownModel:
    hint = did_you_mean(name, [*table, *aliases])
    key = _shorter(name) if name.startswith("ft:") and _shorter(name) else name
    return UnknownModel(
        f"unknown model {name!r}{hint or '.'} "
        f'{"Otherwise give" if hint else "Give"} its limits under [models."{key}"] in config.toml or '
        f'Settings(models={{"{key}": {{"context_window": …, "max_output": …}}}})'
    )


@functools.cache
def _shipped() -> dict[str, ModelInfo]:
    import tomllib
    from importlib import resources

    text = resources.files("ib_kernel").joinpath("models/models.toml").read_text(encoding="utf-8")
    return {name: ModelInfo(name=name, **row) for name, row in tomllib.loads(text).items()}


def _rows(settings: Settings | None) -> dict[str, ModelInfo]:
    shipped = _shipped()
    if settings is None or not settings.models:
        return dict(shipped)
    own = {name: _user_row(name, row, shipped.get(name)) for name, row in settings.models.items()}
    return {**own, **{name: info for name, info in shipped.items() if name not in own}}


_KINDS: Mapping[str, tuple[type, ...]] = {
    "context_window": (int,),
    "max_output": (int,),
    "max_input": (int,),
    "cap_field": (str,),
    "reasoning": (bool,),
    "accepts_temperature": (bool,),
    "retired": (datetime.date,),
    "source": (str,),
    "checked": (datetime.date,),
    "counts_as": (str,),
}


def _user_row(name: str, row: Any, base: ModelInfo | None) -> ModelInfo:
    """Build a row from settings: an override of *base*, or a new model that gives its limits."""
    where = f'[models."{name}"]'
    if not isinstance(row, Mapping):
        raise ConfigError(f"{where} must be a table such as {{context_window = 32768, max_output = 4096}}")
    for key, value in row.items():
        _check(where, key, value)
    given: dict[str, Any] = {"source": "your settings", **row}
    if base is not None:
        return dataclasses.replace(base, **given)
    missing = [key for key in ("context_window", "max_output") if key not in row]
    if missing:
        raise ConfigError(f"{where} needs {' and '.join(missing)}, in tokens")
    reasoning = bool(given.get("reasoning", False))
    given.setdefault("accepts_temperature", not reasoning)
    # OpenAI's newer models reject max_tokens; compatible servers honour it and may ignore the newer field.
    given.setdefault("cap_field", "max_completion_tokens" if _OPENAI_NAME.match(name) else "max_tokens")
    return ModelInfo(name=name, **given)


def _positive(value: Any) -> bool:
    return not isinstance(value, bool) and int(value) >= 1


def _check(where: str, key: str, value: Any) -> None:
    if key not in _KINDS:
        hint = did_you_mean(key, _KINDS) or f"; known: {', '.join(_KINDS)}"
        raise ConfigError(f"{where} has an unknown entry {key!r}{hint}")
    kinds = _KINDS[key]
    bad = not isinstance(value, kinds) or (kinds == (int,) and not _positive(value))
    if bad or (key == "cap_field" and value not in ("max_completion_tokens", "max_tokens")):
        allowed = {int: "a whole number of tokens, at least 1", bool: "true or false", str: "some text"}.get(
            kinds[0], "a date such as 2027-01-14"
        )
        if key == "cap_field":
            allowed = "max_completion_tokens or max_tokens"
        raise ConfigError(f"{where} {key} cannot be {value!r}; allowed: {allowed}")
