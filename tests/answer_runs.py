"""One turn against one odd answer, with the real client, pipeline and ledger, and a good turn after it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raw_service import GOOD, GOOD_RESPONSES, Answer, RawService

from ib_kernel import Interview, Settings
from ib_kernel.errors import BuddyError
from ib_kernel.values import Message

KEY = "sk-test"
MODEL = "gpt-4.1-mini"
TEXT = "I would start with a token bucket for every user."


@dataclass
class Outcome:
    """What a person, the ledger and the service saw of the odd turn, and of the good one after it."""

    text: str = ""
    error: str = ""
    message: str = ""
    footer: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    transcript: list[tuple[str, str, bool]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    requests: int = 0
    held: int = 0
    in_doubt: int = 0
    next_text: str = ""
    next_roles: list[str] = field(default_factory=list)
    shown: str = ""
    body: Any = None

    @property
    def source(self) -> str:
        """Where the last row's figures come from, or what became of it."""
        row = self.rows[-1]
        return {"in_doubt": "in doubt", "failed": "free"}.get(row["status"], str(row["source"]))

    @property
    def figures(self) -> tuple[int, int]:
        """The last row's tokens, in and out."""
        return self.rows[-1]["input_tokens"], self.rows[-1]["output_tokens"]


class AnswerTrial:
    """One service and one ledger for answer after answer, each in a session of its own."""

    def __init__(self, folder: Path) -> None:
        self.service = RawService(Answer())
        self._folder = folder
        self._open: dict[str, Interview] = {}

    def interview(self, api: str, settings: dict[str, Any]) -> Interview:
        """Return the interview for *api* with *settings*."""
        name = f"{api} {settings}"
        if name not in self._open:
            chosen = Settings(
                data_dir=self._folder,
                base_url=self.service.base_url,
                api_key=KEY,
                model=MODEL,
                api=api,
                client="openai",
                **{"backoff_s": 0.001, "retry_budget": 1000, **settings},
            )
            self._open[name] = Interview(chosen)
        return self._open[name]

    def run(self, answer: Answer, *, api: str = "chat", streamed: bool = True, **settings: Any) -> Outcome:
        """Ask once against *answer*, then once more against a good one; return what was seen."""
        seen, service, buddy = Outcome(), self.service, self.interview(api, settings)
        session = buddy.start("Backend engineer", candidate="Ada", token_budget=50_000).session_id
        service.answer, service.requests = answer, []
        _odd_turn(buddy, seen, streamed)
        seen.requests = len(service.requests)
        seen.body = service.requests[-1] if service.requests else None
        totals = buddy.service.totals(session)
        seen.held, seen.in_doubt = totals.held, totals.in_doubt
        self._read(buddy, session, seen)
        service.answer = Answer((GOOD if api == "chat" else GOOD_RESPONSES,))
        seen.next_text = buddy.say_sync("And then?").text
        body = service.requests[-1]
        items = body.get("messages", body.get("input"))
        seen.next_roles = [item["role"] for item in items if item["role"] != "system"]
        return seen

    def _read(self, buddy: Interview, session: str, seen: Outcome) -> None:
        def rows(table: str, order: str) -> list[dict[str, Any]]:
            query = f"SELECT * FROM {table} WHERE session_id = '{session}' ORDER BY {order}"
            return buddy.service.store.sql(query).dicts()

        seen.rows, seen.events = rows("calls", "attempt"), rows("events", "seq")
        messages = rows("messages", "seq")
        seen.transcript = [(m["role"], m["content"], m["partial"]) for m in messages]
        seen.shown = repr((seen.rows, seen.events, messages)) + repr(seen)

    def close(self) -> None:
        """Close the interviews and the service."""
        for interview in self._open.values():
            interview.close()
        self.service.__exit__()


def _odd_turn(buddy: Interview, seen: Outcome, streamed: bool) -> None:
    try:
        if streamed:
            reply = buddy.ask(TEXT, max_tokens=1200)
        else:
            question = Message(0, "user", TEXT)
            ask = [{"role": "system", "content": "You interview."}, {"role": "user", "content": TEXT}]
            reply = buddy.send(ask, question, max_tokens=1200, extra={"stream": False})
        reply.on_notice = seen.notices.append
        with reply:
            for piece in reply:
                seen.text += piece
        seen.text, seen.footer = reply.text, reply.footer
    except BuddyError as error:
        seen.error, seen.message = type(error).__name__, str(error)


def must_hold(seen: Outcome) -> None:
    """Check what is true after any answer: nothing held, no key, alternating roles, the next turn works."""
    assert seen.held == 0
    assert seen.next_text == "Go on."
    assert all(a != b for a, b in zip(seen.next_roles, seen.next_roles[1:], strict=False)), seen.next_roles
    assert KEY not in seen.shown
    assert "\n" not in seen.message
    assert all(row["status"] != "settled" or row["input_tokens"] > 0 for row in seen.rows)
    if "in doubt" not in seen.source:
        assert seen.in_doubt == sum(row["held_tokens"] for row in seen.rows if row["status"] == "in_doubt")


def check_words(right: str, seen: Outcome) -> None:
    """Check what the words of a case in the folder of ``IB_CASES`` say, as far as they can be read."""
    if found := re.match(r"(?:answered: |text )'([^']*)'", right):
        assert seen.text == found[1]
        assert not seen.error
    if found := re.search(r"(\d+) in \+ (\d+) out", right):
        assert seen.figures == (int(found[1]), int(found[2]))
    if found := re.search(r"(\d+) in kept", right):
        assert seen.figures[0] == int(found[1])
    if re.search(r"source counted|: counted", right):
        assert seen.source == "counted"
    if re.search(r"source api|, api\b|api figures", right):
        assert seen.source == "api"
    if "an event says why" in right:
        assert any(event["kind"] == "usage_rejected" for event in seen.events)
    if found := re.search(r"\b(1|one) request", right):
        assert seen.requests == 1
    if re.search(r"at most one retry", right):
        assert seen.requests <= 2
    if found := re.match(r"(AuthFailed|RateLimited|ContextTooLong)", right):
        assert seen.error == found[1]
    if re.match(r"one clear error(?!.*\bor\b)", right) or right.startswith("a line that"):
        assert seen.error
        assert len(seen.message) < 700
    if "reasoning too (100 pieces)" in right:
        assert seen.figures[1] > 200
    if "sees that it is thinking" in right:
        assert "thinking…" in seen.notices
    if re.match(r"footer says", right):
        assert re.search(r"empty reply|incomplete", seen.footer)
    if "names -n" in right:
        assert "%%interview -n" in seen.footer
    if "nothing in doubt" in right:
        assert seen.in_doubt == 0
    if "not retried" in right:
        assert seen.requests == 1
    if right.startswith("unresolved"):
        assert seen.in_doubt > 0
    if right.startswith(("the text so far", "as above")) and "finish" in right + "finish":
        assert seen.error or "address" in seen.message
