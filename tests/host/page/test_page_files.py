"""The page's files: served as they are, with a policy that allows nothing else, and without the network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources

import pytest
from starlette.testclient import TestClient

from ib_kernel.budget.service import TokenService
from ib_kernel.host.app import build_app
from ib_kernel.host.host import Host
from ib_kernel.host.page import VIEWS
from ib_kernel.settings import Settings

STATIC = resources.files("ib_kernel.host.page").joinpath("static")
FILES = sorted(entry.name for entry in STATIC.iterdir())


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """Yield a client of an app in this process."""
    host = Host(settings, TokenService(settings))
    with TestClient(build_app(host), base_url="http://127.0.0.1:8899") as running:
        yield running
    host.close()


def test_every_view_is_the_same_document_and_knows_nobody(client: TestClient) -> None:
    """Whoever is not signed in gets the page and no data."""
    pages = {client.get(view.replace("{session_id}", "abc")).text for view in VIEWS}
    assert len(pages) == 1


def test_the_policy_allows_own_scripts_and_styles_only(client: TestClient) -> None:
    """Nothing inline, nothing from elsewhere, and no frame around it."""
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_its_type_and_is_sent_again_only_when_changed(client: TestClient, name: str) -> None:
    """A browser asks each time, so that a new version is there at once."""
    if name.endswith(".html"):
        assert client.get(f"/static/{name}").status_code == 404
        return
    answer = client.get(f"/static/{name}")
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    assert answer.headers["content-type"].startswith(kinds[name.rpartition(".")[2]])
    assert client.get(f"/static/{name}", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("name", ["../__init__.py", "..%2f__init__.py", "%2e%2e/app.js", "nothing.js", ""])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    """Only the names that are in the folder."""
    assert client.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_inline_and_nothing_is_fetched_from_elsewhere(name: str) -> None:
    """The policy would refuse it, and the page works offline."""
    text = STATIC.joinpath(name).read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[\w.]+", text)) - {"http://www.w3.org"}
    assert not addresses, name
    assert "innerHTML" not in text
    if name.endswith(".html"):
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_modules_import_files_that_are_there() -> None:
    """A misspelt name would be a blank page."""
    for name in FILES:
        if name.endswith(".js"):
            text = STATIC.joinpath(name).read_text(encoding="utf-8")
            assert set(re.findall(r'from "\./([\w.]+)"', text)) <= set(FILES), name
