"""The candidate's own tools: the openai package in the same kernel spends from the same budget."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hosts import RunningHost
from notebook_shell import Notebook, notebook

from ib_kernel.testing import FaultServer


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host with a key in front of a service."""
    with FaultServer(api_key="sk-host-only-0123456789") as service:
        env = {"OPENAI_API_KEY": "sk-host-only-0123456789", "OPENAI_BASE_URL": service.base_url}
        with RunningHost(tmp_path_factory.mktemp("host"), env=env) as running:
            yield running


@pytest.fixture
def shell() -> Iterator[Notebook]:
    """A notebook with the extension loaded."""
    with notebook() as running:
        yield running


ASK = """
import openai
with openai.OpenAI() as client:
    reply = client.chat.completions.create(model="gpt-5.4-mini", messages=[{"role": "user", "content": "Hi"}])
print(reply.choices[0].message.content, reply.usage.total_tokens)
"""


def test_the_openai_package_spends_from_the_budget(host: RunningHost, shell: Notebook) -> None:
    """%interview tools sets two variables, shows no secret, and takes them back when the candidate leaves."""
    shell.ok(f"%interview join {host.invite('--candidate', 'Ada', '--gateway', '--budget', '30000')}")
    shell.ok("%interview begin")
    shown = shell.ok("%interview tools").text
    assert "/openai/v1" in shown
    assert "ib_g_" not in shown
    assert os.environ["OPENAI_API_KEY"].startswith("ib_g_")
    assert "Error" not in shell.ok(ASK).printed
    gauge = shell.ok("%budget").text
    assert "29,9" in gauge
    assert "used 0 " not in gauge
    assert "ib_g_" in shell.ok("%interview tools --show").printed
    shell.ok("%interview leave")
    assert "OPENAI_API_KEY" not in os.environ
    assert "OPENAI_BASE_URL" not in os.environ


def test_an_invitation_without_the_gateway_lets_no_tool_in(host: RunningHost, shell: Notebook) -> None:
    """One line says who can change that."""
    shell.ok(f"%interview join {host.invite('--candidate', 'Bob')}")
    assert "interviewer" in shell.fails("%interview tools")
