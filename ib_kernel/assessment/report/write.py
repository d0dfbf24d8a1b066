"""A report as a file: HTML, Markdown or JSON by its name, readable by its owner only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ib_kernel.assessment.report.markdown import to_markdown
from ib_kernel.assessment.report.page import to_page
from ib_kernel.assessment.report.release import to_json
from ib_kernel.assessment.report.values import Report
from ib_kernel.errors import ConfigError
from ib_kernel.secrets import scrub_keys
from ib_kernel.values.files import write_private

WRITERS: dict[str, Callable[[Report], str]] = {".html": to_page, ".md": to_markdown, ".json": to_json}
"""What writes a report, by the end of the file's name."""


def suffix_of(target: str) -> str:
    """Return the end of a file's name that says how a report is written.

    Args:
        target: The file.

    Raises:
        ConfigError: It is none of ours.
    """
    suffix = Path(target).suffix.lower()
    if suffix not in WRITERS:
        raise ConfigError(f"a report is written to a .html, .md or .json file, not {target!r}")
    return suffix


def write_report(target: str, report: Report, *, overwrite: bool = False) -> Path:
    """Write a report to a file that only its owner may read.

    Args:
        target: The file; its suffix decides the format.
        report: Either edition.
        overwrite: Whether an existing file may be replaced.

    Returns:
        The file's full path.

    Raises:
        ConfigError: The suffix is none of ours, or the file exists or cannot be written.
    """
    text = scrub_keys(WRITERS[suffix_of(target)](report))
    return write_private(target, text.encode("utf-8", "replace"), overwrite=overwrite)
