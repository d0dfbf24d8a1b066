"""What a candidate or a model wrote does nothing on the board either."""

from __future__ import annotations

import json

import lab
from test_browser_safety import PAYLOADS, harmless

SEED = """
import json
from ib_kernel import SessionsWidget, TokenService, Settings
from ib_kernel.values import CallEnd, Message
from pathlib import Path
service = TokenService(Settings(data_dir=Path("board-ledger").absolute()))
name = "<img src=x onerror=window.ibHacked=1>"
service.create_session(name, 1000, session_id="<svg/onload=window.ibHacked=1>", role=name, level=name)
service.create_session("Ada", 1000, session_id="next")
said = [Message(i, "user", text) for i, text in enumerate(json.loads(open("board-attacks.json").read()))]
service.store.charge("<svg/onload=window.ibHacked=1>", CallEnd(1, 1), messages=said)
board = SessionsWidget(service=service, messages_shown=1000)
board
"""


def test_a_corpus_of_attacks_does_nothing_on_the_board(jupyter: lab.Lab) -> None:
    """Names, roles, ids and messages: nothing runs, nothing is fetched, no element that could do anything."""
    (jupyter.work / "board-attacks.json").write_text(json.dumps(PAYLOADS))
    cells = [
        SEED,
        "board.selected = '<svg/onload=window.ibHacked=1>'; board.messages_shown = 1000",
        "board.close()",
    ]
    with jupyter.notebook("board_attacks.ipynb", cells) as sheet:
        sheet.run(0)
        sheet.wait_for_text(0, "2 of 2 sessions")
        sheet.run(1)
        sheet.wait_for_text(0, "Conversation")
        sheet.page.wait_for_function(
            "n => document.querySelectorAll('.ib-talk .ib-message').length === n", arg=len(PAYLOADS)
        )
        harmless(jupyter, sheet)
        bad = "script,img,iframe,object,embed,math,link,meta,base,form,video,style,svg"
        assert sheet.page.locator(f".ib-talk :is({bad})").count() == 0
        attributes = sheet.page.evaluate(
            "() => [...new Set([...document.querySelectorAll('.ib-talk *')]"
            ".flatMap(n => [...n.attributes].map(a => a.name)))].sort()"
        )
        assert set(attributes) <= {"class", "href", "rel", "target", "style", "start", "tabindex"}
        assert sheet.page.locator(".ib-talk [tabindex]:not([tabindex='0'])").count() == 0
        links = sheet.page.evaluate(
            "() => [...document.querySelectorAll('.ib-talk a[href]')].map(a => a.getAttribute('href'))"
        )
        assert all(link.lower().startswith(("http://", "https://", "mailto:")) for link in links)
        sheet.shot("board-attacks")
        sheet.run(2)
