"""Joining an interview at a host: try the line, exchange the code once, keep the token."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from ib_kernel.errors import ConfigError, NoSession, NotConnected
from ib_kernel.plugin.manager import Plugins
from ib_kernel.remote import hub
from ib_kernel.remote import kept as keeping
from ib_kernel.remote.connection import Connection, HostRefused
from ib_kernel.remote.interview import RemoteInterview
from ib_kernel.remote.kept import Kept
from ib_kernel.secrets import Secret, learn
from ib_kernel.settings import Settings
from ib_kernel.text import cut
from ib_kernel.values.joining import JoinLine, parse_join
from ib_kernel.values.version import VERSION, which_side_upgrades

TRIES = 3


@dataclass(frozen=True, slots=True)
class Joined:
    """An interview that was joined, and the notice to show first ("" when it was shown before)."""

    interview: RemoteInterview
    notice: str
    again: bool


def join(text: str, settings: Settings, plugins: Plugins) -> Joined:
    """Join with the line that the interviewer has sent, or go on where this notebook was.

    Args:
        text: ``CODE@https://host…``; "": on a JupyterHub the interview that this user is invited to, else the
            one that was joined last.
        settings: Where the token is kept, and which authorities sign hosts.
        plugins: The notebook's plugins.

    Raises:
        BuddyError: One line: the line is not whole, the host is not reached, or the code is not valid.
    """
    if not text.strip():
        return _join_by_hub(settings, plugins) if hub.is_here() else _rejoin(settings, plugins)
    line = parse_join(text)
    if not line.code:
        raise ConfigError(
            "join needs a code: %interview join CODE@https://host; join --test HOST tries a host"
        )
    learn(line.code)
    known = keeping.find(settings.data_dir, line)
    with contextlib.closing(_connect(line, settings, known)) as connection:
        require_same_version(connection)
        if known is not None and known.token:
            return _go_on(known, connection, settings, plugins)
        asked = known or keeping.begin(settings.data_dir, line)
        answer = _exchange(connection, line, asked)
        kept = keeping.joined(asked, answer, time.time())
        keeping.write(settings.data_dir, kept)
        me = answer.get("me")
        return _joined(connection, kept, me if isinstance(me, dict) else {}, settings, plugins, again=False)


def try_host(text: str, settings: Settings) -> list[str]:
    """Return what can be said about a host without joining: reached, TLS, versions.

    Raises:
        BuddyError: One line about what is in the way.
    """
    line = parse_join(text if "@" in text or "://" in text else f"https://{text}")
    began = time.monotonic()
    with contextlib.closing(_connect(line, settings)) as connection:
        theirs = connection.get("/v1/version").get("version")
    took = 1000 * (time.monotonic() - began)
    tls = {True: "TLS, the certificate that the line names", False: "TLS, a known authority"}
    secure = tls[bool(line.fingerprint)] if line.address.startswith("https") else "this machine, without TLS"
    upgrade = which_side_upgrades(VERSION, cut(str(theirs), 40))
    return [
        f"reached {line.address} in {took:.0f} ms ({secure})",
        upgrade or f"versions fit: host {cut(str(theirs), 40)}, notebook {VERSION}",
        "nothing was used up: the code, if there is one, was not sent",
    ]


def require_same_version(connection: Connection) -> None:
    """Refuse a host of another version than this package's, before a code is used.

    Raises:
        HostRefused: One line that says which side upgrades.
    """
    line = which_side_upgrades(VERSION, cut(str(connection.get("/v1/version").get("version")), 40))
    if line:
        raise HostRefused(line)


def _connect(line: JoinLine, settings: Settings, known: Kept | None = None) -> Connection:
    others = known.others if known is not None else ()
    return Connection(line.address, fingerprint=line.fingerprint, ca_file=settings.ca_file, others=others)


def _exchange(connection: Connection, line: JoinLine, asked: Kept) -> dict[str, Any]:
    """Ask with the same nonce again while answers get lost: the host answers the same."""
    value = {"code": line.code, "nonce": asked.nonce, "version": VERSION}
    for _ in range(TRIES - 1):
        try:
            return connection.post("/v1/join", value)
        except NotConnected:
            time.sleep(0.5)
    return connection.post("/v1/join", value)


def _join_by_hub(settings: Settings, plugins: Plugins) -> Joined:
    """Join the interview that this user of the hub is invited to; the hub's token says who it is."""
    line, token = hub.host_line(), hub.own_token()
    with contextlib.closing(_connect(line, settings)) as connection:
        require_same_version(connection)
        try:
            with contextlib.closing(connection.with_token(Secret(token))) as ours:
                answer = ours.post("/v1/hub/join")
        except HostRefused as error:
            if error.code == "not_invited" and keeping.last(settings.data_dir) is not None:
                return _rejoin(settings, plugins)
            raise
        known = keeping.find(settings.data_dir, line)
        new = Kept(line.address, line.fingerprint, "", "", by_hub=True)
        kept = keeping.joined(new, answer, time.time())
        again = known is not None and known.token == kept.token
        keeping.write(settings.data_dir, kept)
        me = answer.get("me")
        return _joined(connection, kept, me if isinstance(me, dict) else {}, settings, plugins, again=again)


def _rejoin(settings: Settings, plugins: Plugins) -> Joined:
    known = keeping.last(settings.data_dir)
    if known is None:
        raise NoSession(
            "no interview was joined here yet; type the line that you were sent: %interview join …"
        )
    line = JoinLine("", known.address, known.fingerprint)
    with contextlib.closing(_connect(line, settings, known)) as connection:
        require_same_version(connection)
        return _go_on(known, connection, settings, plugins)


def _go_on(known: Kept, connection: Connection, settings: Settings, plugins: Plugins) -> Joined:
    try:
        with contextlib.closing(connection.with_token(Secret(known.sent(known.token)))) as ours:
            me = ours.get("/v1/me")
    except HostRefused as error:
        if error.status == 401:
            keeping.forget(settings.data_dir, known)
            raise HostRefused(
                "this notebook's place was given away, or is too old; ask the interviewer for a new line",
                401,
            ) from None
        raise
    return _joined(connection, known, me, settings, plugins, again=True)


def _joined(
    connection: Connection,
    kept: Kept,
    me: dict[str, Any],
    settings: Settings,
    plugins: Plugins,
    *,
    again: bool,
) -> Joined:
    interview = RemoteInterview(settings, plugins, connection.with_token(Secret(kept.sent(kept.token))), kept)
    interview.take(me)
    notice = me.get("notice")
    text = ""
    if isinstance(notice, dict) and notice.get("shown") is not True:
        text = cut(str(notice.get("text", "")), 20_000)
        interview.notice_version = cut(str(notice.get("version", "")), 100)
    interview.state.listen(interview.lines_in(me) if again else 0)
    return Joined(interview, text, again)
