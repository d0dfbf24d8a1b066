"""The front end's modules as the one text that anywidget hands to the browser, without a build step.

The files import each other by path, so that editors, the type checker and the tests see ES modules. In the
browser a widget's text has no address that "./parts.js" could be resolved against, as it arrives over the
kernel's connection. So each module becomes a function that is called once, in the order of the imports; names
stay private to their module. What this small translation does not know is an error here, never a broken page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources

_IMPORT = re.compile(
    r'^import \{\s+(\w+(?:,\s+\w+)*),?\s+\} from "(?:\.{1,2}/)+(?:[\w-]+/)*(\w+)\.js";$', re.M
)
_EXPORT = re.compile(r"^export (function|const|class) (\w+)", re.M)
_DEFAULT = re.compile(r"^export default ", re.M)
_TYPES = re.compile(r"^[ \t]*/\*\*(?:(?!\*/).)*\*/\n", re.M | re.S)
_LEFT_OVER = re.compile(r"^\s*(?:import|export)\b.*|^.*\bimport\(.*", re.M)


_SHARED = "labextensions/interview-buddy/static"
"""Where the modules are that the widgets share with the JupyterLab extension, within ``notebook/lab``."""


def read(name: str) -> str:
    """Return a file of the front end by name, such as ``"widget.css"``: a widget's own, or a shared one."""
    own = resources.files(__package__).joinpath(name)
    with_page = resources.files("ib_kernel.show").joinpath("front", name)
    with_lab = resources.files("ib_kernel.notebook.lab").joinpath(_SHARED, name)
    found = next((file for file in (own, with_page) if file.is_file()), with_lab)
    return found.read_text(encoding="utf-8")


def one_module(entry: str, read: Callable[[str], str] = read) -> str:
    """Return the module *entry* and all that it imports as one ES module.

    Args:
        entry: The module's name without ``.js``; its default export becomes the one of the result.
        read: Returns the text of a file by name.

    Returns:
        One text that imports nothing.

    Raises:
        ValueError: A module imports in a circle, imports what is not exported, or has an ``import`` or
            ``export`` in a form that is not known here.
    """
    exports: dict[str, list[str]] = {}
    parts: list[str] = []

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"modules import each other in a circle: {' → '.join([*above, name])}")
        if name in exports:
            return
        text = _TYPES.sub("", read(f"{name}.js"))  # comments with types are for the checker
        for imported in _IMPORT.finditer(text):
            add(imported[2], (*above, name))
            wanted = re.findall(r"\w+", imported[1])
            missing = [one for one in wanted if one not in exports[imported[2]]]
            if missing:
                raise ValueError(f"{name}.js imports {', '.join(missing)}, which {imported[2]}.js lacks")
        exports[name] = [found[2] for found in _EXPORT.finditer(text)]
        parts.append(_as_function(name, text, exports[name]))

    add(entry, ())
    return "\n".join([*parts, f"export default $_{entry}.$default;\n"])


def _as_function(name: str, text: str, exported: list[str]) -> str:
    """Return a module's text as a constant with what it exports."""
    text = _IMPORT.sub(lambda found: f"const {{ {found[1]} }} = $_{found[2]};", text)
    text = _EXPORT.sub(r"\1 \2", text)
    text, defaults = _DEFAULT.subn("const $default = ", text)
    left_over = _LEFT_OVER.search(text)
    if left_over:
        raise ValueError(f"{name}.js: this form of import or export is not known: {left_over[0].strip()}")
    names = [*exported, *(["$default"] if defaults else [])]
    return f"const $_{name} = (() => {{\n{text}return {{ {', '.join(names)} }};\n}})();\n"
