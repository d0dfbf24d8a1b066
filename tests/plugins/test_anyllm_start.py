"""What is wrong with any-llm's package or surroundings is said in one line, before anything is sent."""

from __future__ import annotations

import resource
import sys
import zlib
from pathlib import Path

import pytest
from raw_service import Answer, RawService

import ib_anyllm
from ib_kernel import Interview, Settings
from ib_kernel.errors import ClientError, ConfigError, NotConnected
from ib_kernel.plugin.manager import Plugins
from ib_kernel.testing import FaultServer

GOOD = (
    'data: {"id": "1", "object": "chat.completion.chunk", "created": 1790000000, "model": "m", "choices": '
    '[{"index": 0, "delta": {"role": "assistant", "content": "Go on."}, "finish_reason": "stop"}]}\n\n'
    "data: [DONE]\n\n"
)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


def test_a_missing_package_is_found_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--client anyllm` without any-llm starts no session, and the line says what to install."""
    monkeypatch.setitem(sys.modules, "any_llm", None)
    with Interview(Settings(data_dir=tmp_path)) as buddy:
        with pytest.raises(ConfigError, match=r"pip install 'interview-buddy-kernel\[many\]'"):
            buddy.start(client="anyllm", model="gpt-4.1-mini")
        assert buddy.service.store.sessions() == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HTTPS_PROXY", "gopher://127.0.0.1:9", r"HTTPS_PROXY is gopher://127\.0\.0\.1:9, which is no proxy"),
        ("SSL_CERT_FILE", "/no/such.pem", r"SSL_CERT_FILE is /no/such\.pem and there is no such file"),
        ("ALL_PROXY", "socks5://ada:secret@127.0.0.1:9", r"ALL_PROXY is socks5://127\.0\.0\.1:9 .*socksio"),
    ],
)
def test_a_mistake_in_the_environment_names_its_variable(
    name: str, value: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, held or in doubt, whichever SDK of a provider stumbles over it."""
    pytest.importorskip("any_llm", reason="any-llm is missing: pip install 'interview-buddy-kernel[many]'")
    for variable in (*PROXIES, "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(name, value)
    with FaultServer() as server:
        settings = Settings(
            data_dir=tmp_path, client="anyllm", base_url=server.base_url, api_key="sk-0123456789"
        )
        with Interview(settings, plugins=Plugins([ib_anyllm])) as buddy:
            session = buddy.start(model="gpt-4.1-mini").session_id
            with pytest.raises(NotConnected, match=said) as caught:
                buddy.say_sync("Hello")
            totals = buddy.service.totals(session)
        assert server.requests == []
    assert (totals.held, totals.in_doubt, totals.used) == (0, 0, 0)
    assert caught.value.outcome == "not_sent"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_unpacks_to_gigabytes_is_not_read(status: int, tmp_path: Path) -> None:
    """A small body that grows without end fails the turn; memory grows by less than 128 MB."""
    pytest.importorskip("any_llm", reason="any-llm is missing: pip install 'interview-buddy-kernel[many]'")
    pack = zlib.compressobj(6, zlib.DEFLATED, 31)
    bomb = b"".join([*(pack.compress(b" " * 1_000_000) for _ in range(250)), pack.flush()])
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    with RawService(Answer(())) as service:
        settings = Settings(
            data_dir=tmp_path, client="anyllm", base_url=service.base_url, api_key="sk-0123456789", attempts=1
        )
        with Interview(settings, plugins=Plugins([ib_anyllm])) as buddy:
            buddy.start(model="gpt-4.1-mini")
            service.answer = Answer((GOOD,))
            assert buddy.say_sync("Hello").text == "Go on."
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            service.answer = Answer((bomb,), status, headers)
            with pytest.raises(ClientError):
                buddy.say_sync("Hello")
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 128 * 1024
