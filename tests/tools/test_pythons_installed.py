"""`make test-pythons` gives every Python what `make install` gives the one that developing uses."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("test_pythons", ROOT / "tools" / "test_pythons.py")
assert SPEC
assert SPEC.loader
pythons = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pythons)


def test_every_python_gets_our_own_packages() -> None:
    """Without the challenges' private part, tests of criteria, hints and hidden checks fail."""
    installed = re.findall(
        r"^\t\$\(PIP\) .* -e .*$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [re.findall(r"-e (\S+)", line) for line in installed] == [list(pythons.OWN)]
