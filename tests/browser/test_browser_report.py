"""A report in a real Chromium: offline, without scripts, read by everybody, and on few sheets of A4."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest

sys.path.insert(0, str(lab.ROOT / "tests" / "assessment"))

from interviews import RUBRIC, hold

from ib_kernel import Interview, Settings
from ib_kernel.assessment.judge.find import find_judge
from ib_kernel.assessment.judging import Judging
from ib_kernel.assessment.report.build import build
from ib_kernel.assessment.report.candidate import build_for_candidate
from ib_kernel.assessment.report.write import write_report
from ib_kernel.assessment.rubric import Rubric
from ib_kernel.assessment.scores import Scorecards
from ib_kernel.interview.challenges import Criterion
from ib_kernel.values import Check

MOST_SHEETS = 12
WIDE, NARROW = {"width": 1000, "height": 900}, {"width": 420, "height": 800}


def made(folder: Path, *, turns: int, criteria: Rubric) -> list[Path]:
    """Hold an interview, rate and judge it, and write both editions."""
    with Interview(Settings(data_dir=folder / "data", client="demo")) as interview:
        talk = [
            (
                f"In part {n} I ask what the limit protects.\n\n"
                f"```python\ndef allow(n):\n    return n < {n}\n```\n"
                + f"- one step, **atomic**, for case {n}\n"
                * min(n, 12),
                "And what does it cost?",
            )
            for n in range(1, turns + 1)
        ]
        cells = [f"def allow(n):\n    return n < {n}" for n in range(turns)]
        held = hold(interview, talk, cells=cells, time_limit_s=2_700)
        store: Any = interview.service.store
        tests = [{"name": f"test number {n} of what is asked", "ok": n % 3 > 0} for n in range(turns)]
        at = held.created_at
        store.add_check(Check(held.session_id, "visible", 2, turns, tests, started_at=at, ended_at=at))
        cards, key = Scorecards(interview), held.session_id
        cards.give_rubric(key, criteria.criteria)
        for one in criteria.criteria:
            for rater, level in (("Ada", 2), ("Bob", 3)):
                why = f"{rater} thinks so because of what was said in the turns. " * (turns // 2)
                cards.score(key, one.name, level, why, turns=[1, 2], rater=rater)
        for n in range(turns):
            cards.note(key, f"Note {n}: calm, and asks back. " * 8, "Ada")
        judge = find_judge(interview.plugins, interview.settings, client="demo")
        Judging(interview, held, cards.rubric(held), judge).run()
        reports = {
            "team": build(interview, held, rater="Ada"),
            "candidate": build_for_candidate(interview, held),
        }
        return [write_report(str(folder / f"{name}.html"), report) for name, report in reports.items()]


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both editions of a usual interview."""
    return made(tmp_path_factory.mktemp("report"), turns=6, criteria=RUBRIC)


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """A tab without a network in which no script runs."""
    context = chromium.new_context(offline=True, java_script_enabled=False, viewport=WIDE)
    yield context.new_page()
    context.close()


def sheets(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_it_opens_offline_without_scripts_and_prints_on_few_sheets(tab: Any, usual: list[Path]) -> None:
    """Nothing is asked for or complained about; pictures are kept, light, dark and narrow."""
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: said.append(request.url))
    lab.ARTIFACTS.mkdir(parents=True, exist_ok=True)
    for path in usual:
        said.clear()
        tab.goto(path.as_uri())
        assert said == [path.as_uri()]
        for look, size in (("light", WIDE), ("dark", WIDE), ("light", NARROW)):
            tab.emulate_media(color_scheme=look)
            tab.set_viewport_size(size)
            name = f"report-{path.stem}-{look}-{size['width']}.png"
            tab.screenshot(path=lab.ARTIFACTS / name, full_page=True)
        tab.set_viewport_size(WIDE)
        tab.emulate_media(color_scheme="light")
        assert sheets(tab.pdf(prefer_css_page_size=True)) <= MOST_SHEETS
        assert said == [path.as_uri()]


def test_a_long_interview_prints_on_few_sheets_too(tab: Any, tmp_path: Path) -> None:
    """Thirty turns, a dozen criteria, two raters, a judge and many notes."""
    many = Rubric(
        tuple(Criterion(f"c{n}", f"Criterion {n} of many", ("a", "b", "c", "d")) for n in range(12))
    )
    for path in made(tmp_path, turns=30, criteria=many):
        tab.goto(path.as_uri())
        assert sheets(tab.pdf(prefer_css_page_size=True)) <= MOST_SHEETS


def test_everybody_can_read_it(chromium: Any, axe: str, usual: list[Path]) -> None:
    """Nothing for axe-core, enough contrast, nothing wider than a phone. Here scripts run: axe is one."""
    context = chromium.new_context(offline=True, bypass_csp=True, viewport=WIDE)
    tab = context.new_page()
    try:
        for path in usual:
            tab.goto(path.as_uri())
            for look, size in (("light", WIDE), ("dark", WIDE), ("light", NARROW)):
                tab.emulate_media(color_scheme=look)
                tab.set_viewport_size(size)
                tab.evaluate(axe)
                assert lab.problems(tab, "body") == []
                assert not tab.evaluate("() => document.documentElement.scrollWidth > innerWidth + 1")
    finally:
        context.close()
