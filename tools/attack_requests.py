"""How a candidate's requests are made and kept, and how what came of an attack is told."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

MOST_READ = 20_000_000
"""Bytes of an answer that are read."""

REFUSED = {401, 403, 404, 405, 410, 421, 429}


class Candidate:
    """One person's requests; every answer is kept as a file."""

    def __init__(self, address: str, folder: Path) -> None:
        self._address, self._folder = address, folder
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._number = 0

    def ask(
        self, method: str, path: str, token: str = "", body: Any = None, **headers: str
    ) -> tuple[int, str]:
        """Return the status and text of an answer; 0 when there is none."""
        sent = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, data, sent, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=30) as answer:
                status, text = answer.status, answer.read(MOST_READ).decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            status, text = error.code, f"{error.headers}\n{error.read().decode('utf-8', 'replace')}"
        except OSError as error:
            status, text = 0, repr(error)
        self.keep(f"{method} {path}\n{status}\n{text}")
        return status, text

    def keep(self, text: str) -> None:
        """Keep *text* for the search."""
        self._number += 1
        (self._folder / f"{self._number:05}.txt").write_text(text, encoding="utf-8", errors="replace")

    def join(self, line: str) -> dict[str, Any]:
        """Join with the line, say that the notice was shown, and return what the host answered."""
        asked = {"code": line.partition("@")[0], "nonce": secrets.token_urlsafe(16)}
        joined: dict[str, Any] = json.loads(self.ask("POST", "/v1/join", body=asked)[1])
        notice = {"version": joined["me"]["notice"]["version"]}
        self.ask("POST", "/v1/notice", joined["token"], notice)
        return joined

    def turn(self, token: str, text: str, request_id: str = "", **more: Any) -> tuple[int, str]:
        """Ask the AI and return what came."""
        body = {"text": text, **more}
        request_id = request_id or secrets.token_hex(8)
        return self.ask("POST", "/v1/turns", token, body, Idempotency_Key=request_id)


class Attack:
    """Tries that belong together, and what came of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answers: Counter[str] = Counter()
        self.won: list[str] = []

    def refused(self, what: str, status: int, text: str = "") -> None:
        """Note a request that should have been refused."""
        self.answers[str(status)] += 1
        if status not in REFUSED:
            self.won.append(f"{what}: {status} {text[:200]!r}")

    def note(self, outcome: str, won: str = "") -> None:
        """Note any other try; *won* says what it got."""
        self.answers[outcome] += 1
        if won:
            self.won.append(won)

    def tell(self) -> None:
        """Print it."""
        print(json.dumps(vars(self)), flush=True)
