"""A real JupyterLab in a real Chromium, driven by Playwright: start it, open a notebook, run, look."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "ib_kernel" / "notebook" / "lab"
ARTIFACTS = ROOT / "artifacts" / "browser"
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
INSTALL = "no Chromium here; install it with: apt-get install chromium"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
]
READY = """() => {
  const c = window.jupyterapp?.shell?.currentWidget?.sessionContext;
  return c?.session?.kernel?.status === 'idle' && c.session.kernel.connectionStatus === 'connected';
}"""
FAINT = """selector => {
  const dot = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const paint = (layers) => { dot.globalAlpha = 1; dot.fillStyle = '#fff'; dot.fillRect(0, 0, 1, 1);
      for (const [colour, alpha] of layers) { dot.globalAlpha = alpha; dot.fillStyle = colour;
        dot.fillRect(0, 0, 1, 1); }
      return [...dot.getImageData(0, 0, 1, 1).data].slice(0, 3); };
  const light = rgb => { const [r, g, b] = rgb.map(v => { v /= 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
      return 0.2126*r + 0.7152*g + 0.0722*b; };
  const faint = [];
  for (const area of document.querySelectorAll(selector)) {
    const walk = document.createTreeWalker(area, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) { const n = walk.currentNode.parentElement;
      if (!walk.currentNode.data.trim() || !n.offsetHeight || n.closest('[aria-disabled=true]')) continue;
      const under = []; let solid = 1;
      for (let m = n; m; m = m.parentElement) { const s = getComputedStyle(m);
        under.unshift([s.backgroundColor, 1]); solid *= Number(s.opacity); }
      const [a, b] = [light(paint([...under, [getComputedStyle(n).color, solid]])), light(paint(under))]
        .sort((x, y) => y - x);
      if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(walk.currentNode.data.slice(0, 60)); } }
  return faint; }"""
"""Text whose contrast to what is painted under it is below 4.5 (axe-core leaves code blocks undecided)."""
CELL = "jupyterapp.shell.currentWidget.content.widgets[i]"


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run JupyterLab over *folder*/work with settings of its own and yield its address."""
    work, config = folder / "work", folder / "config"
    user = config / "user" / "@jupyterlab" / "notebook-extension"
    for path in (work, config / "labconfig", user):
        path.mkdir(parents=True)
    off = {"@jupyterlab/apputils-extension:announcements": True}
    (config / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": off}))
    # every cell is drawn, whether it is in view or not
    (user / "tracker.jupyterlab-settings").write_text(
        '{"windowingMode": "none", "autoStartDefaultKernel": true}'
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("IB_", "OPENAI_", "JUPYTER"))}
    environment |= {
        "JUPYTER_PATH": str(EXTENSION),  # an installed package has it in share/jupyter
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(folder / "data"),  # also where trust is kept
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "IB_DATA_DIR": str(folder / "ledger"),
        "IB_CONFIG": str(folder / "none.toml"),
        "IB_DEMO_DELAY_S": "0",  # the scripted interviewer answers at once
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"),
        *("--IdentityProvider.token=", "--ServerApp.password=", "--LabApp.expose_app_in_browser=True"),
        *("--LabApp.extension_manager=readonly", f"--LabApp.user_settings_dir={config / 'user'}"),
        f"--ServerApp.root_dir={work}",
    ]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _until(lambda: _answers(port), 60, f"no answer from JupyterLab; see {folder / 'server.log'}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(120)  # it ends its kernels first


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _until(done: Any, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.1)


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Start Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


class Lab:
    """One page with JupyterLab. `requests` are all addresses it asked for, `dialogs` what popped up."""

    def __init__(
        self, chromium: Any, url: str, folder: Path, *, height: int = 1400, extension: bool = True
    ) -> None:
        """Open the page. *extension*: whether it gets ours; without it, JupyterLab cannot load its files."""
        self.url, self.work = url, folder / "work"
        self.page = chromium.new_page(viewport={"width": 1280, "height": height})
        if not extension:
            self.page.route("**/interview-buddy/**", lambda route: route.abort())
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", self._dialog)
        self.page.goto(f"{url}/lab")
        self.page.wait_for_function("() => window.jupyterapp && jupyterapp.restored", timeout=60_000)
        self.page.evaluate("async () => { await jupyterapp.restored; }")
        self.page.evaluate(
            "() => { if (jupyterapp.shell.leftCollapsed === false) jupyterapp.shell.collapseLeft(); }"
        )

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def theme(self, name: str) -> None:
        """Change to "Light" or "Dark"."""
        self.page.evaluate(
            "name => { jupyterapp.commands.execute('apputils:change-theme', {theme: name}); }",
            f"JupyterLab {name}",
        )
        light = str(name == "Light").lower()
        self.page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")
        time.sleep(0.3)

    def write(self, name: str, cells: Sequence[str]) -> str:
        """Write a notebook with *cells* (code) and return its name."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(notebook, self.work / name)
        return name

    @contextlib.contextmanager
    def notebook(self, name: str, cells: Sequence[str] | None = None) -> Iterator[Sheet]:
        """Open the notebook *name* (written from *cells* if given); close it and end its kernel at last."""
        if cells is not None:
            self.write(name, cells)
        self.page.evaluate("path => { jupyterapp.commands.execute('docmanager:open', {path}); }", name)
        self.page.wait_for_function(
            f"path => jupyterapp.shell.currentWidget?.context?.path === path && ({READY})()",
            arg=name,
            timeout=60_000,
        )
        sheet = Sheet(self.page, self.work / name)
        try:
            yield sheet
        finally:
            self.page.evaluate(
                """async () => {
                  const w = jupyterapp.shell.currentWidget;
                  await w.sessionContext.shutdown(); await w.context.save();
                  w.context.model.dirty = false; w.close();
                }"""
            )
            self.page.wait_for_timeout(100)


@dataclass
class Sheet:
    """An open notebook: cells are counted from 0."""

    page: Any
    path: Path

    def begin(self, i: int) -> None:
        """Start cell *i* and do not wait."""
        self.page.evaluate(
            """i => { window.ibDone = false; const n = jupyterapp.shell.currentWidget.content;
                 n.activeCellIndex = i; n.deselectAll();
                 jupyterapp.commands.execute('notebook:run-cell')
                   .finally(() => { window.ibDone = true; }); }""",
            i,
        )

    def wait(self, seconds: float = 60) -> None:
        """Wait until what was begun has ended."""
        self.page.wait_for_function("() => window.ibDone === true", timeout=1000 * seconds)
        self.page.wait_for_timeout(50)

    def run(self, *indices: int, seconds: float = 60) -> list[dict[str, Any]]:
        """Run cells one after another and return the outputs of the last."""
        for i in indices:
            self.begin(i)
            self.wait(seconds)
        return self.outputs(indices[-1])

    def run_each(self, seconds: float = 90) -> None:
        """Run every code cell one by one, also after one that fails."""
        self.page.evaluate(
            """() => { window.ibDone = false; const n = jupyterapp.shell.currentWidget.content;
                 (async () => { for (let i = 0; i < n.widgets.length; i++) {
                     if (n.widgets[i].model.type !== 'code') continue;
                     n.activeCellIndex = i; n.deselectAll();
                     await jupyterapp.commands.execute('notebook:run-cell').catch(() => {}); }
                 })().finally(() => { window.ibDone = true; }); }"""
        )
        self.wait(seconds)

    def run_all(self, seconds: float = 90) -> None:
        """Run every cell from the top with one command; it ends at the first cell that fails."""
        self.page.evaluate(
            """() => { window.ibDone = false;
                 jupyterapp.commands.execute('notebook:run-all-cells')
                   .finally(() => { window.ibDone = true; }); }"""
        )
        self.wait(seconds)

    def interrupt(self) -> None:
        """Press the interrupt button."""
        self.page.evaluate("() => { jupyterapp.commands.execute('notebook:interrupt-kernel'); }")

    def restart(self) -> None:
        """Restart the kernel without a question and wait for the new one."""
        self.page.evaluate(
            "async () => { await jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }"
        )
        self.page.wait_for_timeout(300)
        self.page.wait_for_function(READY, timeout=60_000)

    def outputs(self, i: int) -> list[dict[str, Any]]:
        """Return the outputs of cell *i* as the page has them."""
        found: list[dict[str, Any]] = self.page.evaluate(f"i => {CELL}.model.outputs.toJSON()", i)
        return found

    def text(self, i: int) -> str:
        """Return what can be read under cell *i*; figures have commas between their groups."""
        shown: str = self.page.evaluate(f"i => {CELL}.outputArea.node.innerText", i)
        return shown.replace("\u202f", ",")

    def area(self, i: int) -> Any:
        """Return the element with the outputs of cell *i*."""
        return self.page.evaluate_handle(f"i => {CELL}.outputArea.node", i).as_element()

    def wait_for_text(self, i: int, part: str, seconds: float = 30) -> None:
        """Wait until *part* can be read under cell *i*."""
        self.page.wait_for_function(
            f"([i, part]) => {CELL}.outputArea.node.innerText.replaceAll('\u202f', ',').includes(part)",
            arg=[i, part],
            timeout=1000 * seconds,
        )

    def wait_for_source(self, i: int, part: str, seconds: float = 30) -> None:
        """Wait until cell *i* is there and has *part* in its source."""
        self.page.wait_for_function(
            f"([i, part]) => {CELL}?.model.sharedModel.getSource().includes(part)",
            arg=[i, part],
            timeout=1000 * seconds,
        )

    def error(self, i: int) -> str:
        """Return the one line that cell *i* failed with."""
        output = self.outputs(i)[-1]
        assert output["output_type"] == "error", output
        (line,) = output["traceback"]
        assert "\n" not in line
        return str(line)

    def saved(self) -> Any:
        """Save, and return the file's notebook."""
        self.page.evaluate("async () => { await jupyterapp.shell.currentWidget.context.save(); }")
        return nbformat.read(self.path, as_version=4)

    def shot(self, name: str, i: int | None = None) -> Path:
        """Keep a screenshot of the page, or of cell *i*, among the artefacts."""
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        target = ARTIFACTS / f"{name}.png"
        if i is None:
            self.page.screenshot(path=target)
        else:
            self.page.evaluate_handle(f"i => {CELL}.node", i).as_element().screenshot(path=target)
        return target


WIDER = """selector => {
  const wide = [];
  for (const area of document.querySelectorAll(selector)) {
    const edge = area.getBoundingClientRect().right + 1;
    for (const node of area.querySelectorAll('*')) {
      if (!node.offsetWidth || node.closest('svg')) continue;
      let scrolls = false;
      for (let n = node.parentElement; n && n !== area.parentElement; n = n.parentElement)
        scrolls ||= getComputedStyle(n).overflowX !== 'visible';
      const style = getComputedStyle(node);
      const cut = style.overflowX === 'visible' && style.display !== 'inline'
        && node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0;
      if (!scrolls && (cut || node.getBoundingClientRect().right > edge))
        wide.push(node.outerHTML.slice(0, 160)); } }
  return wide; }"""
"""Elements that reach beyond their box and are in none that scrolls."""


def problems(page: Any, selector: str, *, other_theme: bool = False) -> list[Any]:
    """Return axe-core's violations (its script must be loaded) and faint texts within *selector*.

    *other_theme*: the same was looked at in another theme before, and only colours can have changed.
    """
    found: list[Any] = page.evaluate(
        """async ([selector, rules]) => {
          const include = [...document.querySelectorAll(selector)].filter(n => n.offsetHeight);
          const only = rules ? {runOnly: rules} : {};
          const result = await axe.run({include}, {resultTypes: ['violations'], ...only});
          return result.violations.map(
            v => [v.id, v.help, v.nodes.slice(0, 3).map(n => n.html.slice(0, 300))]); }""",
        [selector, ["color-contrast", "link-in-text-block"] if other_theme else None],
    )
    return [*found, *page.evaluate(FAINT, selector)]
