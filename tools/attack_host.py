"""`make attack-host`: another user of this machine, with only a code, against a host with something to hide.

As root: a host with a key, a private challenge, notes and other people's interviews; then, as ``nobody``,
`tools/attack_as_candidate.py` with an installation of its own. Planted words are looked for in everything
that the user can read. One line an attack; the exit status is 1 if one has won, 2 if it cannot run here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attack_scene import AS_NOBODY, ROOT, Scene
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


def as_nobody(python: str, scene: Scene, script: str, *words: str, given: str = "") -> list[dict[str, Any]]:
    """Run a script of the candidate's as ``nobody`` and return what it printed."""
    environment = [
        "PATH=/usr/bin:/bin", f"HOME={scene.home}", f"TMPDIR={scene.home}", f"PYTHONPATH={scene.site}",
        f"IB_DATA_DIR={scene.home}/ib", "IB_STREAM=final",
    ]  # fmt: skip
    command = [*AS_NOBODY, *environment, python, str(scene.folder / script), *words]
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
        for one in as_nobody(python, scene, "attack_as_candidate.py", str(scene.home)):
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
    hits = as_nobody(
        python, scene, "search_as_candidate.py", str(scene.home), str(scene.site), given=json.dumps(words)
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
