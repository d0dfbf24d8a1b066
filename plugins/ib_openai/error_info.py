"""What an error answer says of itself, read from whatever shape its body has, without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ib_kernel.secrets import Secret, scrub
from ib_openai.limits import read_duration

SHOWN_CHARS = 300
"""How much of a service's own message is repeated in ours."""


class Info:
    """What an error body says, without secrets and in one line, whatever the body's shape.

    `status` is its numeric code where it is an HTTP status, `page` says that it is a web page, `wait_s` how
    long it asks to wait.
    """

    __slots__ = ("code", "codes", "message", "page", "status", "wait_s")

    def __init__(
        self, key: Secret | None, message: Any, codes: Sequence[Any] = (), *, page: bool = False
    ) -> None:
        line = " ".join(hide(_plain(message)[: 4 * SHOWN_CHARS + 4000], key).split())
        self.message = line if len(line) <= SHOWN_CHARS else line[: SHOWN_CHARS - 1] + "…"
        named = [_text(code)[:SHOWN_CHARS] for code in codes if code is not None and code != ""]
        self.code = hide(named[0], key) if named else ""
        self.codes = {name.lower() for name in named}
        numbers = (int(name) for name in named if name.isascii() and name.isdigit() and len(name) == 3)
        self.status = next((number for number in numbers if 400 <= number <= 599), None)
        self.page = page
        self.wait_s: float | None = None


def read_info(body: Any, key: Secret | None) -> Info:
    """Return what an error *body* says, in OpenAI's shape, Google's, FastAPI's, as bare text or as a page."""
    if isinstance(body, list):  # Google wraps its errors in a list
        body = next((one for one in body if isinstance(one, Mapping)), "")
    if not isinstance(body, Mapping):
        text = _text(body)[:100_000]
        start = text[:2000].lower()
        page = "<html" in start or "<!doctype" in start
        return Info(key, "" if page else text, page=page)
    error = body.get("error") or _vendors_error(body) or body
    if not isinstance(error, Mapping):
        info = Info(key, error, (body.get("code"), body.get("type"), body.get("status")))
    else:
        inner = error.get("innererror")
        details = error.get("details")
        details = [one for one in details if isinstance(one, Mapping)] if isinstance(details, list) else []
        codes = [error.get("code"), error.get("type"), error.get("status")]
        codes += [inner.get("code") if isinstance(inner, Mapping) else None]
        codes += [one.get("reason") for one in details]
        message = error.get("message") or error.get("detail") or error.get("msg") or error.get("error")
        info = Info(key, message, codes)
        info.wait_s = next((w for one in details if (w := read_duration(_asked_wait(one))) is not None), None)
    if info.wait_s is None and (found := _WAIT.search(info.message)):
        info.wait_s = read_duration(found[1])
    return info


def _vendors_error(body: Mapping[str, Any]) -> Any:
    """Return the error of bodies that name it in their own way: Cloudflare's list, MiniMax's status."""
    listed, base = body.get("errors"), body.get("base_resp")
    if isinstance(listed, list) and listed:
        return listed[0]
    if isinstance(base, Mapping) and base.get("status_code"):
        return {"code": base["status_code"], "message": base.get("status_msg")}
    return None


_WAIT = re.compile(
    r"(?:retry|try again) in (\d{1,6}(?:\.\d{1,9})?(?:ms|s|m|h)(?:\d{1,2}(?:\.\d{1,9})?s)?)", re.I
)


def _asked_wait(detail: Mapping[str, Any]) -> str | None:
    delay = detail.get("retryDelay")
    return delay if isinstance(delay, str) else None


def _plain(message: Any) -> str:
    """Return a message as words: FastAPI's lists of faults name the place and what is wrong there."""
    if isinstance(message, Mapping):
        if "msg" in message:
            place = message.get("loc")
            where = ".".join(map(str, place[:8])) if isinstance(place, (list, tuple)) else ""
            return f"{where}: {_text(message['msg'])}" if where else _text(message["msg"])
        inner = message.get("detail") or message.get("message") or message.get("error")
        return _plain(inner) if inner else json.dumps(message)[:SHOWN_CHARS]
    if isinstance(message, (list, tuple)):
        return "; ".join(_plain(one) for one in message[:5])
    return _text(message)


def hide(text: str, key: Secret | None) -> str:
    """Return *text* without secrets, *key* among them however it is written (plain, JSON, URL)."""
    plain = key.reveal() if key is not None else ""
    if len(plain) < 4:  # a placeholder such as "x" would blank out whole words
        return scrub(text)
    return scrub(text, plain, json.dumps(plain)[1:-1], quote(plain, safe=""))


def _text(value: Any) -> str:
    return "" if value is None else str(value)
