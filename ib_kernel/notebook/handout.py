"""What a challenge brings along: its starter code as a new cell, its data files beside the notebook.

Both may come from a host, which a candidate need not trust: names are plain, nothing that is there is written
over, no link is followed, and nothing is written that Python or the system would run by its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from htpy import pre

from ib_kernel.interview.challenges.folder import MAX_DATA, MAX_DATA_FILES
from ib_kernel.notebook.output.show import publish
from ib_kernel.text import one_line, plain

if TYPE_CHECKING:
    from ib_kernel.interview.challenges import Challenge

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CODE = re.compile(
    r"\.(py\w?|pth|so|egg|whl|ipynb|dll|dylib|exe|com|bat|cmd|ps1|sh|lnk|desktop|command)$|\.so\.", re.I
)


def insert_cell(shell: Any, text: str) -> bool:
    """Put *text* into a new cell or the next prompt. Return True if the front end can.

    Args:
        shell: The shell; one that is neither a kernel's nor has a prompt shows nothing of what is set.
        text: The cell's source.
    """
    if not hasattr(shell, "kernel") and not hasattr(shell, "prompt_for_code"):
        return False
    shell.set_next_input(text, replace=False)
    return True


def hand_out(challenge: Challenge | None, insert: Callable[[str], bool], folder: Path) -> list[str]:
    """Give the candidate what the challenge brings along; return the line that says what was done.

    Args:
        challenge: What the session was given; None: nothing is done.
        insert: Puts a text into a new cell; returns False where that cannot be.
        folder: Where data files are written.
    """
    said = []
    if challenge is not None and challenge.starter.strip():
        code = f"{challenge.starter.strip()}\n"
        if insert(code):
            said.append("the starter code is in a new cell")
        else:
            publish(pre[plain(code)], plain(code))
            said.append("copy the starter code above into a cell")
    if challenge is not None and challenge.data:
        said += _copy(challenge, folder)
    line = "; ".join(said)
    return [f"{line[0].upper()}{line[1:]}."] if line else []


def _copy(challenge: Challenge, folder: Path) -> list[str]:
    copied, kept, refused = [], [], []
    left = MAX_DATA
    for number, (name, content) in enumerate(sorted(challenge.data.items())):
        left -= len(content)
        shown = one_line(plain(name))[:100]
        if number >= MAX_DATA_FILES or left < 0 or not _NAME.fullmatch(name) or _CODE.search(name):
            refused.append(f"{shown} (not a plain data file)")
            continue
        try:
            with (folder / name).open("xb") as file:  # never through a link, never over what is there
                file.write(content)
            copied.append(shown)
        except FileExistsError:
            kept.append(shown)
        except OSError as error:
            refused.append(f"{shown} ({error.strerror})")
    parts = [(copied, "data beside this notebook: "), (kept, "left as it was, because it was there: ")]
    return [head + ", ".join(names) for names, head in (*parts, (refused, "not copied: ")) if names]
