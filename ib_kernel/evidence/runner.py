"""Runs one hidden run beside somebody's code, and says what it returned. Started alone, inside the sandbox.

This file needs nothing but the standard library: it is handed to a Python that knows no package of ours. It
reads one job from descriptor 0, moves that descriptor away, sets the limits, and only then executes the
code. What a run returns crosses as one canonical line, so that lines can be compared byte by byte: types are
tagged (``1``, ``1.0`` and ``True`` differ), mappings and sets are sorted, frames and arrays go by content.

Everything that the encoder needs is taken before somebody's code is executed. It may still forge its line;
what it cannot do is know the line that the solution gave.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable

MAX_LINE = 65_536
"""Bytes of the longest line that a run may answer."""
MAX_DEPTH = 64
"""How deeply values may be nested."""
MAX_NODES = 100_000
"""How many values one answer may be made of."""
MAX_BITS = 8_192
"""The longest integer, in bits."""
MAX_JOB = 4_000_000
"""Bytes of the longest job."""


class Unsupported(Exception):
    """A value that has no canonical line; the text says which and why."""


class Encoder:
    """Turns plain values into canonical text. Its methods keep the built-ins they need."""

    def __init__(self) -> None:
        self._nodes = 0

    def encode(self, value: object, depth: int = 0) -> str:
        """Return the canonical text of *value*.

        Args:
            value: None, a bool, int, float, complex, str or bytes, a list, tuple, dict, set or frozenset of
                such, a date, time, Decimal, Fraction, or a frame or array of pandas or numpy.
            depth: How deeply it is nested.

        Raises:
            Unsupported: Another type (subclasses included), or a value that is too large.
        """
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise Unsupported("too large or too deeply nested")
        kind = type(value)
        scalar = _SCALARS.get(kind)
        if scalar is not None:
            return scalar(value)
        if kind is list or kind is tuple:
            tag = "l" if kind is list else "t"
            return f"{tag}[{','.join([self.encode(item, depth + 1) for item in value])}]"  # type: ignore[attr-defined]
        if kind is dict:
            pairs = [
                (self.encode(key, depth + 1), self.encode(item, depth + 1))
                for key, item in value.items()  # type: ignore[attr-defined]
            ]
            return "d[" + ",".join(f"{key}:{item}" for key, item in sorted(pairs)) + "]"
        if kind is set or kind is frozenset:
            return "z[" + ",".join(sorted([self.encode(item, depth + 1) for item in value])) + "]"  # type: ignore[attr-defined]
        return self._table(value, kind, depth)

    def _table(self, value: object, kind: type, depth: int) -> str:
        module, name = kind.__module__.split(".")[0], kind.__name__
        if module == "numpy" and name == "ndarray":
            inside = self.encode(value.tolist(), depth + 1)  # type: ignore[attr-defined]
            return f"a[{_quoted(str(value.dtype))},{_quoted(str(tuple(value.shape)))},{inside}]"  # type: ignore[attr-defined]
        if module == "numpy" and hasattr(value, "item"):
            return f"g[{_quoted(name)},{self.encode(value.item(), depth + 1)}]"
        if module == "pandas" and name in ("DataFrame", "Series", "Index", "RangeIndex"):
            return f"p[{_quoted(name)},{self.encode(_pandas_parts(value), depth + 1)}]"
        if module == "pandas" and name in ("Timestamp", "Timedelta"):
            return f"p[{_quoted(name)},{_quoted(str(value))}]"
        if module == "pandas" and name in ("NaTType", "NAType"):
            return "p[NA]"
        if module in ("datetime", "decimal", "fractions"):
            return f"o[{_quoted(name)},{_quoted(str(value))}]"
        raise Unsupported(f"a value of type {kind.__name__[:60]}")


def _pandas_parts(value: object) -> list[object]:
    if hasattr(value, "columns"):
        columns = list(value.columns)
        return [
            [str(c) for c in columns],
            [str(t) for t in value.dtypes],  # type: ignore[attr-defined]
            value.index.tolist(),  # type: ignore[attr-defined]
            [value[c].tolist() if columns.count(c) == 1 else None for c in columns],  # type: ignore[index]
        ]
    if hasattr(value, "index"):
        return [str(value.name), str(value.dtype), value.index.tolist(), value.tolist()]  # type: ignore[attr-defined]
    return [str(value.dtype), value.tolist()]  # type: ignore[attr-defined]


_dumps = json.dumps


def _quoted(text: str) -> str:
    return _dumps(text)


def _int(value: int) -> str:
    if value.bit_length() > MAX_BITS:
        raise Unsupported("an integer that is too large")
    return f"i{value:x}"


def _float(value: float) -> str:
    return "fnan" if value != value else f"f{(value + 0.0).hex()}"


def _text(value: str) -> str:
    if len(value) > MAX_LINE:
        raise Unsupported("a text that is too long")
    return _quoted(value)


def _bytes(value: bytes) -> str:
    if len(value) > MAX_LINE:
        raise Unsupported("bytes that are too long")
    return f"y{base64.b64encode(value).decode()}"


_SCALARS = {
    type(None): lambda value: "n",
    bool: lambda value: "b1" if value else "b0",
    int: _int,
    float: _float,
    complex: lambda value: f"c[{_float(value.real)},{_float(value.imag)}]",
    str: _text,
    bytes: _bytes,
}


def line_of(value: object) -> bytes:
    """Return the canonical line of *value*, ASCII without a newline. `Unsupported` where it has none."""
    line = Encoder().encode(value).encode("ascii")
    if len(line) > MAX_LINE:
        raise Unsupported("an answer that is too long")
    return line


class Decoder:
    """Reads a canonical line of plain values back (frames and arrays have none)."""

    def __init__(self, line: str) -> None:
        self._line, self._at = line, 0

    def decode(self, depth: int = 0) -> object:
        """Return the value at the reader's place.

        Args:
            depth: How deeply it is nested.

        Raises:
            Unsupported: The line is of another kind, or broken.
        """
        if depth > MAX_DEPTH:
            raise Unsupported("too deeply nested")
        tag = self._line[self._at : self._at + 1]
        if tag == '"':
            value, self._at = json.JSONDecoder().raw_decode(self._line, self._at)
            return value
        self._at += 1
        if tag in _READ:
            return _READ[tag](self._word())
        if tag in "ltzd" and self._line[self._at : self._at + 1] == "[":
            self._at += 1
            return self._collection(tag, depth)
        raise Unsupported("a value that a check cannot read")

    def _collection(self, tag: str, depth: int) -> object:
        items: list[object] = []
        while self._line[self._at : self._at + 1] != "]":
            items.append(self.decode(depth + 1))
            if tag == "d":
                self._expect(":")
                items.append(self.decode(depth + 1))
            if self._line[self._at : self._at + 1] != "]":
                self._expect(",")
        self._at += 1
        if tag == "d":
            return dict(zip(items[::2], items[1::2], strict=True))
        return items if tag == "l" else tuple(items) if tag == "t" else set(items)

    def _expect(self, mark: str) -> None:
        if self._line[self._at : self._at + 1] != mark:
            raise Unsupported("a broken line")
        self._at += 1

    def _word(self) -> str:
        start = self._at
        while self._at < len(self._line) and self._line[self._at] not in ",:]":
            self._at += 1
        return self._line[start : self._at]


_READ: dict[str, Callable[[str], object]] = {
    "n": lambda word: None,
    "b": lambda word: word == "1",
    "i": lambda word: int(word, 16),
    "f": lambda word: float("nan") if word == "nan" else float.fromhex(word),
    "y": lambda word: base64.b64decode(word),
}


def _read_job(channel: int) -> dict[str, object]:
    data = b""
    while True:
        part = os.read(channel, 1 << 16)
        data += part
        if b"\n" in part or not part or len(data) > MAX_JOB:
            return json.loads(data)  # type: ignore[no-any-return]


def _limit(limits: dict[str, int]) -> None:
    import resource

    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def _module(name: str, source: str) -> dict[str, object]:
    import types

    module = types.ModuleType(name)
    module.__file__ = f"{name}.py"
    sys.modules[name] = module
    exec(compile(source, f"{name}.py", "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - what this file is for
    return module.__dict__


def _work(job: dict[str, object], say) -> None:  # type: ignore[no-untyped-def]
    """Execute the job's code and say what its run returned, or the name of what it raised."""
    import signal

    def late(*_: object) -> None:
        say(b"time")
        os._exit(0)

    # CPU seconds, so that a busy machine is nobody's fault; who sleeps meets the host's own deadline.
    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, float(job["import_s"]))  # type: ignore[arg-type]
    try:
        _module("entry", str(job["entry"]))
        hidden = _module("hidden", str(job["hidden"]))
    except BaseException as error:  # noqa: BLE001 - SystemExit and interrupts of somebody's code, too
        say(b"error import " + type(error).__name__.encode("ascii", "replace")[:80])
        return
    signal.setitimer(signal.ITIMER_PROF, float(job["run_s"]))  # type: ignore[arg-type]
    try:
        given = () if "value" not in job else (Decoder(str(job["value"])).decode(),)
        value = hidden[str(job["run"])](*given)  # type: ignore[operator]
        if given:
            value = bool(value)
        say(b"value " + line_of(value))
    except MemoryError:
        say(b"memory")
    except Unsupported as error:
        say(b"error value " + str(error).encode("ascii", "replace")[:200])
    except BaseException as error:  # noqa: BLE001
        say(b"error run " + type(error).__name__.encode("ascii", "replace")[:80])


def main() -> None:
    """Do one job and end, whatever the code has left behind (threads, handlers, a full buffer)."""
    channel = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    job = _read_job(channel)
    for name, content in job.get("data", {}).items():  # type: ignore[attr-defined]
        with open(name, "wb") as file:
            file.write(base64.b64decode(content))
    sys.path += job["packages"]  # type: ignore[arg-type]
    _limit(job["limits"])  # type: ignore[arg-type]
    write, leave = os.write, os._exit
    said: list[bytes] = []

    def say(line: bytes) -> None:
        if not said:
            said.append(line)
            write(channel, line + b"\n")

    try:
        _work(job, say)
    finally:
        leave(0)


if __name__ == "__main__":
    main()
