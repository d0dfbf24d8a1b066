"""A real IPython shell for tests: run a cell, get what it showed; and a client whose pace a test sets."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from ib_kernel import hookimpl
from ib_kernel.values import Done, Piece, Usage


def words(html: str) -> str:
    """Return what a page shows of *html*, with the thin spaces of figures as commas."""
    return re.sub("<[^>]*>", "", html).replace("\u202f", ",")


@dataclass
class Ran:
    """What a cell did: `data` are the MIME bundles in order, `updates` how many of them were redraws."""

    ok: bool
    error: BaseException | None
    result: Any
    printed: str
    data: list[dict[str, str]] = field(default_factory=list)
    updates: int = 0

    @property
    def text(self) -> str:
        """Everything that was shown as plain text."""
        return "\n".join([*(bundle.get("text/plain", "") for bundle in self.data), self.printed])

    @property
    def html(self) -> str:
        """The HTML of what was shown."""
        return "\n".join(bundle.get("text/html", "") for bundle in self.data)


class Notebook:
    """A shell with the extension loaded."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def run(self, cell: str) -> Ran:
        """Run a cell and return what it did; an error does not raise."""
        with capture_output() as captured:
            done = self.shell.run_cell(cell)
        error = done.error_before_exec or done.error_in_exec
        outputs = captured._outputs
        return Ran(
            done.success,
            error,
            done.result,
            captured.stdout + captured.stderr,
            [o["data"] for o in outputs],
            sum(bool(o.get("update")) for o in outputs),
        )

    def ok(self, cell: str) -> Ran:
        """Run a cell that must succeed."""
        ran = self.run(cell)
        assert ran.ok, ran.printed
        return ran

    def fails(self, cell: str) -> str:
        """Run a cell that must fail with one line, and return the line."""
        ran = self.run(cell)
        assert not ran.ok
        line = ran.printed.strip()
        assert "\n" not in line, line
        return line

    @property
    def magics(self) -> Any:
        """The loaded magics."""
        return self.shell.magics_manager.registry["InterviewMagics"]


@contextlib.contextmanager
def notebook() -> Iterator[Notebook]:
    """Yield a fresh shell with the extension loaded; everything is undone afterwards."""
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config, colors="nocolor")
    try:
        shell.run_line_magic("load_ext", "ib_kernel")
        yield Notebook(shell)
    finally:
        shell.run_line_magic("unload_ext", "ib_kernel")
        shell.restore_sys_module_state()
        InteractiveShell.clear_instance()


class Paced:
    """A client plugin that says *pieces*, calling `before(i)` before piece number i."""

    name = "paced"
    default_model = "gpt-5.4-mini"

    def __init__(self, pieces: list[str], *, usage: Usage | None = None, pause: float = 0.0) -> None:
        self.pieces, self.usage, self.pause = pieces, usage or Usage(100, 20), pause
        self.before: Any = lambda i: None
        self.closed = 0

    def body(self, request: Any) -> dict[str, Any]:
        return {
            "model": request.model,
            "messages": list(request.messages),
            "max_completion_tokens": request.max_completion_tokens,
        }

    @contextlib.asynccontextmanager
    async def stream(self, body: Any) -> Any:
        async def replies() -> Any:
            for i, text in enumerate(self.pieces):
                self.before(i)
                await asyncio.sleep(self.pause)
                yield Piece(text)
            yield Done("stop", self.usage, model=body["model"])

        try:
            yield replies()
        finally:
            self.closed += 1

    async def validate_api_key(self) -> bool:
        return True

    async def aclose(self) -> None:
        return None

    @hookimpl
    def ib_register(self, catalog: Any) -> None:
        catalog.add_client("paced", lambda settings: self)
