"""`ib`: the command line of the interviewer's side. What a command does lives in its room."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ib_kernel.errors import BuddyError, ConfigError

if TYPE_CHECKING:
    from ib_kernel.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ib`` with some words (None: the process's own) and return its exit status."""
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.WARNING)
    parser = _parser()
    try:
        given = parser.parse_args(argv)
        if not hasattr(given, "run"):
            parser.print_help()
            return 2
        status: int = given.run(given)
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
    host = _command(commands, "host", "run the host that candidates join", _host)
    host.add_argument("--listen", default="", metavar="HOST:PORT|unix:PATH", help="default 127.0.0.1:8899")
    host.add_argument("--url", default="", help="the address that people type, where it is another")
    host.add_argument("--tls-cert", default="", metavar="FILE", help="certificate and its chain, PEM")
    host.add_argument("--tls-key", default="", metavar="FILE", help="its key, PEM")
    host.add_argument("--behind-proxy", action="store_true", help="a proxy on this machine ends TLS")
    host.add_argument("--access-log", action="store_true", help="one line for each request, to stderr")
    return parser


def _command(
    commands: Any, name: str, summary: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary.capitalize() + ".", allow_abbrev=False
    )
    made.add_argument("--data", type=Path, metavar="DIR", help="folder of the ledger; default: the settings'")
    made.add_argument("--store", metavar="NAME", help="ledger by plugin name; default: the settings'")
    made.set_defaults(run=run)
    return made


def settings_of(given: argparse.Namespace) -> Settings:
    """Return the settings with what the command line names."""
    from ib_kernel.settings import Settings

    return Settings().replace("ib", data_dir=given.data, store=given.store)


def _host(given: argparse.Namespace) -> int:
    from ib_kernel.host.serve import DEFAULT_LISTEN, Serving, run

    if given.access_log:
        logging.getLogger("ib_kernel.host.access").setLevel(logging.INFO)
    serving = Serving(
        given.listen or DEFAULT_LISTEN, given.url, given.tls_cert, given.tls_key, given.behind_proxy
    )
    return run(settings_of(given), serving, _say)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
