"""`make test-pythons`: every Python gets and runs what developing does, and the answer is true."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

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


def test_every_python_runs_what_make_test_runs() -> None:
    """The same suites, with other numbers of processes."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ntest: ")[2].partition("\n\n")[0]
    runs = [re.sub(r"-n \d+", "-n 2", line) for line in re.findall(r"-m pytest (.+)", recipe)]
    assert runs == [" ".join(arguments) for arguments in pythons.SUITES.values()]


BROKEN = (
    "import pytest\n\n\n@pytest.fixture\ndef broken():\n    assert 0\n\n\ndef test_it(broken):\n    pass\n"
)


@pytest.mark.parametrize(
    ("bodies", "well", "says"),
    [
        (("def test_it():\n    pass\n",), True, "1 passed"),
        (("def test_it():\n    assert 0\n",), False, "1 failed"),
        (("def test_other():\n    pass\n", BROKEN), False, "1 passed, 1 error"),
        ((), False, "pytest ended with 5: no tests ran"),
    ],
)
def test_a_run_is_well_only_if_all_of_it_is(
    tmp_path: Path, bodies: tuple[str, ...], well: bool, says: str
) -> None:
    """A test that could not be begun has not failed, and is not well either."""
    for number, body in enumerate(bodies):
        (tmp_path / f"test_{number}.py").write_text(body)
    found, last = pythons.run(Path(sys.executable), ["--color=no", str(tmp_path)])
    assert (found, says in last) == (well, True), last
