"""The interviewer's part of the challenges: notes, rubrics, hints, hidden runs and solutions.

A distribution of its own (see its pyproject.toml), because candidates install the base package and must not
get these files with it. A host, and an interviewer's own machine, install both.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from ib_kernel.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from ib_kernel.plugin.registry import Catalog


@hookimpl
def ib_register(catalog: Catalog) -> None:
    """Offer the private part of each challenge that the base package ships."""
    catalog.add_challenges(files("ib_challenges") / "private")
