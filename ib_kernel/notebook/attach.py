"""What ``--error``, ``--cell``, ``--out`` and ``--var`` attach, read from the shell that runs.

Everything here is somebody's: a ``repr`` may raise, loop or have a gigabyte. Each is bounded in time and
size, has no terminal sequences, no frames of libraries and no keys.
"""

from __future__ import annotations

import contextlib
import reprlib
import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from ib_kernel.errors import ConfigError, did_you_mean
from ib_kernel.secrets import scrub
from ib_kernel.text import plain
from ib_kernel.values.attachment import AttachedKind, Attachment, trimmed

REPR_S = 2.0
"""Seconds that showing one object may take."""

HEAD_ROWS = 8
"""Rows of a frame that are attached."""

_LIBRARY = ("site-packages", "dist-packages", "/lib/python", "\\lib\\", "/IPython/", "/ib_kernel/")


def attachments(shell: Any, options: dict[str, Any], error: BaseException | None) -> tuple[Attachment, ...]:
    """Take the attaching options out of *options* and return what they name.

    Args:
        shell: The shell whose cells, outputs and variables are meant.
        error: What the last cell that failed has raised.
        options: Parsed options of ``%%interview``; "error", "cells", "out" and "variables" are taken out.

    Raises:
        ConfigError: There is no such error, cell, output or variable, or it cannot be shown.
    """
    found: list[Attachment] = []
    if options.pop("error", False):
        found.append(last_error(shell, error))
    numbers = [_cell_number(shell, number) for number in options.pop("cells", ())]
    out = options.pop("out", False)
    found += [cell_source(shell, number) for number in numbers]
    if out:
        numbers = numbers or [_last_output(shell)]
        found += [cell_output(shell, number) for number in numbers]
    found += [variable(shell, name) for name in options.pop("variables", ())]
    return tuple(found)


def last_error(shell: Any, error: BaseException | None) -> Attachment:
    """Return a traceback without frames of libraries.

    Args:
        shell: The shell.
        error: What the last cell that failed has raised; None: none has.

    Raises:
        ConfigError: No cell has failed.
    """
    if error is None:
        raise ConfigError("--error: no cell has failed; leave it out")
    with bounded("--error: the last error"):
        summary = traceback.TracebackException.from_exception(error, limit=200)
        lines = list(_error_lines(shell, summary))
    return _made("error", f"last error, {type(error).__name__}", "\n".join(lines))


def cell_source(shell: Any, number: int) -> Attachment:
    """Return the source of a cell that was run.

    Args:
        shell: The shell.
        number: Its number, from 1 on.
    """
    return _made("cell", f"cell {number}", str(_sources(shell)[number]))


def cell_output(shell: Any, number: int) -> Attachment:
    """Return what a cell has shown, as text.

    Args:
        shell: The shell.
        number: Its number, from 1 on.

    Raises:
        ConfigError: It has shown nothing.
    """
    parts = [text for text in _outputs(shell, number) if text.strip()]
    if not parts:
        raise ConfigError(f"--out: cell {number} has no output")
    return _made("output", f"output of cell {number}", "\n".join(parts))


def variable(shell: Any, name: str) -> Attachment:
    """Return a variable as text: a frame's head and types, a long container's beginning, else its ``repr``.

    Args:
        shell: The shell.
        name: The variable.

    Raises:
        ConfigError: There is no such variable, or it cannot be shown.
    """
    if name not in shell.user_ns:
        public = [str(key) for key in shell.user_ns if not str(key).startswith("_")]
        raise ConfigError(f"--var: no variable called {name!r}{did_you_mean(name, public)}")
    value = shell.user_ns[name]
    with bounded(f"--var: {name}"):
        text = described(value)
    return _made("variable", f"variable {name}, {type(value).__name__}", text)


def described(value: Any) -> str:
    """Return *value* as text of bounded length.

    Args:
        value: Any object.
    """
    module = type(value).__module__.partition(".")[0]
    if module in ("pandas", "polars") and hasattr(value, "head") and hasattr(value, "shape"):
        types = getattr(value, "dtypes", getattr(value, "dtype", ""))
        head = value.head(HEAD_ROWS)
        shown = head.to_string() if hasattr(head, "to_string") else repr(head)
        return f"shape {value.shape}\n\n{shown}\n\n{types}"
    if isinstance(value, list | tuple | dict | set | frozenset | str | bytes | bytearray):
        return _Short().repr(value)
    return repr(value)


class _Short(reprlib.Repr):
    """Shows the beginning of long containers without looking at the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 5
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 60
        self.maxstring = self.maxlong = self.maxother = 3_000


@contextlib.contextmanager
def bounded(what: str) -> Iterator[None]:
    """Turn whatever showing an object raises into one line, and end it after `REPR_S` where that is possible.

    Args:
        what: What is shown, for the line.

    Raises:
        ConfigError: It raised or took too long.
    """

    def late(*_: object) -> None:
        raise TimeoutError

    timed = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    before = signal.signal(signal.SIGALRM, late) if timed else None
    if timed:
        signal.setitimer(signal.ITIMER_REAL, REPR_S)
    try:
        yield
    except ConfigError:
        raise
    except TimeoutError:
        raise ConfigError(f"{what} takes more than {REPR_S:g} s to show; attach a part of it") from None
    except Exception as error:  # noqa: BLE001 - somebody's repr can raise anything
        raise ConfigError(f"{what} cannot be shown as text: {type(error).__name__}") from None
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _made(kind: AttachedKind, label: str, text: str) -> Attachment:
    short, chars = trimmed(scrub(plain(text)).strip("\n"))
    return Attachment(kind, plain(label), short, chars)


def _error_lines(shell: Any, summary: traceback.TracebackException) -> Iterator[str]:
    frames = [frame for frame in summary.stack if not any(part in frame.filename for part in _LIBRARY)]
    if frames:
        yield "Traceback (most recent call last):"
    for frame in frames:
        yield f"  {_place(shell, frame.filename)}, line {frame.lineno}, in {frame.name}"
        if frame.line:
            yield f"    {frame.line}"
    yield from (line.rstrip("\n") for line in summary.format_exception_only())


def _place(shell: Any, filename: str) -> str:
    numbers = getattr(getattr(shell, "compile", None), "_filename_map", {})
    number = numbers.get(filename) if isinstance(numbers, dict) else None
    if number is not None:
        return f"Cell {number}"
    return "A cell" if filename.startswith("<ipython-input") else f'File "{filename}"'


def _sources(shell: Any) -> Sequence[Any]:
    raw = getattr(getattr(shell, "history_manager", None), "input_hist_raw", None)
    return raw if isinstance(raw, list) else list(shell.user_ns.get("In", ()))


def _cell_number(shell: Any, number: int) -> int:
    """Return a cell's number; a negative one counts back from the cell before this one."""
    ran = len(_sources(shell)) - 1  # the last one is the cell that runs
    found = ran + number if number < 0 else number
    if not 0 < found < max(ran, 1) or not _sources(shell)[found]:
        raise ConfigError(f"--cell {number}: there is no such cell; they are numbered 1 to {max(ran - 1, 0)}")
    return found


def _last_output(shell: Any) -> int:
    ran = len(_sources(shell)) - 1
    for number in range(ran - 1, 0, -1):
        if any(text.strip() for text in _outputs(shell, number)):
            return number
    raise ConfigError("--out: no cell has an output; name one with --cell N")


def _outputs(shell: Any, number: int) -> Iterator[str]:
    """Yield the texts that a cell has shown, as far as the shell has kept them."""
    kept = getattr(getattr(shell, "history_manager", None), "outputs", None)
    if isinstance(kept, dict) and number in kept:
        for output in kept[number]:
            bundle = getattr(output, "bundle", {})
            for key in ("stream", "text/plain"):
                value = bundle.get(key)
                if value:
                    yield "".join(value) if isinstance(value, list) else str(value)
                    break
        return
    results = shell.user_ns.get("Out", {})
    if number in results:
        with bounded(f"--out: the output of cell {number}"):
            text = described(results[number])
        yield text
