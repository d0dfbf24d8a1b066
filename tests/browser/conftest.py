"""One JupyterLab and one Chromium for all browser tests; run by `make test-browser` only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest

HERE = Path(__file__).resolve().parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests out unless this folder, or a file in it, was named."""
    named = (Path(str(arg).split("::")[0]).resolve() for arg in config.args)
    return None if any(path.is_relative_to(HERE) for path in named) else True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once why everything was skipped."""
    if terminalreporter.stats.get("skipped") and not Path(lab.CHROMIUM).exists():
        terminalreporter.write_line(lab.INSTALL)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the server."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
def url(place: Path) -> Iterator[str]:
    """The address of a running JupyterLab."""
    with lab.server(place) as address:
        yield address


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running Chromium; without one every test is skipped. A process can have one Playwright only."""
    pytest.importorskip("playwright", reason="no Playwright here; install it with: pip install -e '.[dev]'")
    if not Path(lab.CHROMIUM).exists():
        pytest.skip(lab.INSTALL)
    with lab.browser() as started:
        yield started


@pytest.fixture(scope="session")
def jupyter(chromium: Any, url: str, place: Path) -> lab.Lab:
    """The page that all tests share."""
    return lab.Lab(chromium, url, place)


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's source, as its package ships it."""
    package = pytest.importorskip("axe_playwright_python", reason="install it with: pip install -e '.[dev]'")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
