"""What is attacked by `attack_host.py`: a host with a key, planted words and a model that gives them away."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins"), str(ROOT / "tests" / "host")]

import apsw  # noqa: E402
import tiktoken  # noqa: E402
from hosts import RunningHost  # noqa: E402
from wire import Wire  # noqa: E402

from ib_kernel.testing import FaultServer, Step  # noqa: E402

NAMES = (
    "attack_as_candidate",
    "attack_by_network",
    "attack_on_machine",
    "attack_requests",
    "search_as_candidate",
    "watch_as_candidate",
)
SCRIPTS = [ROOT / "tools" / f"{name}.py" for name in NAMES]
"""What the other user runs; nothing else of this repository is there."""

IB = "import sys; from ib_kernel.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class User:
    """A Unix user of this machine."""

    name: str

    @property
    def uid(self) -> int:
        """Their number."""
        return pwd.getpwnam(self.name).pw_uid

    def runs(self, folder: Path, *environment: str) -> list[str]:
        """Return what stands before a command that they run in *folder*, with their groups and no more.

        `env` is between: until it starts another program, `setpriv` still may what root may.
        """
        group = pwd.getpwnam(self.name).pw_gid
        who = [f"--reuid={self.uid}", f"--regid={group}", "--init-groups", "--no-new-privs"]
        return ["setpriv", *who, "/usr/bin/env", f"--chdir={folder}", *environment]

    def owns(self, folder: Path) -> None:
        """Give them *folder* with all that is in it."""
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, self.uid, pwd.getpwnam(self.name).pw_gid)

    def python(self, site: Path) -> str | None:
        """Return a Python that they can run with *site*, or None."""
        base = getattr(sys, "_base_executable", sys.executable)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        probe = f"import sys; sys.path.insert(0, {str(site)!r}); import ib_kernel, apsw"
        for candidate in (base, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
            command = [*self.runs(Path("/"), "-i"), candidate, "-I", "-c", probe]
            if os.path.exists(candidate):
                done = subprocess.run(command, capture_output=True, check=False)
                if not done.returncode:
                    return candidate
        return None


TASK = """+++
name = "vault"
entry = ["count"]
+++
# Vault

Write a counter that many threads use, marmalade.
"""


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


def installed(site: Path, *projects: Path) -> None:
    """Put there what ``pip install`` of *projects* puts there; what they depend on as links."""
    for project in projects:
        with tempfile.TemporaryDirectory() as out:
            build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out]
            subprocess.run(build, cwd=project, check=True, capture_output=True)
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
    """The host, its people and the folders of one run, all below *folder*.

    Args:
        folder: A new folder.
        owner: Who runs the host. Their umask is 0: nothing is private unless the program makes it so.
        candidate: Who attacks.
    """

    def __init__(self, folder: Path, owner: User, candidate: User) -> None:
        self.folder, self.owner, self.candidate, self.planted = folder, owner, candidate, Planted()
        self.key = f"sk-{self.planted.word('key')}"
        self.site, self.home = folder / "site-packages", folder / "home"
        self.hosts = folder / "host"
        self.challenge, self.data, self.open = (self.hosts / n for n in ("challenge", "data", "open"))
        self.socket = self.open / "ib.sock"
        self.host_python: str | None = None

    def ready(self) -> str | None:
        """Write what is there before the host runs; return the candidate's Python, or None."""
        self.folder.chmod(0o755)
        for folder in (self.home, self.hosts, self.open):
            folder.mkdir()
        self.candidate.owns(self.home)
        self.planted.challenge(self.challenge)
        for script in SCRIPTS:
            shutil.copy(script, self.folder)
        installed(self.site, ROOT)
        site = self.hosts / "site-packages"
        installed(site, ROOT, ROOT / "plugins" / "ib_challenges")
        for folder, mode in ((self.challenge, 0o700), (site, 0o700), (self.open, 0o777)):
            folder.chmod(mode)
        for folder in (self.hosts, self.challenge, self.open):
            self.owner.owns(folder) if folder != self.hosts else shutil.chown(folder, self.owner.uid)
        shutil.chown(site, self.owner.uid)
        self.host_python = self.owner.python(site)
        return self.candidate.python(self.site)

    def as_host(self, **more: Any) -> RunningHost:
        """Return a host of *owner*'s on the ledger, not yet running."""
        env = {
            "OPENAI_API_KEY": self.key,
            "OPENAI_BASE_URL": self.service.base_url,
            "TMPDIR": str(self.folder / "tmp"),
            "HOME": str(self.hosts),
            "PYTHONPATH": str(self.hosts / "site-packages"),
            "IB_BACKOFF_S": "0.01",
        }
        program = (*self.owner.runs(self.hosts), str(self.host_python), "-P", "-c", IB)
        return RunningHost(self.data, env=env, program=program, umask=0, **more)

    @contextmanager
    def host(self) -> Iterator[RunningHost]:
        """Run a host with a key, in front of a model that gives everything away; a second one for a proxy."""
        self.parrot = Parrot(self.key, self.planted)
        temporary = self.folder / "tmp"
        temporary.mkdir()
        temporary.chmod(0o1777)
        behind = ("--behind-proxy", "--url", "https://host.example", "--access-log")
        with (
            FaultServer(api_key=self.key, decide=self.parrot.decide) as self.service,
            self.as_host(listen=f"unix:{self.socket}", options=behind) as second,
            self.as_host(options=("--access-log",)) as host,
        ):
            yield host
            log = self.open / "host.log"
            log.write_text("".join([*host.said, *second.said]))
            log.chmod(0o644)

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
