"""How a plugin is read: its distribution, its hooks, and what was wrong with it, in one line."""

from __future__ import annotations

import importlib.metadata
import traceback
from typing import Any

import pluggy

from ib_kernel.errors import BrokenPlugin
from ib_kernel.plugin import hookspecs
from ib_kernel.plugin.registry import did_you_mean
from ib_kernel.secrets import scrub

OURS = "interview-buddy-kernel"
"""The distribution whose plugins load first, so that in a clash of names it is the other that is told."""

HOOKS = tuple(name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec"))
"""The names of all hooks."""


def implementations(manager: pluggy.PluginManager, hook: str) -> list[pluggy.HookImpl]:
    """Return the implementations of a hook, in the order in which plugins were added."""
    caller = getattr(manager.hook, hook, None)
    return list(reversed(caller.get_hookimpls())) if caller is not None else []


def check(manager: pluggy.PluginManager, plugin: Any, name: str) -> None:
    """Raise for what pluggy accepts in silence: misspelt, unmarked, wrapping or missing hooks."""
    mine = [hook for hook in manager.hook.__dict__ if not hook.startswith("_")]
    found = {hook: i for hook in mine for i in implementations(manager, hook) if i.plugin_name == name}
    for hook, implementation in found.items():
        if hook not in HOOKS and not implementation.optionalhook:
            hint = did_you_mean(hook, HOOKS) or f"; there are: {', '.join(HOOKS)}"
            raise BrokenPlugin(f"there is no hook {hook}{hint}")
        if implementation.wrapper or implementation.hookwrapper:
            raise BrokenPlugin(f"{hook} is a wrapper; hooks here observe, they wrap nothing")
    for hook in HOOKS:
        if hook not in found and callable(getattr(plugin, hook, None)):
            raise BrokenPlugin(f"{hook} lacks its @hookimpl (from ib_kernel import hookimpl)")
    if not found:
        raise BrokenPlugin(f"it implements no hook; there are: {', '.join(HOOKS)}")


def name_of(plugin: Any) -> str:
    """Return what a module or object calls itself."""
    return str(getattr(plugin, "__name__", None) or type(plugin).__name__)


def distribution(entry: importlib.metadata.EntryPoint) -> tuple[str, str]:
    """Return the name and version of the distribution that installed an entry point."""
    try:
        return (entry.dist.name or "", entry.dist.version or "") if entry.dist else ("", "")
    except Exception:  # noqa: BLE001 - metadata that cannot be read is no reason to miss a plugin
        return "", ""


def order(entry: importlib.metadata.EntryPoint) -> tuple[bool, str, str]:
    """Return what entry points are sorted by: ours first."""
    return distribution(entry)[0] != OURS, entry.name, entry.value


def call(implementation: pluggy.HookImpl, **given: object) -> None:
    """Call a hook with those of the arguments that it names."""
    implementation.function(*(given[name] for name in implementation.argnames))


def reason(error: BaseException, secret: str | None = None) -> str:
    """Return the error as one line of at most 300 characters, without *secret*."""
    message = scrub(" ".join(str(error).split()), secret)
    kind = "" if isinstance(error, BrokenPlugin) else type(error).__name__
    return ": ".join(part for part in (kind, message) if part)[:300]


def trace(error: BaseException, secret: str | None = None) -> str:
    """Return the error's traceback without keys."""
    return scrub("".join(traceback.format_exception(error)), secret).rstrip()
