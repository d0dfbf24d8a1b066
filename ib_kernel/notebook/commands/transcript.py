"""`%interview transcript`: the conversation on screen, or in a Markdown, HTML, notebook or JSON file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from htpy import div, strong

from ib_kernel.errors import NotHere, StoreError
from ib_kernel.notebook.commands.words import UsageError
from ib_kernel.notebook.output import transcripts
from ib_kernel.notebook.output.show import Output, show_lines, speaker
from ib_kernel.secrets import scrub_keys, scrub_value
from ib_kernel.show.render import to_html_each
from ib_kernel.text import plain
from ib_kernel.values.files import write_private

if TYPE_CHECKING:
    from ib_kernel.interview.interview import Interview
    from ib_kernel.values import BudgetStore, Message, Session

_WRITERS: dict[str, Callable[[transcripts.Transcript], str]] = {
    ".md": transcripts.as_markdown,
    ".html": transcripts.as_page,
    ".ipynb": transcripts.as_notebook,
    ".json": transcripts.as_json,
}


def shown(session: Session, history: Sequence[Message]) -> Output:
    """Return the transcript for the screen."""
    if not history:
        return show_lines("the transcript is empty (or store_transcript is off).")
    names = [plain(speaker(session, m)) for m in history]
    texts = to_html_each([m.content for m in history])
    text = "\n\n".join(f"{who}:\n{plain(m.content).rstrip()}" for who, m in zip(names, history, strict=True))
    return Output(div[[div[strong[who], html] for who, html in zip(names, texts, strict=True)]], text)


def save(target: str, interview: Interview, *, overwrite: bool = False) -> Path:
    """Write the transcript of the session in use to a file that only its owner may read.

    Args:
        target: The file; its suffix decides the format.
        interview: Whose session in use is written.
        overwrite: Whether an existing file may be replaced.

    Returns:
        The file's full path.

    Raises:
        UsageError: The suffix is not one of ours.
        ConfigError: The file exists or cannot be written.
    """
    suffix = Path(target).suffix.lower()
    writer = _WRITERS.get(suffix)
    if writer is None:
        raise UsageError(f"a transcript is written to a .md, .html, .ipynb or .json file, not {target!r}")
    session = interview.session
    found = transcripts.Transcript(
        session,
        interview.challenge(session),
        interview.service.totals(session.session_id),
        interview.history(),
        _calls(interview.service.store, session.session_id),
    )
    return write_private(
        target, scrub_keys(writer(scrub_value(found))).encode(errors="replace"), overwrite=overwrite
    )


def _calls(store: BudgetStore, session_id: str) -> list[transcripts.Call]:
    """Return the session's attempts; empty while another tool keeps them from being read."""
    name = session_id.replace("'", "''")
    try:
        rows = store.sql(
            "SELECT turn, attempt, status, model, input_tokens, output_tokens, cost_usd, "  # noqa: S608
            f"epoch(ended_at), error FROM calls WHERE session_id = '{name}' AND turn > 0 "
            "ORDER BY turn, attempt"
        )
    except (StoreError, TypeError, NotHere):
        return []
    return [transcripts.Call(*row) for row in rows]
