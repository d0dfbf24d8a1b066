"""How things reach the reader: an HTML and plain-text pair in a front end, plain text in a terminal.

HTML is built with htpy, which escapes every text; what leaves here has no control characters and is left
alone by a front end's mathematics typesetter, whatever is in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from htpy import Element, Node, div, pre
from markupsafe import Markup

from ib_kernel.secrets import scrub_keys
from ib_kernel.show.sanitize import NO_TYPESETTING
from ib_kernel.text import plain, without_controls

if TYPE_CHECKING:
    from ib_kernel.values import Message, Session


def to_text_html(content: Node) -> str:
    """Return *content* as HTML that a front end shows as it is: not typeset, without controls and keys."""
    return scrub_keys(without_controls(str(div(f"{NO_TYPESETTING}.ib")[content])))


def mime_bundle(content: Node, text: str) -> dict[str, str]:
    """Return an HTML and plain-text pair as a front end takes it."""
    return {"text/html": to_text_html(content), "text/plain": scrub_keys(plain(text))}


def has_front_end(shell: Any) -> bool:
    """Return True if outputs go to a notebook's front end (a kernel runs) rather than to a terminal."""
    return getattr(shell, "kernel", None) is not None


class Output:
    """One output that shows HTML where that is possible and the same as text elsewhere."""

    def __init__(self, content: Node, text: str) -> None:
        self.content, self.text = content, scrub_keys(plain(text))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return mime_bundle(self.content, self.text)

    def __repr__(self) -> str:
        return self.text


def publish(content: Node, text: str, *, display_id: str | None = None, update: bool = False) -> None:
    """Show an HTML and plain-text pair, under *display_id* when it is to be updated later."""
    from IPython.display import display

    display(mime_bundle(content, text), raw=True, display_id=display_id, update=update)  # type: ignore[no-untyped-call]


def show_lines(text: str) -> Output:
    """Return plain lines as an output that keeps their alignment."""
    return Output(pre(style="margin:0;white-space:pre-wrap")[plain(text)], text)


def as_divs(lines: Iterable[str]) -> list[Element]:
    """Return one block for each line."""
    return [div[plain(line)] for line in lines]


def markup(html_text: str) -> Markup:
    """Mark HTML that the sanitiser has passed as such."""
    return Markup(html_text)  # noqa: S704


def speaker(session: Session, message: Message) -> str:
    """Name who speaks: the candidate, the model with its role, a hint, or the interviewing person."""
    if message.role == "hint":
        return "Hint"
    if message.role == "interviewer":
        return "From the interviewer"
    mark = " (cut short)" if message.partial else ""
    name = session.candidate if message.role == "user" else session.persona.capitalize()
    return f"{name}, turn {message.turn}{mark}"
