"""A text that shows itself to nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ib_kernel.secrets.known import learn


class Secret:
    """Text that is hidden from ``repr``, ``str``, ``vars``, JSON and pickle; `reveal()` returns it.

    The value sits in a closure, so that a debugger's or logger's dump of attributes does not show it. From
    here on, `scrub` knows it.
    """

    __slots__ = ("reveal",)

    reveal: Callable[[], str]

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "reveal", lambda: value)
        learn(value)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied to another process")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: Any) -> Secret:
        return self
