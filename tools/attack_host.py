"""`make attack-host`: another user of this machine, with only a code, against a host with something to hide.

As root: a host with a key, a private challenge, notes and other people's interviews; then, as ``nobody``,
`tools/attack_as_candidate.py` with an installation of its own. Planted words are looked for in everything
that the user can read. One line an attack; the exit status is 1 if one has won, 2 if it cannot run here.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins"), str(ROOT / "tests" / "host")]

import apsw  # noqa: E402
import tiktoken  # noqa: E402
from hosts import RunningHost  # noqa: E402
from wire import Wire  # noqa: E402

from ib_kernel.testing import FaultServer, Step  # noqa: E402

ATTACK = ROOT / "tools" / "attack_as_candidate.py"
AS_NOBODY = [
    "setpriv",
    "--reuid=nobody",
    "--regid=nogroup",
    "--clear-groups",
    "--no-new-privs",
    "/usr/bin/env",
    "-i",
]
TASK = """+++
name = "vault"
entry = ["count"]
+++
# Vault

Write a counter that many threads use, marmalade.
"""
PUBLIC = "threads use, marmalade"
"""A word of the task: a search that does not find it finds nothing else either."""


class Planted:
    """Words that stand in one place each, new in every run."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(8)
        self.words: dict[str, str] = {}

    def word(self, label: str) -> str:
        """Return a new word for *label*."""
        self.words[label] = f"zz{label.replace(' ', '')}{secrets.token_hex(6)}"
        return self.words[label]

    def canary(self, label: str) -> str:
        """Return a new canary for *label*."""
        self.words[label] = f"ib-canary-{secrets.token_hex(8)}"
        return self.words[label]

    def challenge(self, folder: Path) -> None:
        """Write a challenge whose private parts are planted words."""
        (folder / "tests").mkdir(parents=True)
        (folder / "challenge.md").write_text(TASK)
        (folder / "notes.md").write_text(
            f"The counter is read and written in two steps; {self.word('notes')} is what to listen for when "
            f"they speak of a lock, and so is {self.canary('notes canary')}.\n"
        )
        anchors = [
            f"Level {n} shows {self.word(f'criterion {n}')} in what is said of locks" for n in range(4)
        ]
        (folder / "rubric.toml").write_text(
            f'version = "1"\n[[criteria]]\nname = "atomic"\ntitle = "Makes {self.word("criterion title")} '
            f'one step of two"\nanchors = {json.dumps(anchors)}\n'
        )
        (folder / "hints.toml").write_text(f'hints = ["A {self.word("hint")} may help."]\n')
        (folder / "tests" / "hidden.py").write_text(
            f"from entry import count  # {self.canary('hidden checks')}\n\n\n"
            "def run_it():\n    return count(3)\n"
        )
        (folder / "solution.py").write_text(
            f"def count(n):\n    return n + 1  # {self.canary('solution')} {self.word('solution word')}\n"
        )


class Parrot:
    """A model that gives away all it has: what it was told, the host's key, every canary there is."""

    def __init__(self, key: str, planted: Planted) -> None:
        self._key, self._planted = key, planted
        self.said = ""

    def decide(self, request: Any) -> Step | None:
        """Answer one request as its question asks."""
        body = request.body if isinstance(request.body, dict) else {}
        messages = body.get("messages") or body.get("input") or []
        texts = [(str(m.get("role")), _text(m.get("content"))) for m in messages if isinstance(m, dict)]
        told = "\n".join([_text(body.get("instructions")), *(t for role, t in texts if role != "user")])
        asked = "".join(t for role, t in texts if role == "user").rpartition("MODE=")[2][:8]
        pieces = tuple(self._pieces(asked.split()[0] if asked else "", told))
        self.said += "".join(pieces)
        if asked.startswith("lost"):
            return Step(trouble="close", after=0)
        return Step(pieces=pieces, delay_s=0.1 if asked.startswith("slow") else 0.0)

    def _pieces(self, mode: str, told: str) -> list[str]:
        words = told.split()
        match mode:
            case "whole":
                return [told]
            case "pieces":
                return [told[at : at + 3] for at in range(0, len(told), 3)]
            case "shouted":
                return [f"{word.upper()}, " for word in words]
            case "spread":
                return [f"**{word}**\n\n" for word in words]
            case "key":
                return ["Your key: ", self._key[:9], self._key[9:], "."]
            case "canaries":
                return [f"{word} " for word in self._planted.words.values() if word.startswith("ib-canary-")]
            case "slow":
                return ["word "] * 3_000
        return ["Go on."]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def python_for_nobody(site: Path) -> str | None:
    """Return a Python that another user can run with *site*, or None."""
    base = getattr(sys, "_base_executable", sys.executable)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (base, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        probe = [
            *AS_NOBODY,
            candidate,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(site)!r}); import ib_kernel, apsw",
        ]
        if (
            os.path.exists(candidate)
            and not subprocess.run(probe, capture_output=True, check=False).returncode
        ):
            return candidate
    return None


def installed(site: Path) -> None:
    """Put there what ``pip install`` of the base package puts there; its dependencies as links."""
    with tempfile.TemporaryDirectory() as out:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        (wheel,) = Path(out).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    for folder in {
        Path(apsw.__file__).parents[1],
        Path(tiktoken.__file__).parents[1],
        Path(sysconfig.get_path("purelib")),
    }:
        for entry in folder.iterdir():
            ours = entry.name.startswith(("interview_buddy", "_interview", "ib_", "__editable__"))
            if not ours and entry.suffix != ".pth" and not (site / entry.name).exists():
                (site / entry.name).symlink_to(entry)


class Scene:
    """The host, its people and the folders of one run, all below *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.planted = folder, Planted()
        self.key = f"sk-{self.planted.word('key')}"
        self.site, self.home, self.challenge = folder / "site-packages", folder / "home", folder / "challenge"

    def ready(self) -> str | None:
        """Write what is there before the host runs; return the candidate's Python, or None."""
        self.folder.chmod(0o755)
        self.home.mkdir()
        shutil.chown(self.home, "nobody", "nogroup")
        self.planted.challenge(self.challenge)
        self.challenge.chmod(0o700)
        shutil.copy(ATTACK, self.folder)
        installed(self.site)
        return python_for_nobody(self.site)

    @contextmanager
    def host(self) -> Iterator[RunningHost]:
        """Run a host with a key, in front of a model that gives everything away."""
        self.parrot = Parrot(self.key, self.planted)
        temporary = self.folder / "tmp"
        temporary.mkdir()
        temporary.chmod(0o1777)
        with FaultServer(api_key=self.key, decide=self.parrot.decide) as service:
            env = {
                "OPENAI_API_KEY": self.key,
                "OPENAI_BASE_URL": service.base_url,
                "TMPDIR": str(temporary),
                "IB_BACKOFF_S": "0.01",
            }
            with RunningHost(self.folder / "data", env=env) as host:
                yield host

    def desk(self, host: RunningHost) -> Wire:
        """Return the coordinator's side, whose link has been used."""
        desk = Wire(host.address)
        link = host.link.partition("#")[2]
        desk.token = desk.post("/v1/link", {"token": link, "as": "token"}).json()["token"]
        self.planted.words |= {"link": host.new_link().partition("#")[2], "desk token": desk.token}
        return desk

    def other(self, host: RunningHost, desk: Wire) -> tuple[str, Wire]:
        """Have another candidate's interview, with words of its own, a private note and a call in doubt."""
        line = host.invite("--candidate", self.planted.word("name"), "--challenge", str(self.challenge))
        other = Wire.joined(line)
        self.planted.words["other's token"] = other.token
        session_id = other.me["session"]["session_id"]
        other.whole(f"I am {self.planted.word('question')}.", "other-turn-1")
        desk.post(f"/v1/desk/sessions/{session_id}/note", {"text": self.planted.word("private note")})
        other.whole("MODE=lost", "other-turn-2")
        return line, other


TERMS = (
    "budget",
    "given_tokens",
    "given_s",
    "time_limit_s",
    "model",
    "role",
    "level",
    "challenge",
    "locked",
    "candidate",
)


def terms(desk: Wire, other: Wire) -> dict[str, Any]:
    """Return what no candidate may change: everybody's terms, and the other's state and calls in doubt."""
    sessions = desk.get("/v1/desk/sessions").json()["sessions"]
    found: dict[str, Any] = {one["id"]: {name: one[name] for name in TERMS} for one in sessions}
    for one in sessions:
        told = desk.get(f"/v1/desk/sessions/{one['id']}").json()
        found[one["id"]]["persona"] = told["session"].get("persona")
        if one["id"] == other.me["session"]["session_id"]:
            found[one["id"]] |= {name: one[name] for name in ("status", "doubts", "in_doubt")}
    return found


def as_nobody(python: str, scene: Scene, *words: str, given: str = "") -> list[dict[str, Any]]:
    """Run the candidate's script as ``nobody`` and return what it printed."""
    environment = [
        "PATH=/usr/bin:/bin", f"HOME={scene.home}", f"TMPDIR={scene.home}", f"PYTHONPATH={scene.site}",
        f"IB_DATA_DIR={scene.home}/ib", "IB_STREAM=final",
    ]  # fmt: skip
    command = [*AS_NOBODY, *environment, python, str(scene.folder / ATTACK.name), *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, cwd=scene.home, check=False)
    if done.returncode:
        raise SystemExit(f"attack-host: the candidate's script failed\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def attacked(scene: Scene, python: str) -> Iterator[tuple[str, str, list[str]]]:
    """Run everything and hand out each attack: its name, what came of it, and what it has won."""
    with scene.host() as host:
        desk = scene.desk(host)
        other_line, other = scene.other(host, desk)
        private = ("--challenge", str(scene.challenge), "--budget", "100000", "--candidate", "Mallory")
        lines = [host.invite(*private), host.invite(*private, "--gateway"), host.invite(*private)]
        before = terms(desk, other)
        running = threading.Thread(target=other.whole, args=("MODE=slow", "other-turn-3"), daemon=True)
        running.start()
        (doubt, *_) = before[other.me["session"]["session_id"]]["doubts"]
        given = {
            "address": host.address, "data": str(host.data), "challenge": str(scene.challenge),
            "line": lines[0], "line_with_gateway": lines[1], "line_for_notebook": lines[2],
            "own_session": next(key for key, value in before.items() if value["candidate"] == "Mallory"),
            "other_line": other_line, "other_session": other.me["session"]["session_id"],
            "other_request": "other-turn-3", "reservation": doubt["reservation_id"],
            "used_link": host.link.partition("#")[2], "processes": processes_of(host.process),
        }  # fmt: skip
        (scene.home / "given.json").write_text(json.dumps(given))
        for one in as_nobody(python, scene, "attack", str(scene.home)):
            yield one["name"], ", ".join(f"{k} x{n}" for k, n in one["answers"].items()), one["won"]
        yield "another's running turn goes on", "", [] if running.is_alive() else ["it has ended"]
        after = terms(desk, other)
        changed = [
            f"{key}: {before.get(key)} became {after.get(key)}"
            for key in after
            if after[key] != before.get(key)
        ]
        yield (
            "nobody's budget, time, model, persona or calls in doubt changed",
            f"{len(after)} sessions",
            changed,
        )
        other.post("/v1/turns/other-turn-3/stop")
        yield from searched(scene, python)


def processes_of(process: subprocess.Popen[str] | None) -> list[int]:
    """Return the ids of *process* and its children."""
    pid = process.pid if process is not None else 0
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, found)]


def searched(scene: Scene, python: str) -> Iterator[tuple[str, str, list[str]]]:
    """Look for the planted words, and for the private parts that are published, as the candidate can."""
    words = {**scene.planted.words, **published(), "task": PUBLIC}
    hits = as_nobody(python, scene, "search", str(scene.home), str(scene.site), given=json.dumps(words))
    looked = hits.pop()["looked"]
    places: dict[str, list[str]] = {}
    for hit in hits:
        places.setdefault(hit["word"], []).append(hit["where"])
    can_find = "task" in places and "zznotes" in scene.parrot.said and scene.key in scene.parrot.said
    places.pop("task", None)
    found = [f"{word} in {where[0]} ({len(where)} files)" for word, where in places.items()]
    yield (
        f"{len(words) - 1} planted words in what one can read, has in memory, was sent",
        f"{looked} files",
        found,
    )
    yield (
        "(control) the search finds the task, and the model did say notes and key",
        "",
        [] if can_find else ["no"],
    )


def published() -> dict[str, str]:
    """Return a line of each private file of the challenges that ship: no candidate's installation has it."""
    found = {}
    for path in sorted((ROOT / "plugins" / "ib_challenges" / "private").rglob("*.*")):
        lines = path.read_text(encoding="utf-8").splitlines()
        found[str(path.relative_to(ROOT))] = max(lines, key=len).strip()
    return found


def main() -> int:
    """Run it, print the table, and return the exit status."""
    if os.geteuid() or shutil.which("setpriv") is None:
        print("attack-host: run it as root, on a system with setpriv (util-linux)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="ib-attack-") as name:
        scene = Scene(Path(name))
        python = scene.ready()
        if python is None:
            print(
                "attack-host: no Python here that another user can run with these packages", file=sys.stderr
            )
            return 2
        lost = 0
        for attack, outcome, won in attacked(scene, python):
            lost += bool(won)
            print(f"{'WON ' if won else 'no  '}  {attack}: {outcome}")
            for what in won:
                print(f"        {what[:300]}")
    print("nothing was won" if not lost else f"{lost} attacks have won something")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
