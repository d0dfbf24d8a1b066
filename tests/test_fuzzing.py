"""What `make fuzz` asks of each example beside what the targets ask themselves."""

from __future__ import annotations

import time

import pytest
from fuzzing import CPU_S, MEMORY, bounded


def test_an_example_that_takes_long_fails() -> None:
    """By the processor's time, so that a busy machine is no failure."""

    def slow() -> None:
        end = time.process_time() + CPU_S + 0.1
        while time.process_time() < end:
            pass

    with pytest.raises(AssertionError, match="of processor time"):
        bounded(slow)()
    bounded(lambda: time.sleep(0.01))()


def test_examples_that_take_much_memory_fail() -> None:
    """Also when each of them takes little."""
    kept: list[bytes] = []
    grow = bounded(lambda: kept.append(b"x" * (MEMORY // 2)))
    grow()
    with pytest.raises(AssertionError, match="memory grew"):
        for _ in range(4):
            grow()
