"""`make attack-host`: another user of this machine, with only a code, against a host with something to hide.

Started by root. As one user (`--host-user`): a host with a key, a private challenge, notes and other people's
interviews, whose umask keeps nothing private. As another (`--candidate-user`), with an installation of their
own: `attack_as_candidate.py`, and `watch_as_candidate.py` while backups, exports and reports are written.
Planted words are looked for in everything that they can read. One line an attack; the exit status is 1 if one
has won, 2 if it cannot run here.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attack_scene import ROOT, Scene, User
from hosts import RunningHost
from wire import Wire

PUBLIC = "threads use, marmalade"
"""A word of the task: a search that does not find it finds nothing else either."""

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


def command(python: str, scene: Scene, script: str, *words: str) -> list[str]:
    """Return what runs a script of the candidate's as their user."""
    environment = [
        "-i", "PATH=/usr/bin:/bin", f"HOME={scene.home}", f"TMPDIR={scene.home}", f"PYTHONPATH={scene.site}",
        f"IB_DATA_DIR={scene.home}/ib", "IB_STREAM=final",
    ]  # fmt: skip
    return [*scene.candidate.runs(scene.home, *environment), python, str(scene.folder / script), *words]


def as_candidate(
    python: str, scene: Scene, script: str, *words: str, given: str = ""
) -> list[dict[str, Any]]:
    """Run a script of the candidate's and return what it printed."""
    done = subprocess.run(
        command(python, scene, script, *words), input=given, capture_output=True, text=True, check=False
    )
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
            "used_link": host.link.partition("#")[2], "host_uid": scene.owner.uid,
            "socket": str(scene.socket),
        }  # fmt: skip
        (scene.home / "given.json").write_text(json.dumps(given))
        for one in as_candidate(python, scene, "attack_as_candidate.py", str(scene.home)):
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
        yield watched(scene, python, host, other.me["session"]["session_id"])
    yield from searched(scene, python)


def watched(scene: Scene, python: str, host: RunningHost, session_id: str) -> tuple[str, str, list[str]]:
    """Have the host's user write into folders that are open to all, and the candidate look on."""
    words = command(python, scene, "watch_as_candidate.py", str(scene.home), str(scene.open))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as watching:
        while not (scene.home / "watching").exists() and watching.poll() is None:
            time.sleep(0.05)
        for name in ("backup", "rows"):
            (scene.open / name).mkdir()
            (scene.open / name).chmod(0o777)
            scene.owner.owns(scene.open / name)
        (scene.open / "control").write_text("for everybody")
        host.ib("backup", str(scene.open / "backup"))
        host.ib("export", "--session", session_id, "--out", str(scene.open / "rows"))
        for whom in ("interviewer", "candidate"):
            host.ib("report", session_id, str(scene.open / f"{whom}.html"), "--for", whom)
        (scene.home / "stop").touch()
        found = [json.loads(line) for line in watching.communicate(timeout=60)[0].splitlines()]
    files = [path for path in scene.open.rglob("*") if path.is_file()]
    opened = [f"opened {one['path']}, {one['bytes']} bytes" for one in found]
    seen = [line for line in opened if "/control" in line]
    opened = (
        [line for line in opened if line not in seen] if seen else ["(control) an open file was not seen"]
    )
    return "backup, export and report, watched while they are written", f"{len(files)} files", opened


def searched(scene: Scene, python: str) -> Iterator[tuple[str, str, list[str]]]:
    """Look for the planted words, and for the private parts that are published, as the candidate can."""
    words = {**scene.planted.words, **published(), "task": PUBLIC}
    hits = as_candidate(
        python, scene, "search_as_candidate.py", str(scene.home), str(scene.folder), given=json.dumps(words)
    )
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
    parser = argparse.ArgumentParser(description="Attack a host as another user of this machine.")
    parser.add_argument("--host-user", default="daemon", metavar="NAME", help="who runs the host")
    parser.add_argument("--candidate-user", default="nobody", metavar="NAME", help="who attacks it")
    given = parser.parse_args()
    owner, candidate = User(given.host_user), User(given.candidate_user)
    try:
        users = f"the host is {owner.name} ({owner.uid}), the candidate {candidate.name} ({candidate.uid})"
    except KeyError as error:
        return _cannot(f"{error.args[0]}; name users of this machine")
    if os.geteuid() or shutil.which("setpriv") is None:
        return _cannot("run it as root, on a system with setpriv (util-linux)")
    if candidate.uid in (0, owner.uid):
        return _cannot("the candidate must be another user than the host, and not root")
    print(users)
    with tempfile.TemporaryDirectory(prefix="ib-attack-") as name:
        scene = Scene(Path(name), owner, candidate)
        python = scene.ready()
        if python is None or scene.host_python is None:
            return _cannot("no Python here that other users can run with these packages")
        lost = 0
        for attack, outcome, won in attacked(scene, python):
            lost += bool(won)
            print(f"{'WON ' if won else 'no  '}  {attack}: {outcome}")
            for what in won:
                print(f"        {what[:300]}")
    print("nothing was won" if not lost else f"{lost} attacks have won something")
    return 1 if lost else 0


def _cannot(why: str) -> int:
    print(f"attack-host: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
