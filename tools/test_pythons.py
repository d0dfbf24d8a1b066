"""Run all tests and notebooks on every Python from 3.11 on that is here: `python tools/test_pythons.py`.

Interpreters are looked for on PATH and among pyenv's versions; an argument such as 3.13 chooses one. Each
gets a folder in `.pythons/` with our own packages and those of `requirements-dev.txt`, kept until either list
changes. The figures at the end are the answer; the exit code is 1 if one fails.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)
REQUIREMENTS = ROOT / "requirements-dev.txt"
OWN = (".", "plugins/ib_challenges")
"""Our own distributions, the same as `make install` has."""
SUITES = {"tests": ("-n", "2", "--dist", "loadfile"), "notebooks": ("notebooks",)}
"""What is run, as `make test` does, by its name: pytest's own arguments."""


def candidates() -> list[str]:
    """Return the paths of everything that may be a Python 3."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [str(path) for path in pyenv.glob("3.*/bin/python")]
    named = ["python3", "python", *(f"python3.{minor}" for minor in range(OLDEST[1], 40))]
    return [sys.executable, *found, *filter(None, map(shutil.which, named))]


def version_of(python: str) -> tuple[int, ...]:
    """Return a Python's version, or an empty tuple if it does not run."""
    code = "import sys; print(*sys.version_info[:3] if sys.version_info[3] == 'final' else ())"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()


def pythons() -> dict[str, str]:
    """Return the newest interpreter of each minor version from the oldest supported one on."""
    newest: dict[tuple[int, ...], tuple[tuple[int, ...], str]] = {}
    for python in dict.fromkeys(candidates()):
        version = version_of(python)
        if version >= OLDEST and version > newest.get(version[:2], ((), ""))[0]:
            newest[version[:2]] = (version, python)
    return {".".join(map(str, minor)): python for minor, (_, python) in sorted(newest.items())}


def prepared(name: str, python: str) -> Path:
    """Return the Python of an environment with everything that the tests need."""
    folder = ROOT / ".pythons" / name
    own = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + repr(OWN).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", REQUIREMENTS], check=True, cwd=ROOT)
        ours = [part for package in OWN for part in ("-e", package)]
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", *ours], check=True, cwd=ROOT)
        stamp.write_text(wanted)
    return own


def run(python: Path, arguments: Sequence[str]) -> tuple[bool, str]:
    """Run tests with *python*, showing them; return whether all are well, and pytest's last line."""
    # No test may change the interpreter's own environment of another version.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [python, "-m", "pytest", *arguments, "-q", "--color=no"]
    last = ""
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as tests:
        for line in tests.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
    if tests.returncode and not re.search(r"\d+ (failed|error)", last):
        last = f"pytest ended with {tests.returncode}: {last}"
    return tests.returncode == 0, last


def main(only: list[str]) -> int:
    """Test each Python, or those named in *only*; print one line each; return 1 if one fails."""
    there = pythons()
    if missing := [name for name in only if name not in there]:
        print(f"no Python {', '.join(missing)} here; there is {', '.join(there)}")
        return 2
    results, good = {}, True
    for name in only or there:
        start = time.monotonic()
        print(f"== Python {name}: {there[name]}", flush=True)
        try:
            python = prepared(name, there[name])
            ends = {suite: run(python, arguments) for suite, arguments in SUITES.items()}
            line = "; ".join(f"{suite}: {last}" for suite, (_, last) in ends.items())
            good = good and all(well for well, _ in ends.values())
        except subprocess.CalledProcessError as error:
            line, good = f"could not be installed (exit {error.returncode})", False
        results[name] = f"{line} (with installing {time.monotonic() - start:.0f} s)"
    print("\n".join(f"Python {name}: {line}" for name, line in results.items()))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
