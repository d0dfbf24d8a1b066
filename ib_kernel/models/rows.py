"""One model's limits and price as a value, and how users and plugins give them.

::

    [models."my-model"]            # config.toml, Settings(models={…}), or catalog.add_model("my-model", …)
    context_window = 32768         # tokens
    max_output = 4096              # tokens
    provider = "mistral"           # whose prices apply; or give them, in US dollars for a million tokens:
    input_usd_per_mtok = 0.25
    output_usd_per_mtok = 1.25
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from ib_kernel.errors import ConfigError, did_you_mean

CapField = Literal["max_completion_tokens", "max_tokens"]
"""The request field that limits a reply."""

_OPENAI_NAME = re.compile(r"(?:gpt-|chatgpt-|o\d|codex-)")


@dataclass(frozen=True, slots=True)
class Rates:
    """What a model costs, in US dollars for a million tokens, where a person or a plugin says so.

    `cached` and `cache_write` are the prices of tokens read from and written to the cache (None: that of
    other input). `source` says who gave them.
    """

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    cache_write: Decimal | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The limits of one model, and where its price is found. Windows and limits are whole tokens.

    `name` is the row's name: an alias, snapshot or fine-tuned name has been resolved, so send the name that
    the user gave and use this one for limits and counting. `context_window` takes prompt and reply together.
    `cap_field` is the request field that limits the reply. `accepts_temperature` is about requests that
    name no reasoning effort. `retired` is the announced shutdown day (None: none announced), `source` where
    the figures come from, `checked` when they were compared with it. `max_input` limits the prompt alone
    where that is less than the window (None: it does not). `counts_as` names the model whose counting rules
    apply to a model that no service bills, such as the scripted ``demo`` ("": its own, billed). `provider` is
    whose list price applies, by the names of genai-prices ("": nobody's that is known), and `rates` a price
    that was given for this model and comes before any list's.
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
    provider: str = ""
    rates: Rates | None = None


def own_row(name: str, row: Any, source: str, base: ModelInfo | None = None) -> ModelInfo:
    """Build a row that a user or a plugin gave.

    Args:
        name: The model.
        row: The table's entries.
        source: Who gave it, as `ModelInfo.source` and the price's source say.
        base: What the row changes; None for a model of its own, which needs its limits.

    Raises:
        ConfigError: An entry is unknown, missing or cannot be used.
    """
    where = f'[models."{name}"]'
    if not isinstance(row, Mapping):
        raise ConfigError(f"{where} must be a table such as {{context_window = 32768, max_output = 4096}}")
    for key, value in row.items():
        _check(where, key, value)
    limits = {key: value for key, value in row.items() if key not in _PRICES}
    given: dict[str, Any] = {"source": source, **limits}
    rates = _rates(where, row, source)
    if rates is not None:
        given["rates"] = rates
    if base is not None:
        return dataclasses.replace(base, **given)
    missing = [key for key in ("context_window", "max_output") if key not in row]
    if missing:
        raise ConfigError(f"{where} needs {' and '.join(missing)}, in tokens")
    given.setdefault("accepts_temperature", not given.get("reasoning", False))
    given.setdefault("cap_field", cap_field(name))
    return ModelInfo(name=name, **given)


def cap_field(name: str) -> CapField:
    """Return the request field that limits a reply of a model nobody has described.

    OpenAI's newer models reject max_tokens; compatible servers honour it and may ignore the newer field.
    """
    return "max_completion_tokens" if _OPENAI_NAME.match(name) else "max_tokens"


_PRICES: Mapping[str, str] = {
    "input_usd_per_mtok": "input",
    "output_usd_per_mtok": "output",
    "cached_usd_per_mtok": "cached",
    "cache_write_usd_per_mtok": "cache_write",
}
_TOKENS = "a whole number of tokens, at least 1"
_KINDS: Mapping[str, tuple[type, str]] = {
    "context_window": (int, _TOKENS),
    "max_output": (int, _TOKENS),
    "max_input": (int, _TOKENS),
    "cap_field": (str, "max_completion_tokens or max_tokens"),
    "reasoning": (bool, "true or false"),
    "accepts_temperature": (bool, "true or false"),
    "retired": (datetime.date, "a date such as 2027-01-14"),
    "source": (str, "some text"),
    "checked": (datetime.date, "a date such as 2027-01-14"),
    "counts_as": (str, "some text"),
    "provider": (str, "a provider's name such as anthropic"),
    **dict.fromkeys(_PRICES, (Decimal, "US dollars for a million tokens, 0 or more, such as 0.25")),
}


def _check(where: str, key: str, value: Any) -> None:
    if key not in _KINDS:
        hint = did_you_mean(key, _KINDS) or f"; known: {', '.join(_KINDS)}"
        raise ConfigError(f"{where} has an unknown entry {key!r}{hint}")
    kind, allowed = _KINDS[key]
    if kind is Decimal:
        fits = _usd(value) is not None
    else:
        fits = isinstance(value, kind) and (kind is not int or _is_tokens(value))
    if not fits or (key == "cap_field" and value not in ("max_completion_tokens", "max_tokens")):
        raise ConfigError(f"{where} {key} cannot be {value!r}; allowed: {allowed}")


def _is_tokens(value: Any) -> bool:
    return not isinstance(value, bool) and 1 <= int(value) <= 2**53


def _usd(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    try:
        number = Decimal(str(value).strip().removeprefix("$"))
    except (ArithmeticError, ValueError):
        return None
    return number if number.is_finite() and 0 <= number <= 1_000_000 else None


def _rates(where: str, row: Mapping[str, Any], source: str) -> Rates | None:
    given = {field: _usd(row[key]) for key, field in _PRICES.items() if key in row}
    if not given:
        return None
    missing = [key for key, field in _PRICES.items() if field in ("input", "output") and field not in given]
    if missing:
        raise ConfigError(f"{where} has a price and needs {' and '.join(missing)} too")
    return Rates(**given, source=str(row.get("source", source)))  # type: ignore[arg-type]
