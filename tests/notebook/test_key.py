"""`%interview key`, keys in cells, `--api` and the rate limits of the doctor, in a real shell."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from notebook_shell import Notebook

from ib_kernel.testing import FaultServer

KEY = "sk-proj-Abc123Def456Ghi789Jkl012"


@pytest.fixture
def nb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("IB_STREAM", "final")
    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    shell.extension_manager.load_extension("ib_kernel")
    yield Notebook(shell)
    shell.extension_manager.unload_extension("ib_kernel")
    InteractiveShell.clear_instance()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(api_key=KEY) as running:
        yield running


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answer getpass with the texts of a list, first come first served."""
    answers: list[str] = []
    monkeypatch.setattr("getpass.getpass", lambda prompt="": answers.pop(0))
    return answers


class Ring(ModuleType):
    """A keyring in memory, in place of the operating system's."""

    def __init__(self) -> None:
        super().__init__("keyring")
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, user: str) -> str | None:
        return self.kept.get((service, user))

    def set_password(self, service: str, user: str, password: str) -> None:
        self.kept[service, user] = password

    def delete_password(self, service: str, user: str) -> None:
        del self.kept[service, user]


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    ring = Ring()
    monkeypatch.setitem(sys.modules, "keyring", ring)
    return ring


@pytest.fixture
def no_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)  # type: ignore[arg-type]


def shown(nb: Notebook, cell: str) -> str:
    ran = nb.run(cell)
    said = f"{ran.text}{ran.html}{ran.error}{ran.error!r}"
    assert KEY not in said
    return said


@pytest.mark.usefixtures("no_ring")
def test_a_key_is_asked_for_and_reaches_the_service_but_no_output(
    nb: Notebook, server: FaultServer, typed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key works for the next session; neither the output nor the doctor nor the history shows it."""
    monkeypatch.setenv("IB_BASE_URL", server.base_url)
    typed.append(KEY)
    assert "for this kernel only: nothing was written" in shown(nb, "%interview key")
    shown(nb, "%interview start --client openai")
    assert nb.run("%%interview\nHello").ok
    assert server.requests[0].sent_key(KEY)
    doctor = shown(nb, "%interview doctor")
    assert "%interview key" in doctor
    history = nb.shell.history_manager
    assert history is not None
    assert KEY not in "".join(history.input_hist_raw)
    assert "Key forgotten" in shown(nb, "%interview key --forget")


def test_the_keyring_keeps_a_key_only_when_asked_to(nb: Notebook, ring: Ring, typed: list[str]) -> None:
    """Without --keep nothing is written; with it the next kernel is not asked; --forget removes it."""
    typed.extend([KEY, KEY])
    shown(nb, "%interview key")
    assert ring.kept == {}
    assert "kept in the system's keyring" in shown(nb, "%interview key --keep")
    assert list(ring.kept.values()) == [KEY]
    assert "from the system's keyring" in shown(nb, "%interview key")
    shown(nb, "%interview key --forget")
    assert ring.kept == {}


@pytest.mark.usefixtures("no_ring")
@pytest.mark.parametrize("answer", ["", "tiny", "two words in it"])
def test_what_is_no_key_is_refused_without_being_shown(nb: Notebook, typed: list[str], answer: str) -> None:
    """A slip of the clipboard becomes one line."""
    typed.append(answer)
    ran = nb.run("%interview key")
    assert "that is no API key" in str(ran.error)
    assert not answer or answer not in str(ran.error)


@pytest.mark.usefixtures("no_ring")
def test_keep_without_the_package_says_what_to_install(nb: Notebook) -> None:
    """Nobody is asked for a key that could not be kept."""
    assert "pip install keyring" in shown(nb, "%interview key --keep")


@pytest.mark.parametrize(
    "cell",
    [
        f"%%interview\nmy key is {KEY}, why does it not work?",
        f"%interview start --candidate {KEY}",
        f"%interview key {KEY}",
        "%interview key gsk_0123456789",
    ],
)
def test_a_key_in_a_cell_is_refused_and_nothing_is_sent(nb: Notebook, cell: str) -> None:
    """The line says what to do instead, and does not repeat the key."""
    nb.run("%interview start")
    said = shown(nb, cell)
    assert "%interview key" in said
    assert "replace" in said
    assert "gsk_" not in said


def test_the_key_in_use_is_recognised_whatever_it_looks_like(
    nb: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider's key of any shape is not sent to the model."""
    monkeypatch.setenv("OPENAI_API_KEY", "0123456789abcdef-azure")
    nb.run("%interview start --client demo")
    ran = nb.run("%%interview\nconfig: 0123456789abcdef-azure")
    assert "nothing was sent" in str(ran.error)


def test_talk_about_keys_is_no_key(nb: Notebook) -> None:
    """Words that begin with sk- but hold no digit, and short ones, are sent."""
    nb.run("%interview start")
    assert nb.run("%%interview\nI like sk-learn-style-pipelines-a-lot and a key such as sk-123.").ok


# --- the api of a session


def test_a_session_keeps_the_api_it_was_started_with(
    nb: Notebook, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--api responses` goes to /responses, is counted by its own rules, and holds for the whole session."""
    monkeypatch.setenv("IB_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for api in ("responses", "chat"):
        assert nb.run(f"%interview start --api {api} --model gpt-4.1-mini").ok
        assert nb.run("%%interview\nHello").ok
    paths = [request.path for request in server.requests]
    assert paths == ["/v1/responses", "/v1/chat/completions"]
    from ib_kernel import current_interview

    counter = current_interview().service.counter
    sent: list[dict[str, Any]] = [request.body for request in server.requests]
    counted = [counter.count_request(body, "gpt-4.1-mini").tokens for body in sent]
    rows = nb.run("%%usage\nSELECT counted_tokens FROM calls ORDER BY started_at").result
    assert [row[0] for row in rows] == counted
    said = shown(nb, "%interview start --api rest")
    assert "chat" in said
    assert "responses" in said


# --- rate limits


def test_the_doctor_shows_what_the_service_said_about_its_limits(
    nb: Notebook, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line per model and limit; none before anything was told."""
    monkeypatch.setenv("IB_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.headers |= {
        "x-ratelimit-limit-requests": "5000",
        "x-ratelimit-remaining-requests": "4999",
        "x-ratelimit-reset-requests": "12ms",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": "1999",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert "Rate limits" not in shown(nb, "%interview doctor")
    nb.run("%interview start --client openai --model gpt-4.1-mini")
    nb.run("%%interview\nHello")
    doctor = shown(nb, "%interview doctor")
    assert "Rate limits" in doctor
    assert "4,999 of 5,000 left" in doctor
    assert "1,999 of 2,000,000 left" in doctor
