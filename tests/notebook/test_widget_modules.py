"""The widgets' ES modules become one text that imports nothing and means the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ib_kernel.notebook.widgets.board import SessionsWidget
from ib_kernel.notebook.widgets.budget import BudgetWidget
from ib_kernel.notebook.widgets.modules import one_module
from ib_kernel.notebook.widgets.replay import ReplayWidget
from ib_kernel.notebook.widgets.scorecard import ScorecardWidget

WIDGETS = Path(__file__).resolve().parents[2] / "ib_kernel" / "notebook" / "widgets"
SHARED = WIDGETS.parent / "lab" / "labextensions" / "interview-buddy" / "static"
WITH_PAGE = WIDGETS.parents[1] / "show" / "front"
NODE = shutil.which("node")


def joined(entry: str = "main", **files: str) -> str:
    """Return small modules, given by name, as one."""
    return one_module(entry, lambda name: files[name.removesuffix(".js")])


@pytest.mark.parametrize("widget", [BudgetWidget, ReplayWidget, ScorecardWidget, SessionsWidget])
def test_what_the_browser_gets_imports_nothing_and_exports_the_view(widget: type) -> None:
    """Everything is in the one text: nothing is fetched, in a notebook that was exported too."""
    code = str(widget._esm)
    assert re.findall(r"\bimport\b.*|\bfrom \"|@typedef", code) == []
    assert re.findall(r"^export .*", code, re.M) == [re.findall(r"^export default .*", code, re.M)[-1]]


def test_every_module_of_the_folder_reaches_a_widget() -> None:
    """A file that no widget imports is dead."""
    shipped = (
        str(BudgetWidget._esm) + str(SessionsWidget._esm) + str(ReplayWidget._esm) + str(ScorecardWidget._esm)
    )
    used = set(re.findall(r"const \$_(\w+) =", shipped))
    shared = {path.stem for folder in (SHARED, WITH_PAGE) for path in folder.glob("*.js")}
    assert {path.stem for path in WIDGETS.glob("*.js")} == used - shared
    assert used & shared


def test_the_views_ask_for_traits_that_the_widgets_have() -> None:
    """A trait that is renamed in Python is renamed in the front end too."""
    asked = re.findall(r'model\.(?:get|set)\("(\w+)"', (WIDGETS / "board.js").read_text("utf-8"))
    assert asked
    assert set(asked) <= set(SessionsWidget.class_trait_names(sync=True))
    text = (WIDGETS / "budget.js").read_text("utf-8")
    state = re.findall(r'"(\w+)"', re.search(r"const STATE = \[(.*?)\];", text, re.S)[1])  # type: ignore[index]
    typed = (SHARED / "rails.js").read_text("utf-8").split("@typedef {object} Figures")[1].split("*/")[0]
    typed += (WIDGETS / "gauge.js").read_text("utf-8").split("@typedef {object} Own")[1].split("*/")[0]
    assert sorted(state) == sorted(re.findall(r"@property \{.*\} (\w+)", typed))
    assert set(state) <= set(BudgetWidget.class_trait_names(sync=True))


def test_a_module_that_several_import_runs_once_and_first() -> None:
    """The order is that of the imports, and each module keeps its own names."""
    text = joined(
        main='import { a } from "./one.js";\nimport { b } from "./two.js";\nexport default { a, b };\n',
        one='import { base } from "./two.js";\nconst own = 1;\nexport const a = own + base;\n',
        two="const own = 10;\nexport const base = own;\nexport function b() {\n  return own;\n}\n",
    )
    assert [text.count(f"const $_{name} = ") for name in ("two", "one", "main")] == [1, 1, 1]
    assert text.index("$_two = ") < text.index("$_one = ") < text.index("$_main = ")
    if NODE:
        assert run(text, "m.default.a + m.default.b()") == 21


def test_an_import_over_several_lines_is_one_import() -> None:
    """Formatters break long lists of names."""
    text = joined(
        main='import {\n  a,\n  b,\n} from "./one.js";\nexport default a + b;\n',
        one="export const a = 1;\nexport const b = 2;\n",
    )
    assert "import" not in text
    if NODE:
        assert run(text, "m.default") == 3


@pytest.mark.parametrize(
    "line",
    [
        'import one from "./one.js";',
        'import * as one from "./one.js";',
        'import { a as b } from "./one.js";',
        'import "./one.js";',
        'import { a } from "lodash";',
        'import { a } from "https://example.org/one.js";',
        'const one = await import("./one.js");',
        "export { a };",
        "export let a = 1;",
        'export * from "./one.js";',
    ],
)
def test_a_form_that_is_not_known_is_an_error_here(line: str) -> None:
    """Never a page that breaks: what is not understood is named when the package is imported."""
    with pytest.raises(ValueError, match=r"main\.js: this form of import or export is not known: "):
        joined(main=f"{line}\nexport default 1;\n", one="export const a = 1;\n")


def test_a_circle_and_a_missing_export_are_errors_here() -> None:
    """Both would be `undefined` in the page."""
    with pytest.raises(ValueError, match="in a circle: main → one → main"):
        joined(main='import { a } from "./one.js";\n', one='import { b } from "./main.js";\n')
    with pytest.raises(ValueError, match=r"main\.js imports b, c, which one\.js lacks"):
        joined(main='import { a, b, c } from "./one.js";\n', one="export const a = 1;\n")


def run(text: str, expression: str) -> object:
    """Return what *expression* is, as JSON, where the module *text* is ``m``."""
    assert NODE
    code = (
        'import("data:text/javascript," + encodeURIComponent(process.argv[1]))'
        f".then((m) => console.log(JSON.stringify({expression})))"
    )
    done = subprocess.run([NODE, "-e", code, text], capture_output=True, text=True, timeout=280, check=True)
    return json.loads(done.stdout)
