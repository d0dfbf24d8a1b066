"""Record the README's pictures in a real JupyterLab: ``python docs/images/record.py`` (needs Chromium).

The browser tests make a picture of every surface; widget.png, widget-dark.png and board.png are among them.
interview.png and lab.png are screenshots, walkthrough.webp is an animated image made from screenshots.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "browser"))

import lab  # noqa: E402

CELLS = [
    "%load_ext ib_kernel\n"
    '%interview start "Backend engineer" --candidate Ada --challenge rate-limiter '
    "--budget 9000 --client demo",
    "%budget --live",
    "%%interview\n"
    "I'd start with a token bucket per customer: two numbers in Redis, the tokens left\n"
    "and when they were last refilled, because twelve instances have to agree on them.",
    "%%interview -n 300\nI'm not sure what should happen when Redis does not answer. Can you give me a hint?",
    "%%usage\nSELECT turn, model, input_tokens, output_tokens, source FROM calls ORDER BY turn",
]
SLOWLY = """async () => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const code = "import os; os.environ['IB_DEMO_DELAY_S'] = '0.05'";
  await kernel.requestExecute({code, silent: true}).done; }"""
TO_END = """() => { const cells = jupyterapp.shell.currentWidget.content.widgets;
  cells[cells.length - 1].node.scrollIntoView({block: 'end'}); }"""
WIDTH, HEIGHT = 1280, 1180


class Film:
    """Frames with the milliseconds that each is shown."""

    def __init__(self, page: object) -> None:
        self.page, self.frames, self.times = page, [], []

    def frame(self, ms: int) -> None:
        """Take a screenshot; one that equals the last lengthens it."""
        image = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")  # type: ignore[attr-defined]
        if self.frames and self.frames[-1].tobytes() == image.tobytes():
            self.times[-1] += ms
        else:
            self.frames.append(image)
            self.times.append(ms)

    def save(self, path: Path) -> None:
        """Write an animated WebP of half the size."""
        small = [f.resize((WIDTH * 3 // 4, HEIGHT * 3 // 4), Image.Resampling.LANCZOS) for f in self.frames]
        small[0].save(
            path, save_all=True, append_images=small[1:], duration=self.times, loop=0, quality=60, method=4
        )


SURFACES = {"controls-light-wide": "widget", "controls-dark-wide": "widget-dark", "board-light-wide": "board"}


def keep(image: Image.Image, name: str) -> None:
    """Write a picture of few colours."""
    image.convert("RGB").quantize(128).save(HERE / f"{name}.png", optimize=True)


def surfaces() -> None:
    """Let the browser test of every surface run, and keep three of its pictures."""
    with tempfile.TemporaryDirectory() as place:
        test = [sys.executable, "-m", "pytest", "-q", "tests/browser/test_browser_looks.py"]
        environment = {**os.environ, "SCREENSHOTS": place}
        subprocess.run(test, cwd=HERE.parents[1], env=environment, check=True)  # noqa: S603
        for found, name in SURFACES.items():
            keep(Image.open(Path(place) / f"{found}.png"), name)


def main() -> None:
    """Run the cells, take the pictures."""
    surfaces()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        with lab.server(place) as url, lab.browser() as chromium:
            jupyter = lab.Lab(chromium, url, place)
            page = jupyter.page
            page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
            with jupyter.notebook("interview.ipynb", CELLS) as sheet:
                page.evaluate(SLOWLY)
                page.evaluate("() => { jupyterapp.commands.execute('interview-buddy:open'); }")
                film = Film(page)
                film.frame(1200)
                for i in range(len(CELLS)):
                    sheet.begin(i)
                    end = time.monotonic() + 25
                    while not page.evaluate("() => window.ibDone") and time.monotonic() < end:
                        film.frame(200)
                        time.sleep(0.12)
                    sheet.wait()
                    page.wait_for_timeout(700)
                    film.frame(1800)
                page.evaluate(TO_END)
                film.frame(3000)
                keep(Image.open(io.BytesIO(page.screenshot())), "interview")
                page.set_viewport_size({"width": WIDTH, "height": 760})
                page.wait_for_timeout(500)
                page.evaluate(TO_END)
                page.wait_for_timeout(500)
                keep(Image.open(io.BytesIO(page.screenshot())), "lab")
                film.save(HERE / "walkthrough.webp")
    for path in sorted(HERE.glob("*.[pw][ne]*")):
        print(path.name, f"{path.stat().st_size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
