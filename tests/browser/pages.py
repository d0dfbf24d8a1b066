"""The interviewers' page in a real Chromium, over a real host of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lab

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 420, "height": 800}


class Page:
    """One tab of somebody who is signed in; what the browser complains about is kept in `complaints`."""

    def __init__(self, tab: Any, address: str) -> None:
        self.tab, self.address = tab, address
        self.complaints: list[str] = []
        self.requests: list[str] = []
        tab.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))

    def open(self, path: str, words: str) -> None:
        """Go to *path* and wait until *words* can be read."""
        self.tab.goto(self.address + path)
        self.wait_for(words)

    def wait_for(self, words: str, seconds: float = 30) -> None:
        """Wait until *words* can be read on the page."""
        self.tab.wait_for_function(
            "words => document.body.innerText.replace(/[\\u00a0\\u202f]/g, ' ').includes(words)",
            arg=words,
            timeout=1000 * seconds,
        )

    def press(self, name: str, within: str = "") -> None:
        """Click the one button or link that is called *name* and can be seen."""
        scope = self.tab.locator(within) if within else self.tab
        scope.get_by_role("button", name=name, exact=True).or_(
            scope.get_by_role("link", name=name, exact=True)
        ).first.click()

    def text(self) -> str:
        """Return what can be read, with plain spaces."""
        words: str = self.tab.inner_text("body")
        return words.replace("\u00a0", " ").replace("\u202f", " ")

    def shots(self, name: str) -> list[Path]:
        """Keep pictures of the page: light, dark and narrow."""
        lab.ARTIFACTS.mkdir(parents=True, exist_ok=True)
        kept = []
        for look, size in (("light", WIDE), ("dark", WIDE), ("narrow", NARROW)):
            self.tab.emulate_media(color_scheme="dark" if look == "dark" else "light")
            self.tab.set_viewport_size(size)
            self.tab.wait_for_timeout(250)
            kept.append(lab.ARTIFACTS / f"page-{name}-{look}.png")
            self.tab.screenshot(path=kept[-1], full_page=True)
        self.tab.set_viewport_size(WIDE)
        self.tab.emulate_media(color_scheme="light")
        return kept

    def problems(self, axe: str) -> list[Any]:
        """Return what axe-core and the contrast of texts say, light, dark and narrow."""
        found = []
        for look, size in (("light", WIDE), ("dark", WIDE), ("light", NARROW)):
            self.tab.emulate_media(color_scheme=look)
            self.tab.set_viewport_size(size)
            self.tab.wait_for_timeout(100)
            self.tab.evaluate(axe)
            found += lab.problems(self.tab, "body", other_theme=look == "dark")
            if self.tab.evaluate("() => document.documentElement.scrollWidth > innerWidth + 1"):
                found.append([f"wider than the window of {size['width']}"])
        self.tab.set_viewport_size(WIDE)
        self.tab.emulate_media(color_scheme="light")
        return found


@contextmanager
def signed_in(chromium: Any, address: str, link: str) -> Iterator[Page]:
    """Yield a tab that has opened *link*."""
    context = chromium.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    page = Page(context.new_page(), address)
    page.tab.goto(link)
    page.wait_for("Sessions")
    try:
        yield page
    finally:
        context.close()
