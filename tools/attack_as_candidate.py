"""What a candidate with only a code tries against a host; `tools/attack_host.py` runs it as another user.

``attack_as_candidate.py FOLDER`` tries everything that FOLDER/given.json leads to, keeps each answer under
FOLDER/traffic and prints one JSON object an attack: its name, what came back how often, and what it has won.
`search_as_candidate.py` then looks for what it could read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import attack_by_network as by_network
import attack_on_machine as on_machine
from attack_requests import Candidate


def attack(folder: Path) -> None:
    """Try everything."""
    given = json.loads((folder / "given.json").read_text())
    (folder / "traffic").mkdir()
    candidate = Candidate(given["address"], folder / "traffic")
    a, b = (candidate.join(given[line]) for line in ("line", "line_with_gateway"))
    for joined in (a, b):
        candidate.ask("POST", "/v1/begin", joined["token"], {})
    by_network.code_twice(candidate, given)
    by_network.doors(candidate, a, given)
    by_network.other_doors(candidate, a, b, given)
    by_network.along_with_a_turn(candidate, a)
    by_network.told(candidate, a["token"])
    by_network.others_turns(candidate, a, given)
    by_network.gateway(candidate, a, b)
    on_machine.notebook(candidate, folder, given)
    on_machine.files(candidate, given)
    on_machine.processes(candidate, given)
    on_machine.sockets(candidate, given)
    on_machine.commands(candidate, given)
    for token in (a["token"], b["token"]):
        for path in ("/v1/me", "/v1/status", "/v1/report"):
            candidate.ask("GET", path, token)
    by_network.guesses(candidate, given)  # last: the host slows this address down


if __name__ == "__main__":
    attack(Path(sys.argv[1]))
