"""`ib`: the command line of the interviewer's side. What a command does lives in its room."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ib_kernel.errors import BuddyError, ConfigError

PRIVATE = 0o077
"""The umask of every command: nothing for other users."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ib`` with some words (None: the process's own) and return its exit status.

    Whatever it writes is its owner's alone: some files, such as DuckDB's, are made by libraries that know no
    other way to say so than the process's umask.
    """
    before = os.umask(PRIVATE)
    try:
        return _run(argv)
    finally:
        os.umask(before)


def _run(argv: Sequence[str] | None) -> int:
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.WARNING)
    parser = _parser()
    try:
        given = parser.parse_args(argv)
        if not hasattr(given, "run"):
            parser.print_help()
            return 2
        from ib_kernel.host import commands

        status: int = getattr(commands, given.run)(given)
    except BuddyError as error:
        print(f"ib: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; {self.prog} --help shows what it takes")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ib", description="Interview Buddy: the interviewer's side.", allow_abbrev=False)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    _host_parser(_command(commands, "host", "run the host that candidates join", "host"))
    _invite_parser(_command(commands, "invite", "invite a candidate; prints the line to send", "invite"))
    link = _command(commands, "link", "make a new link to the interviewer's page", "link")
    link.add_argument("--name", default="", help="whose; default: yours")
    people = _command(commands, "interviewer", "list, add or remove interviewers", "people")
    people.add_argument("action", choices=("list", "add", "remove"), nargs="?", default="list")
    people.add_argument("name", nargs="?", default="")
    people.add_argument("--role", choices=("interviewer", "coordinator"), default="interviewer")
    _challenge_parser(commands)
    verify = _command(commands, "verify", "recompute the ledger's chain and what was sent", "verify")
    verify.add_argument("session", nargs="?", default="", help="a session's ID; default: all")
    _report_parser(_command(commands, "report", "write a session's report as .html, .md or .json", "report"))
    backup = _command(commands, "backup", "copy the whole ledger while it is used", "backup")
    backup.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder")
    restore = _command(commands, "restore", "bring a backup back into a new ledger", "restore")
    restore.add_argument("folder", type=Path, metavar="DIR", help="a folder that ib backup wrote")
    _person_parsers(commands)
    store = _command(commands, "store", "make, migrate, check or move a ledger such as a database", "store")
    actions = ("init", "migrate", "check", "import-duckdb", "export-duckdb")
    store.add_argument("action", choices=actions, help="what to do with the ledger that --store names")
    what = "import: the folder to move from (default: --data); export: a new file"
    store.add_argument("place", nargs="?", default="", metavar="DIR|FILE", help=what)
    _command(commands, "doctor", "show settings, the host and the ledger's health", "doctor")
    return parser


def _host_parser(host: argparse.ArgumentParser) -> None:
    host.add_argument("--listen", default="", metavar="HOST:PORT|unix:PATH", help="default 127.0.0.1:8899")
    host.add_argument("--url", default="", help="the address that people type, where it is another")
    host.add_argument("--tls-cert", default="", metavar="FILE", help="certificate and its chain, PEM")
    host.add_argument("--tls-key", default="", metavar="FILE", help="its key, PEM")
    host.add_argument("--behind-proxy", action="store_true", help="a proxy on this machine ends TLS")
    host.add_argument(
        "--proxy", action="append", default=[], metavar="IP", help="the proxy's address, where it is not here"
    )
    host.add_argument("--workers", type=_number(int), default=1, metavar="N", help="processes; default 1")
    host.add_argument("--hub", action="store_true", help="JupyterHub has started it as a service")
    host.add_argument("--access-log", action="store_true", help="one line for each request, to stderr")


def _report_parser(report: argparse.ArgumentParser) -> None:
    report.add_argument("session", metavar="SESSION", help="a session's ID, or its beginning")
    report.add_argument("file", metavar="FILE", help="a new file; its end says how it is written")
    report.add_argument("--for", dest="whom", choices=("interviewer", "candidate"), default="interviewer")
    report.add_argument("--rater", default="", metavar="NAME", help="whose levels come first; default: yours")
    report.add_argument("--judge", default="", metavar="NAME", help="ask this judge first")
    report.add_argument("--no-model", action="store_true", help="leave out what a judge proposes")
    report.add_argument("--blind", action="store_true", help="hide the name until everything is rated")
    report.add_argument("--release", action="store_true", help="let the candidate read this edition")
    report.add_argument("--overwrite", action="store_true", help="replace an existing file")


def _person_parsers(commands: Any) -> None:
    export = _command(commands, "export", "write all rows about a person into a folder", "export")
    export.add_argument("--out", default="", metavar="DIR", help="a new or empty folder; default: here")
    erase = _command(commands, "erase", "erase a person's name and texts from the ledger", "erase")
    erase.add_argument(
        "--backup", action="append", default=[], type=Path, metavar="DIR", help="erase in that backup, too"
    )
    erase.add_argument("--resume", action="store_true", help="only finish what was begun before")
    for parser in (export, erase):
        parser.add_argument("--candidate-id", default="", metavar="ID", help="whose: their id, or their name")
        parser.add_argument(
            "--session", action="append", default=[], metavar="ID", help="a session instead; may be repeated"
        )
        parser.add_argument(
            "--same-person", action="store_true", help="all sessions with that name are one person's"
        )
    retention = _command(commands, "retention", "list sessions whose time is over", "retention")
    retention.add_argument("--erase", action="store_true", help="erase them")
    for parser in (erase, retention):
        parser.add_argument("--yes", action="store_true", help="do not ask")


def _challenge_parser(commands: Any) -> None:
    made = commands.add_parser("challenge", help="make, check, try and pack challenges", allow_abbrev=False)
    actions = made.add_subparsers(metavar="WHAT", title="what to do", required=True)
    new = actions.add_parser("new", help="write a small challenge to begin with", allow_abbrev=False)
    new.add_argument("folder", type=Path, metavar="NAME", help="the new folder; its name is the challenge's")
    lint = actions.add_parser("lint", help="say what is wrong, one line each", allow_abbrev=False)
    lint.add_argument("names", nargs="*", metavar="PATH|NAME", help="default: all that are installed")
    probe = actions.add_parser(
        "probe", help="say what one plain prompt to a model solves", allow_abbrev=False
    )
    probe.add_argument("name", metavar="PATH|NAME", help="a challenge with hidden runs")
    probe.add_argument("--model", help="the model; default: the settings'")
    probe.add_argument("--client", help="the client plugin; default: the settings'")
    probe.add_argument(
        "--data", type=Path, metavar="DIR", help="folder of the ledger; default: the settings'"
    )
    probe.add_argument("--store", metavar="NAME", help="ledger by plugin name; default: the settings'")
    pack = actions.add_parser(
        "pack", help="split into the candidate's part and the private one", allow_abbrev=False
    )
    pack.add_argument("folder", type=Path, metavar="PATH", help="a challenge's folder")
    pack.add_argument("--out", type=Path, metavar="DIR", default=Path(), help="where to; default: here")
    for action, parser in actions.choices.items():
        parser.set_defaults(run="challenge", action=action)


def _invite_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("role", nargs="?", default="", metavar="ROLE", help='such as "Backend engineer"')
    parser.add_argument("--session", default="", metavar="ID", help="readmit: whoever was in is out")
    parser.add_argument("--candidate", metavar="NAME", help="who is interviewed")
    parser.add_argument("--candidate-id", metavar="ID", help="what names the person where a name does not")
    parser.add_argument("--level", help="such as senior")
    parser.add_argument("--challenge", metavar="NAME|FILE", help="the task")
    parser.add_argument("--budget", dest="token_budget", type=_number(int), metavar="N", help="tokens")
    parser.add_argument(
        "--charge", metavar="HOW", help="billed: all that the service bills; new: what each turn adds"
    )
    parser.add_argument("--budget-usd", metavar="USD", help="US dollars, beside the tokens")
    parser.add_argument("--minutes", type=_number(float), metavar="N", help="time limit")
    parser.add_argument(
        "--accommodation", metavar="time=1.25", help="more time for this person; coordinators see it"
    )
    parser.add_argument("--model", help="the model")
    parser.add_argument("--client", help="the client plugin")
    parser.add_argument(
        "--as", dest="persona", metavar="ROLE|FILE", help="what the AI is: interviewer, assistant, …"
    )
    parser.add_argument("--preset", metavar="NAME", help="[presets.NAME] of config.toml; the rest is added")
    parser.add_argument("--keep-days", type=_number(int), metavar="N", help="due to be erased after N days")
    parser.add_argument("--gateway", action="store_true", help="the candidate's own tools may spend, too")
    parser.add_argument("--hours", type=_number(float), metavar="N", help="how long the code is valid; 48")
    parser.add_argument("--host", default="", metavar="URL", help="a host elsewhere (IB_HOST_TOKEN signs in)")


def _number(kind: type[int] | type[float]) -> Callable[[str], int | float]:
    def number(text: str) -> int | float:
        value = kind(text.replace("_", "").replace(",", ""))
        if value <= 0:
            raise ValueError
        return value

    number.__name__ = "number above 0"
    return number


def _command(commands: Any, name: str, summary: str, run: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary.capitalize() + ".", allow_abbrev=False
    )
    made.add_argument("--data", type=Path, metavar="DIR", help="folder of the ledger; default: the settings'")
    made.add_argument("--store", metavar="NAME", help="ledger by plugin name; default: the settings'")
    made.set_defaults(run=run)
    return made
