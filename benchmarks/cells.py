"""What recording a cell costs, beside the same cell in a shell that records nothing.

    python benchmarks/cells.py [CELLS]

Both shells are in one process and take turns cell by cell, each first in half of the rounds, so that a
busy machine slows both. The ledger is the default one, in a temporary folder; its writer works beside the
cells, as in a notebook. Prints the medians and exits with 1 above the target of 150 µs.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from typing import Any

TARGET_US = 150
"""What recording may cost a cell, in microseconds (median)."""

CELL = "total = sum(range(10))\ntotal"


def shell() -> Any:
    """Return a fresh shell that keeps no history and shows nothing."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell(config=config)
    made.displayhook.write_format_data = lambda *_: None
    made.displayhook.write_output_prompt = lambda: None
    made.displayhook.finish_displayhook = lambda: None
    return made


def microseconds(one: Any) -> float:
    """Run the cell once and return how long it took."""
    began = time.perf_counter()
    one.run_cell(CELL, store_history=True)
    return (time.perf_counter() - began) * 1e6


def main(cells: int) -> int:
    """Measure, print, and return the exit code."""
    from ib_kernel.notebook.engine import ENGINES

    with tempfile.TemporaryDirectory() as folder:
        os.environ["IB_DATA_DIR"] = folder
        bare, recording = shell(), shell()
        recording.run_line_magic("load_ext", "ib_kernel")
        recording.run_cell('%interview start "Bench" --client demo', silent=True)
        engine = ENGINES[recording]
        times: dict[str, list[float]] = {"bare": [], "recorded": []}
        for number in range(cells + 50):
            pair = [("bare", bare), ("recorded", recording)]
            for name, one in pair if number % 2 else pair[::-1]:
                took = microseconds(one)
                if number >= 50:
                    times[name].append(took)
            time.sleep(0.001)  # cells are typed: the writer has time between them
        recorder = recording.magics_manager.registry["InterviewMagics"].recorder
        recorder.flush()
        kept = len(engine.interview.service.store.cells(engine.session_id))
        recording.run_line_magic("unload_ext", "ib_kernel")
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    for name, measured in times.items():
        p95 = statistics.quantiles(measured, n=20)[-1]
        print(f"{name:<10} median {medians[name]:7.1f} µs   95th percentile {p95:7.1f} µs")
    cost = medians["recorded"] - medians["bare"]
    verdict = "within" if cost <= TARGET_US else "above"
    print(
        f"recording a cell costs {cost:.0f} µs, {verdict} {TARGET_US} µs; {kept:,} of {cells + 50:,} are kept"
    )
    return 0 if cost <= TARGET_US and kept >= cells + 50 else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))
