"""Mistakes in the environment are found before anything is sent: one line that names them, no charge."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_kernel import Interview, Settings
from ib_kernel.errors import NotConnected, TimedOut
from ib_kernel.plugin.environment import proxy_for, shown_proxy
from ib_kernel.testing import FaultServer

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ALL_PROXY", "socks5://ada:secret@127.0.0.1:9", r"ALL_PROXY is socks5://127\.0\.0\.1:9 .*socksio"),
        ("HTTPS_PROXY", "gopher://127.0.0.1:9", r"HTTPS_PROXY is gopher://127\.0\.0\.1:9, which is no proxy"),
        ("HTTPS_PROXY", "http://[::1", "HTTPS_PROXY is .* no proxy"),
        ("SSL_CERT_FILE", "/no/such.pem", r"SSL_CERT_FILE is /no/such\.pem and there is no such file"),
        ("SSL_CERT_FILE", "EMPTY", "SSL_CERT_FILE is .*empty.pem, which is empty"),
        ("SSL_CERT_FILE", "JUNK", "SSL_CERT_FILE is .*junk.pem, which has no certificate"),
    ],
)
def test_a_mistake_in_the_environment_costs_nothing(
    name: str, value: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, held, in doubt or tried again, and the line names the variable and its value."""
    if value in ("EMPTY", "JUNK"):
        file = tmp_path / f"{value.lower()}.pem"
        file.write_text("" if value == "EMPTY" else "not a certificate")
        value = str(file)
    if "socks" in value:
        monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    monkeypatch.setenv(name, value)
    with FaultServer() as server:
        settings = Settings(data_dir=tmp_path / "data", base_url=server.base_url, api_key="sk-0123456789")
        with Interview(settings) as buddy:
            session = buddy.start(model="gpt-4.1-mini").session_id
            with pytest.raises(NotConnected, match=said) as caught:
                buddy.say_sync("Hello")
            totals = buddy.service.totals(session)
        assert server.requests == []
    assert (totals.held, totals.in_doubt, totals.used) == (0, 0, 0)
    assert (caught.value.outcome, caught.value.retryable) == ("not_sent", False)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_slow_import_is_not_charged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not ready in time was not sent; what is ready late has its whole time for the reply."""
    from ib_openai.client import OpenAIClient

    waits = [0.6, 0.2]

    async def slowly(client: OpenAIClient) -> None:
        import asyncio

        await asyncio.sleep(waits.pop(0))
        await client._connected()

    monkeypatch.setattr(OpenAIClient, "prepare", slowly)
    with FaultServer() as server:
        settings = Settings(
            data_dir=tmp_path,
            base_url=server.base_url,
            api_key="sk-0123456789",
            deadline_s=0.3,
            first_piece_s=30.0,
        )
        with Interview(settings) as buddy:
            session = buddy.start(model="gpt-4.1-mini").session_id
            with pytest.raises(TimedOut, match="not sent") as caught:
                buddy.say_sync("Hello")
            assert buddy.service.totals(session).in_doubt == 0
            assert server.requests == []
    assert caught.value.outcome == "not_sent"


def test_a_proxy_is_shown_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of an address is named, its user and password are not; what goes past it has none."""
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:secret@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "here.example")
    assert proxy_for("https://api.openai.com/v1") == "http://proxy.example:3128"
    assert proxy_for("https://here.example/v1") == ""
    assert proxy_for("http://api.openai.com/v1") == ""
    assert shown_proxy("ada:secret@proxy.example") == "http://proxy.example"
