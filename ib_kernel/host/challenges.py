"""`ib challenge new | lint | probe | pack`: what each does. Each returns the exit status."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ib_kernel.interview.challenges.folder import is_folder
from ib_kernel.text import several

if TYPE_CHECKING:
    from ib_kernel.interview.challenges import Challenge

Say = Callable[[str], None]


def new(given: argparse.Namespace, say: Say) -> int:
    """Write a small challenge, complete, to be replaced part by part."""
    from ib_kernel.evidence.authoring import new_challenge

    for path in new_challenge(given.folder):
        say(str(path))
    say(f"ib challenge lint {given.folder} says what is wrong with it; nothing yet")
    return 0


def lint(given: argparse.Namespace, say: Say) -> int:
    """Say what is wrong with challenges, one line each; status 1 with a finding."""
    from ib_kernel.evidence.hidden import HiddenChecks
    from ib_kernel.evidence.lint import lint as find

    checks, count = HiddenChecks(), 0
    found = _chosen(given.names)
    for challenge in found:
        for finding in find(challenge, checks):
            count += 1
            say(f"{challenge.name}: {finding.rule}: {finding.text}")
    say(f"{several(len(found), 'challenge')}, {several(count, 'finding')}")
    return 1 if count else 0


def probe(given: argparse.Namespace, say: Say) -> int:
    """Say what one plain prompt to a model solves, with the day and the model."""
    from ib_kernel.evidence.probe import probe as ask_once
    from ib_kernel.host.typed import settings_of
    from ib_kernel.interview.interview import Interview

    settings = settings_of(given).replace("ib challenge probe", model=given.model, client=given.client)
    (challenge,) = _chosen([given.name])
    with Interview(settings) as interview:
        say(ask_once(interview, challenge).line(challenge.name))
    return 0


def pack(given: argparse.Namespace, say: Say) -> int:
    """Split a folder into two packages that can be built and published apart."""
    from ib_kernel.evidence.authoring import pack as split

    public, private = split(given.folder, given.out)
    say(f"{public}: the candidate's part; publish it")
    say(f"{private}: notes, rubric, hints, hidden runs and solution; for hosts and interviewers only")
    say(f"pip wheel --no-deps {public} builds either; installed together they are the challenge")
    return 0


def _chosen(names: list[str]) -> list[Challenge]:
    """Return the challenges of those names or paths; all that are installed where none is named."""
    from ib_kernel.interview.challenges import list_challenges, load_challenge
    from ib_kernel.plugin.manager import Plugins
    from ib_kernel.settings import Settings

    plugins, folders = Plugins(), Settings().challenges
    if not names:
        return list_challenges(plugins, folders)
    return [load_challenge(_place(name), plugins, folders) for name in names]


def _place(name: str) -> str:
    """Return the folder that is here by that name, as a path, before a challenge that is installed."""
    return os.path.join(os.curdir, name) if is_folder(Path(name)) and os.sep not in name else name
