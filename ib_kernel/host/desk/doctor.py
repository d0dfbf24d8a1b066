"""The doctor: what the host goes by, and whether its parts are well; no key is ever shown."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ib_kernel.errors import BuddyError
from ib_kernel.evidence.sandbox import Sandbox
from ib_kernel.host.answers import answer
from ib_kernel.host.auth import host_of, require_interviewer
from ib_kernel.host.doctor import about_server
from ib_kernel.host.host import Host
from ib_kernel.host.openapi import TEXT, array, choice, fields, operation
from ib_kernel.secrets import scrub_keys
from ib_kernel.text import format_usd, one_line, several

PACKAGES = (
    "interview-buddy-kernel",
    "starlette",
    "uvicorn",
    "aiohttp",
    "openai",
    "tiktoken",
    "duckdb",
    "apsw",
    "psycopg",
)
"""Packages whose versions matter to a report."""

LINE = fields({"name": TEXT, "value": TEXT, "state": choice("good", "attention", "failed", "plain")})
REPORT = fields({"sections": array(fields({"title": TEXT, "lines": array(LINE)}))})

Line = tuple[str, str, str]


@operation("Whether the host and its ledger are well", who="interviewer", answers=REPORT)
async def doctor(request: Request) -> Response:
    """Answer the report."""
    await require_interviewer(request)
    return answer(await run_in_threadpool(report, host_of(request)))


def report(host: Host) -> dict[str, Any]:
    """Return the report; what is broken is a line of it, never an error."""
    sections = [
        ("Host", _host(host)),
        ("Settings", _settings(host)),
        ("Ledger", _ledger(host)),
        ("Plugins", _plugins(host)),
        ("Versions", _versions()),
    ]
    return {
        "sections": [
            {
                "title": title,
                "lines": [{"name": n, "value": scrub_keys(one_line(v)), "state": s} for n, v, s in lines],
            }
            for title, lines in sections
        ]
    }


def _host(host: Host) -> list[Line]:
    options = host.options
    how = "TLS" if options.is_secure else "plain HTTP, for this machine only"
    if options.behind_proxy:
        how = "TLS, ended by a proxy"
    fingerprint = [("certificate", f"SHA-256 {options.fingerprint}; stands in the join line", "plain")]
    return [
        ("address", options.address, "plain"),
        ("how", how, "good"),
        *(fingerprint if options.fingerprint else []),
        _sandbox(),
    ]


def _sandbox() -> Line:
    sandbox = Sandbox()
    return ("hidden checks", sandbox.state(), "attention" if sandbox.problem() else "good")


def _settings(host: Host) -> list[Line]:
    settings = host.settings
    demo, key = settings.client_name == "demo", settings.api_key is not None
    client = "demo: scripted replies, nobody bills them; set OPENAI_API_KEY for real ones"
    return [
        ("client", client if demo else settings.client_name, "attention" if demo else "good"),
        (
            "key",
            "set" if key else "not set",
            "plain" if key or demo else "attention",
        ),
        ("model", settings.model, "plain"),
        ("budget", f"{several(settings.token_budget, 'token')} where an invitation says nothing", "plain"),
        ("data", str(settings.data_dir), "plain"),
    ]


def _ledger(host: Host) -> list[Line]:
    looks = {
        "audit": _audit,
        "hash chain": _chain,
        "in doubt": _doubts,
        "being written": _held,
        "ceiling": _ceiling,
    }
    where = ("where", host.store.location(), "plain")
    tried = (_tried(name, functools.partial(look, host)) for name, look in looks.items())
    return [where, *_server(host), *tried]


def _audit(host: Host) -> Line:
    problems = host.store.check()
    return ("audit", "; ".join(problems) or "it adds up", "failed" if problems else "good")


def _chain(host: Host) -> Line:
    verify = getattr(host.store, "verify", None)
    if verify is None:
        return ("hash chain", "this ledger keeps none", "plain")
    problems = verify()
    return ("hash chain", "; ".join(problems[:5]) or "unbroken", "failed" if problems else "good")


def _doubts(host: Host) -> Line:
    found = [r for r in host.store.reservations() if r.in_doubt]
    tokens = sum(r.tokens for r in found)
    said = (
        f"{several(len(found), 'call')}, {several(tokens, 'token')}; their sessions ask you"
        if found
        else "none"
    )
    return ("in doubt", said, "attention" if found else "good")


def _held(host: Host) -> Line:
    found = [r for r in host.store.reservations() if not r.in_doubt]
    return ("being written", f"{len(found):,} {'reply' if len(found) == 1 else 'replies'}", "plain")


def _ceiling(host: Host) -> Line:
    now = host.store.ceiling()
    said = []
    if now.day_nano_usd is not None:
        said.append(f"{format_usd(now.day_spent + now.held)} of {format_usd(now.day_nano_usd)} today")
    if now.total_nano_usd is not None:
        said.append(f"{format_usd(now.total_spent + now.held)} of {format_usd(now.total_nano_usd)} in all")
    return ("ceiling in money", ", ".join(said) or "none set", "plain")


def _server(host: Host) -> list[Line]:
    try:
        return [("server", line, "good" if well else "attention") for line, well in about_server(host)]
    except BuddyError as error:
        return [("server", str(error), "failed")]


def _plugins(host: Host) -> list[Line]:
    plugins = host.service.plugins
    plugins.load()
    return [
        (
            info.name,
            f"broken: {info.problem}" if info.problem else "works",
            "failed" if info.problem else "good",
        )
        for info in plugins.infos.values()
    ]


def _versions() -> list[Line]:
    found: list[Line] = [("Python", f"{platform.python_version()} on {platform.system()}", "plain")]
    for name in PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name), "plain"))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "not installed", "plain"))
    return found


def _tried(name: str, look: Callable[[], Line]) -> Line:
    try:
        return look()
    except BuddyError as error:
        return (name, str(error), "failed")
    except Exception as error:  # noqa: BLE001 - a report is most needed when something is broken
        return (name, f"{type(error).__name__}: {error}", "failed")
