"""What a model can take: context window, output limit and the like, each with its source and date.

The table is ``models.toml``, OpenAI's models. Users add or change rows in their settings, plugins add models
(`ib_kernel.models.rows`), and a model of another provider is looked up in the price list of genai-prices::

    [model_aliases]                # a deployment's name, and the model it stands for
    our-deployment = "gpt-5.4-mini"

The table is read when first needed.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ib_kernel.errors import UnknownModel, did_you_mean
from ib_kernel.models import price_list
from ib_kernel.models.rows import ModelInfo as ModelInfo  # importable from here too
from ib_kernel.models.rows import cap_field, own_row

if TYPE_CHECKING:
    from ib_kernel.settings import Settings

_SNAPSHOT = re.compile(r"-(?:20\d\d-\d\d-\d\d|20\d{6}|\d{4})$")
_PROVIDER = re.compile(r"(?P<provider>[a-z][a-z0-9_-]{1,30}):(?P<model>.+)", re.DOTALL)
_OPENAI = ("openai", "azure", "azureopenai")
"""Providers of the models in our table, as any-llm writes them before a model's name."""


def get_model(
    name: str,
    settings: Settings | None = None,
    *,
    offered: Mapping[str, ModelInfo] | None = None,
    provider: str = "",
) -> ModelInfo:
    """Return the limits of a model, and whose price it has.

    Looked up in this order: the name as it is (the user's rows, plugins' rows, the table); what it is an
    alias of; without a provider's prefix (``openai/…``); the base of a fine-tuned name (``ft:BASE:…``); the
    base of a dated snapshot; the price list of the provider that the name begins with (``anthropic:…``), or
    else of *provider*. Nothing of another provider is taken from our table.

    Args:
        name: The model, as it is asked for.
        settings: The user's rows and aliases; None for the table alone.
        offered: Rows that plugins offer.
        provider: Whose models the client serves, a name or the address of its API ("": not known).

    Raises:
        UnknownModel: No limits are known; the line says how to give them.
        ConfigError: A row of the user's cannot be used.
    """
    rows = _rows(settings, offered or {}, provider)
    aliases: Mapping[str, Any] = settings.model_aliases if settings is not None else {}
    asked = name.strip()
    found = None
    if asked not in rows and asked not in aliases and (named := _split_provider(asked)):
        provider, model = named
        if provider in _OPENAI:
            found = _follow(model, rows, aliases)
        elif model in rows and rows[model].provider in ("", price_list.provider_id(provider)):
            found = rows[model]
        asked = model
    else:
        found = _follow(asked, rows, aliases)
    found = found or _listed(asked, provider)
    if found is None:
        raise _unknown(name, rows, aliases, asked, provider)
    return _with_provider(found, provider)


def get_model_limit(model: str, settings: Settings | None = None) -> int:
    """Return the context window of a model in tokens, prompt and reply together.

    Args:
        model: The model, as it is asked for.
        settings: The user's rows and aliases; None for the table alone.

    Raises:
        UnknownModel: No limits are known; the line says how to give them.
    """
    return get_model(model, settings).context_window


def list_models(
    settings: Settings | None = None, *, offered: Mapping[str, ModelInfo] | None = None
) -> list[ModelInfo]:
    """Return every known model: the user's own first, then plugins', then the table (newest first).

    Args:
        settings: The user's rows; None for none.
        offered: Rows that plugins offer.

    Raises:
        ConfigError: A row of the user's cannot be used.
    """
    return list(_rows(settings, offered or {}).values())


def is_shipped(name: str) -> bool:
    """Return True if our table has a row of that name.

    Args:
        name: The model.
    """
    return name in _shipped()


def retirement_note(info: ModelInfo, today: datetime.date | None = None) -> str:
    """Return one line about a model that is or will be shut down; "" when nothing is announced.

    Args:
        info: The model.
        today: The day it is read (None: the current one, UTC).
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


def _follow(name: str, rows: Mapping[str, ModelInfo], aliases: Mapping[str, Any]) -> ModelInfo | None:
    """Return the row that *name* leads to through aliases and shorter names, or None."""
    current, seen = name, {""}
    while current not in seen:
        seen.add(current)
        if current in aliases:
            current = str(aliases[current]).strip()
        elif current in rows:
            return rows[current]
        else:
            current = _shorter(current)
    return None


def _split_provider(name: str) -> tuple[str, str] | None:
    """Return provider and model of a name such as ``anthropic:claude-…``; ``ft:`` is no provider."""
    match = _PROVIDER.fullmatch(name)
    return (match["provider"], match["model"].strip()) if match and match["provider"] != "ft" else None


def _listed(model: str, provider: str) -> ModelInfo | None:
    """Return what the price list knows about the limits of *model*, or None."""
    owner = price_list.provider_id(provider)
    listed = price_list.find(model, owner) if owner else None
    if listed is None or not listed.context_window:
        return None
    return ModelInfo(
        model,
        listed.context_window,
        listed.context_window,  # the list has no output limits; the service refuses a cap above its own
        cap_field=cap_field(model),
        source=f"{price_list.source()} (its windows are rounded, and it has no output limits)",
        provider=owner,
    )


def _with_provider(found: ModelInfo, provider: str) -> ModelInfo:
    """Return *found* with the provider that serves it here, where that is another than the row says."""
    if found.provider not in ("", "openai") or found.provider == provider or found.counts_as:
        return found
    owner = provider if provider == "openai" else price_list.provider_id(provider)
    return dataclasses.replace(found, provider=owner) if owner else found


def _unknown(
    name: str, table: Mapping[str, ModelInfo], aliases: Mapping[str, Any], asked: str, provider: str
) -> UnknownModel:
    hint = did_you_mean(name, [*table, *aliases])
    owner = price_list.provider_id(provider)
    if owner and price_list.find(asked, owner) is not None:
        hint = f": {price_list.source()} knows its price and no context window."
    key = _shorter(name) if name.startswith("ft:") and _shorter(name) else name
    give = "Otherwise give" if hint.startswith(";") else "Give"
    return UnknownModel(
        f"unknown model {name!r}{hint or '.'} "
        f'{give} its limits under [models."{key}"] in config.toml or '
        f'Settings(models={{"{key}": {{"context_window": …, "max_output": …}}}})'
    )


@functools.cache
def _shipped() -> dict[str, ModelInfo]:
    import tomllib
    from importlib import resources

    text = resources.files("ib_kernel").joinpath("models/models.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text).items()
    return {name: ModelInfo(name=name, **{"provider": "openai", **row}) for name, row in rows}


def _rows(
    settings: Settings | None, offered: Mapping[str, ModelInfo], provider: str = ""
) -> dict[str, ModelInfo]:
    """Return every row by name: the user's, then plugins', then the table's."""
    known = {**_shipped(), **offered}
    own: dict[str, ModelInfo] = {}
    for name, row in (settings.models if settings is not None else {}).items():
        base, named = known.get(name), _split_provider(name)
        if base is None and not {"context_window", "max_output"} <= set(row):  # what is missing may be listed
            base = _listed(*reversed(named or (provider, name)))
        info = own_row(name, row, "your settings", base)
        own[name] = _with_provider(info, named[0]) if named and not info.provider else info
    return {**own, **{name: info for name, info in {**offered, **_shipped()}.items() if name not in own}}
