"""Somebody's code in the sandbox: what it can see, what it can use up, and what it cannot win."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ib_kernel.errors import ConfigError
from ib_kernel.evidence import inside
from ib_kernel.evidence import sandbox as sandboxes
from ib_kernel.evidence.hidden import HiddenChecks
from ib_kernel.evidence.inside import NoSandbox
from ib_kernel.evidence.sandbox import Job, Sandbox, SandboxLimits
from ib_kernel.interview.challenges import Challenge

HIDDEN = """
from entry import square

def run_many():
    return [square(number) for number in range(20)]
"""

ATTACKS = {
    "reads the frames for what is expected": """
import sys
def square(number):
    frame, seen = sys._getframe(), []
    while frame:
        seen += [repr(value)[:200] for value in frame.f_locals.values()]
        frame = frame.f_back
    return max(seen)
""",
    "asks the garbage collector": """
import gc
def square(number):
    return len([o for o in gc.get_objects() if isinstance(o, (list, tuple)) and o[:3] == [0, 1, 4]])
""",
    "reads the environment": "import os\ndef square(number):\n    return str(dict(os.environ))\n",
    "reads /proc": "square = lambda n: open('/proc/1/environ').read() + open('/proc/1/maps').read()\n",
    "writes a line of its own to every descriptor": """
import os
for handle in range(3, 64):
    try:
        os.write(handle, b'value l[i0,i1,i4]\\n')
    except OSError:
        pass
square = abs
""",
    "writes half a line and ends": """
import os
for handle in range(3, 64):
    try:
        os.write(handle, b'value ')
    except OSError:
        pass
os._exit(0)
""",
    "answers without end": """
import os
while True:
    for handle in range(3, 10):
        try:
            os.write(handle, b'x' * 65536)
        except OSError:
            pass
""",
    "forks": "import os\nwhile True:\n    os.fork()\n",
    "takes 10 GB": "blob = bytearray(10 << 30)\nsquare = abs\n",
    "loops while it is imported": "while True:\n    pass\n",
    "loops in a call": "def square(number):\n    while True:\n        pass\n",
    "is equal to everything": """
class Same(int):
    def __eq__(self, other):
        return True
    __hash__ = int.__hash__
def square(number):
    return Same(0)
""",
    "patches the built-ins": """
import builtins
builtins.sorted = builtins.type = builtins.len = builtins.repr = lambda *a, **k: 0
def square(number):
    return 0
""",
    "patches json": "import json\njson.dumps = lambda *a, **k: '1'\ndef square(number):\n    return 'x'\n",
    "leaves": "raise SystemExit(0)\n",
    "kills itself": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "kills everybody": "import os, signal\nos.kill(-1, signal.SIGKILL)\ndef square(n):\n    return 0\n",
    "calls out": "import socket\nsocket.create_connection(('192.0.2.1', 80), 1)\n",
    "writes where it must not": "open('/usr/lib/planted', 'w').write('x')\n",
    "fills the disk": """
import os
def square(number):
    for part in range(100):
        open(f'part{part}', 'wb').write(b'x' * 900_000)
    return 0
""",
    "links to the outside": """
import os
os.symlink('/etc/passwd', 'entry.py')
square = lambda n: open('entry.py').read()
""",
    "turns off its alarm and waits": """
import signal, time
signal.setitimer(signal.ITIMER_REAL, 0)
time.sleep(60)
""",
    "makes a namespace of its own": """
import ctypes
square = lambda n: n * n if ctypes.CDLL(None).unshare(0x10000000) == 0 else 0
""",
    "raises its limits": "import resource as r\nr.setrlimit(r.RLIMIT_NPROC, (100, 100))\nsquare = abs\n",
}


@pytest.fixture
def challenge() -> Challenge:
    return Challenge(
        "s", "S", "", entry=("square",), hidden=HIDDEN, solution="def square(n):\n    return n * n\n"
    )


@pytest.fixture
def uid(monkeypatch: pytest.MonkeyPatch) -> int:
    """Give this process's sandboxes a user of their own: others may be at work on the same machine."""
    mine = 200_000 + os.getpid()
    monkeypatch.setattr(inside, "NOBODY", mine)
    return mine


def processes_of(uid: int) -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == uid:
                    found.add(f"{entry.name} {(entry / 'comm').read_text().strip()}")
            except OSError:
                continue
    return found


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_wins_nothing_and_leaves_nothing(
    name: str, challenge: Challenge, sandbox: Sandbox, uid: int
) -> None:
    """No attack passes a run, and no process of it is left."""
    checks = HiddenChecks(Sandbox(SandboxLimits(total_s=3.0)))
    assert [outcome.passed for outcome in checks.check(challenge, ATTACKS[name])] == [False]
    for _ in range(100):
        if not processes_of(uid):
            break
        time.sleep(0.05)
    assert not processes_of(uid)
    assert not Path("/usr/lib/planted").exists()


def test_a_right_solution_passes(challenge: Challenge, checks: HiddenChecks) -> None:
    """Code that gives what the solution gives passes, whatever way it goes."""
    code = "def square(number):\n    return sum(2 * i + 1 for i in range(number))\n"
    assert [outcome.passed for outcome in checks.check(challenge, code)] == [True]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1", "1.0"),
        ("1", "True"),
        ("(1,)", "[1]"),
        ("0", "None"),
        ("'1'", "1"),
        ("b'a'", "'a'"),
        ("{1}", "[1]"),
    ],
)
def test_types_that_python_calls_equal_differ(given: str, expected: str, checks: HiddenChecks) -> None:
    """``1``, ``1.0`` and ``True`` are three answers."""
    hidden = "from entry import answer\n\ndef run_it():\n    return ['long enough to be no guess', answer]\n"
    challenge = Challenge("s", "S", "", hidden=hidden, solution=f"answer = {expected}")
    assert checks.check(challenge, f"answer = {expected}")[0].passed
    assert not checks.check(challenge, f"answer = {given}")[0].passed


def test_the_order_of_mappings_and_sets_does_not_count(checks: HiddenChecks) -> None:
    """What is equal without its order has one line."""
    hidden = "from entry import answer\n\ndef run_it():\n    return answer\n"
    challenge = Challenge("s", "S", "", hidden=hidden, solution="answer = {'a': {3, 1}, 'b': 2}")
    assert checks.check(challenge, "answer = {'b': 2, 'a': {1, 3}}")[0].passed


def test_frames_go_by_content(checks: HiddenChecks) -> None:
    """A frame is what is in it: another column type or another order of rows differs."""
    pytest.importorskip("pandas")
    if not any(name == "pandas" for name, _ in inside.interpreter().packages):
        pytest.skip("the sandbox's Python has no pandas")
    hidden = "from entry import make\n\ndef run_it():\n    return make()\n"
    head = "import pandas as pd\n\ndef make():\n    return pd.DataFrame({'a': "
    challenge = Challenge("s", "S", "", hidden=hidden, solution=head + "[1, 2]})")
    assert checks.check(challenge, head + "list(range(1, 3))})")[0].passed
    assert not checks.check(challenge, head + "[1.0, 2.0]})")[0].passed
    assert not checks.check(challenge, head + "[2, 1]})")[0].passed


def test_a_package_that_is_not_there_is_said_with_those_that_are(checks: HiddenChecks) -> None:
    """Whoever writes a challenge learns what its solution may import, and not only that it did not answer."""
    challenge = Challenge(
        "s", "S", "", hidden="def run_it():\n    return 7\n", solution="import no_such_package"
    )
    with pytest.raises(ConfigError) as caught:
        checks.expected(challenge)
    line = "the solution of the challenge s gives no value in run_it: error import ModuleNotFoundError"
    assert str(caught.value) == f"{line} in the sandbox; {inside.importable()}"


def test_why_there_are_no_packages_inside_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that other users may not reach, and a system's of another version."""
    system = Path("/usr/bin/python3")
    if not system.exists():
        pytest.skip("the system has no Python")
    monkeypatch.setattr(inside, "_reachable", lambda path: False)
    monkeypatch.setattr(
        inside, "_packages", lambda: (("pandas", "/somewhere/pandas"), ("six.py", "/somewhere/six.py"))
    )
    monkeypatch.setattr(os.path, "realpath", lambda path: "/usr/bin/python3.2")
    found = inside.interpreter.__wrapped__()
    assert (found.program, found.packages) == (str(system), ())
    monkeypatch.setattr(inside, "interpreter", lambda: found)
    assert re.fullmatch(
        r"code in it has no packages such as pandas: the host's python3\.\d+ is closed to other users, "
        r"and the system's Python is of another version",
        inside.importable(),
    )
    monkeypatch.setattr(inside, "interpreter", lambda: replace(found, packages=inside._packages(), lacks=""))
    assert inside.importable() == "code in it may import pandas"
    monkeypatch.setattr(inside, "interpreter", lambda: replace(found, lacks=""))
    assert inside.importable() == "code in it has no packages such as pandas: none is installed"


def test_a_python_below_the_folder_for_temporary_files_is_seen() -> None:
    """That folder is empty inside, and the Python is put into it."""
    found = inside.options_of(inside.Python("/tmp/py/bin/python3", "/tmp/py"), 3, 1).split(b"\0")
    assert found.index(b"/tmp") < found.index(b"/tmp/py")


def test_an_own_check_accepts_other_right_answers(checks: HiddenChecks) -> None:
    """Where several answers are right, the challenge's ``check_NAME`` decides over the plain value."""
    hidden = (
        "from entry import order\n\ndef run_it():\n    return order([3, 1, 2])\n\n"
        "def check_it(value):\n    return sorted(value) == [1, 2, 3] and value[0] == 3\n"
    )
    challenge = Challenge("s", "S", "", hidden=hidden, solution="def order(items):\n    return [3, 2, 1]\n")
    assert checks.check(challenge, "def order(items):\n    return [3, 1, 2]\n")[0].passed
    assert not checks.check(challenge, "def order(items):\n    return [1, 2, 3]\n")[0].passed
    forged = "import entry\nsorted = lambda value: [1, 2, 3]\ndef order(items):\n    return [3, 9]\n"
    assert not checks.check(challenge, forged)[0].passed


def test_no_check_is_there_to_be_asked(checks: HiddenChecks) -> None:
    """Code that tries values until its check accepts one has none to try them on."""
    hidden = (
        "from entry import pick\n\ndef run_it():\n    return pick(3)\n\n"
        "def check_it(value):\n    return value == 17\n"
    )
    challenge = Challenge("s", "S", "", hidden=hidden, solution="def pick(number):\n    return 18\n")
    asks = (
        "import sys\n\ndef pick(number):\n"
        "    check = getattr(sys.modules['hidden'], 'check_it', lambda value: True)\n"
        "    return next(n for n in range(100) if check(n))\n"
    )
    assert not checks.check(challenge, asks)[0].passed
    assert checks.check(challenge, "def pick(number):\n    return 17\n")[0].passed


def test_folders_of_packages_are_empty_inside(sandbox: Sandbox) -> None:
    """A host that is installed into the system's own Python shows none of what is installed beside it."""
    folders = [
        str(one) for base in ("/usr/lib", "/usr/local/lib") for one in Path(base).glob("python3*/*-packages")
    ]
    hidden = f"import os\n\ndef run_it():\n    return sum([len(os.listdir(one)) for one in {folders}])\n"
    assert sandbox.run(Job("", hidden, "run_it")).line == b"i0"


def test_nothing_of_the_installation_but_data_packages_is_seen(sandbox: Sandbox) -> None:
    """The folder of packages may hold private parts of challenges; no code sees it."""
    hidden = (
        "import os, sys\n\ndef run_it():\n    found = []\n    for folder in ['/', '/packages', *sys.path]:\n"
        "        try:\n            found += os.listdir(folder)\n        except OSError:\n            pass\n"
        "    return sorted(set(found))\n"
    )
    line = sandbox.run(Job("", hidden, "run_it")).line.decode()
    assert "usr" in line
    assert "ib_kernel" not in line
    assert "ib_challenges" not in line
    assert "pytest" not in line


def test_without_bubblewrap_nothing_is_run_and_the_line_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sandbox: one line that says what to install, and no code is executed."""
    monkeypatch.setenv("PATH", "/nowhere")
    sandboxes._problem.cache_clear()
    try:
        with pytest.raises(NoSandbox, match="apt install bubblewrap"):
            Sandbox().run(Job("x = 1", "def run_it():\n    return 1\n", "run_it"))
    finally:
        sandboxes._problem.cache_clear()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_unprivileged_user_has_the_sandbox_too(sandbox: Sandbox, tmp_path: Path) -> None:
    """The same line works for a host that does not run as root."""
    python = inside.interpreter().program
    code = Path(sandboxes.__file__).parents[2]
    folders = [code, *code.parents]
    if any(folder.stat().st_mode & 0o005 != 0o005 for folder in folders):
        pytest.skip("another user cannot read this checkout")
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from ib_kernel.evidence.sandbox import Job, Sandbox\n"
        "job = Job('x = 6', 'from entry import x\\nrun_it = lambda: x * 7', 'run_it')\n"
        "print(Sandbox().problem(), Sandbox().run(job).line)"
    )
    if subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).returncode:
        pytest.skip(f"{python} is older than 3.11")
    done = subprocess.run(
        [python, "-I", "-c", script, str(code)],
        user=12345,
        group=12345,
        extra_groups=[],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.stdout.strip() == "b'i2a'", done.stderr
