"""The OpenAPI document: every address under /v1 is in it, and a running host keeps to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hosting import Served, served
from hypothesis import HealthCheck, given
from hypothesis import settings as examples

from ib_kernel.host import people
from ib_kernel.host.app import build_app
from ib_kernel.host.openapi import described
from ib_kernel.host.tokens import hashed, new_token
from ib_kernel.settings import Settings
from ib_kernel.values import Session
from ib_kernel.values.host import Grant

LEFT_OUT = {"/v1/events", "/v1/desk/events", "/v1/logout"}
"""Answers without an end, and what would end the asking."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Served]:
    """Yield a running host where the demo answers."""
    with served(Settings(data_dir=tmp_path / "data")) as host:
        yield host


def candidate_token(running: Served, session: Session) -> str:
    """Return a token of the session's candidate."""
    token, now = new_token("candidate"), time.time()
    running.host.store.add_grant(
        Grant(hashed(token), "candidate", session.session_id, now, now + 3600, None, "test")
    )
    return token


def document(running: Served) -> dict[str, Any]:
    """Return the document as anybody gets it."""
    found: dict[str, Any] = httpx2.get(f"{running.address}/v1/openapi.json").json()
    return found


def test_every_address_under_v1_is_in_the_document(running: Served) -> None:
    """With each of its methods; a handler without a description fails here."""
    routes = {
        (path.replace(":path", ""), method.lower())
        for path, methods, _ in described(build_app(running.host).routes)
        for method in methods
        if "/v1" in path
    }
    known = {(path, method) for path, methods in document(running)["paths"].items() for method in methods}
    assert routes - known == set()


def test_a_description_says_whose_token_is_needed(running: Served) -> None:
    """Only joining, a link, health, version and the document itself need none."""
    paths = document(running)["paths"]
    free = {path for path, methods in paths.items() for one in methods.values() if not one["security"]}
    assert free == {"/v1/join", "/v1/link", "/v1/health", "/v1/version", "/v1/openapi.json"}


def test_whatever_is_asked_the_host_does_not_fail(running: Served) -> None:
    """Requests made from the document, good ones and odd ones, with the right token: never a 5xx.

    What is refused is refused in the one shape of errors.
    """
    schemathesis = pytest.importorskip("schemathesis", reason="install it with: pip install -e '.[dev]'")
    session = running.session(client="demo", model="demo", token_budget=1_000_000)
    person = people.add_person(running.host, "Ada", "coordinator")
    tokens = {
        "interviewer": people.grant_token(running.host, "interviewer", person.name, 3600),
        "candidate": candidate_token(running, session),
        "gateway": running.token(session),
    }
    asked = set()

    def ask(case: Any) -> None:
        wanted = case.operation.definition.raw["security"]
        own = {"Authorization": f"Bearer {tokens[next(iter(wanted[0]))]}"} if wanted else {}
        if "session_id" in (case.path_parameters or {}):
            case.path_parameters["session_id"] = session.session_id
        answer = case.call(headers=own)
        asked.add(case.operation.path)
        assert answer.status_code < 500, (case.operation.label, case.body, answer.text)
        if answer.status_code >= 400:
            assert answer.json()["error"]["message"], case.operation.label

    few = examples(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    schema = schemathesis.openapi.from_url(f"{running.address}/v1/openapi.json")
    for operation in (result.ok() for result in schema.get_all_operations()):
        if operation.path not in LEFT_OUT:
            few(given(case=operation.as_strategy())(ask))()
    assert len(asked) > 20
