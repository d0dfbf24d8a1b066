"""How long `%load_ext ib_kernel` takes, beside `import openai`, each in fresh processes with IPython running.

    python benchmarks/load_ext.py [ROUNDS]

The two are timed in turn, so that a busy machine slows both; one round of each goes first and is not counted
(it may compile bytecode). Prints the medians and their ratio, and exits with 1 above the target of 1/10.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

TARGET = 0.1
"""What the extension may cost at most, as a part of `import openai`."""

PROLOGUE = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
started = time.perf_counter()
"""
EPILOGUE = "\nprint((time.perf_counter() - started) * 1000)\n"
SUBJECTS = {
    "%load_ext ib_kernel": 'shell.run_line_magic("load_ext", "ib_kernel")',
    "import openai": "import openai",
}


def milliseconds(statement: str, ipython_dir: str) -> float:
    """Run *statement* in a fresh process and return how many milliseconds it took there."""
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + statement + EPILOGUE],
        env={**os.environ, "IPYTHONDIR": ipython_dir},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return float(done.stdout)


def main(rounds: int) -> int:
    """Measure, print, and return the exit code."""
    times: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            for name, statement in SUBJECTS.items():
                took = milliseconds(statement, folder)
                if number:
                    times[name].append(took)
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    for name, measured in times.items():
        print(f"{name:<20} median {medians[name]:7.1f} ms   from {min(measured):.1f} to {max(measured):.1f}")
    ratio = medians["%load_ext ib_kernel"] / medians["import openai"]
    verdict = "within" if ratio <= TARGET else "above"
    print(f"ratio 1/{1 / ratio:.1f}, {verdict} the target of 1/{1 / TARGET:.0f} ({rounds} rounds)")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
