"""Check that committed notebooks are clean: `python tools/check_notebooks.py [--fix] FILE…`.

Outputs are committed on purpose: the notebooks are read on the forge, and the tests compare them. Clean
means that every code cell has run, once, from top to bottom, and that there is no metadata that an editor
left behind, no key, and no path of the machine that ran it. `--fix` removes stray metadata;
the rest needs the notebook to be run again.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""A notebook's own metadata, whole; anything else names the machine or the editor."""

TAGS = {"nbval-ignore-output", "plugin", "raises-exception"}
SECRET = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-(?:[a-z]+-)?[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}"
    r"|AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}|Bearer [A-Za-z0-9._~+/-]{16,})"
)
PLACE = re.compile(
    r"(?<![\w.:/-])/(?:home|Users|root|tmp|private|mnt|opt|work|var/folders|workspaces?)/[\w.-]+|\b[A-Za-z]:\\+Users\\+\w+"
)


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value, with lists of lines joined; pictures are left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and all(isinstance(part, str) for part in value):
        yield "".join(value)
    elif isinstance(value, (list, dict)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in items:
            if not str(key).startswith("image/"):
                yield from texts(part)


def faults_in_metadata(notebook: dict[str, Any]) -> Iterator[str]:
    """Yield what an editor left behind in the metadata of a notebook, its cells and their outputs."""
    if notebook["metadata"] != KERNEL:
        yield "its metadata names more than the kernel"
    for number, cell in enumerate(notebook["cells"], 1):
        if set(cell["metadata"]) - {"tags"}:
            yield f"cell {number} has stray metadata: {', '.join(sorted(set(cell['metadata']) - {'tags'}))}"
        if unknown := set(cell["metadata"].get("tags", [])) - TAGS:
            yield f"cell {number} has an unknown tag: {', '.join(sorted(unknown))}"
        if any(output.get("metadata") for output in cell.get("outputs", [])):
            yield f"cell {number} has an output with metadata"


def faults_in_order(notebook: dict[str, Any]) -> Iterator[str]:
    """Yield each code cell that did not run in its turn."""
    code = [(n, cell) for n, cell in enumerate(notebook["cells"], 1) if cell["cell_type"] == "code"]
    for expected, (number, cell) in enumerate(code, 1):
        count = cell["execution_count"]
        if count != expected:
            state = f"ran as [{count}]" if count else "has not run"
            yield f"cell {number} {state} instead of [{expected}]; restart the kernel and run all cells"
        if not "".join(cell["source"]).strip():
            yield f"cell {number} is empty"


def faults_in_text(notebook: dict[str, Any]) -> Iterator[str]:
    """Yield each cell that shows a key or a machine's path (never the key itself)."""
    for number, cell in enumerate(notebook["cells"], 1):
        for text in texts([cell["source"], cell.get("outputs", [])]):
            if SECRET.search(text):
                yield f"cell {number} shows what looks like a key; revoke it if it is one"
            if place := PLACE.search(text):
                yield f"cell {number} shows a path of one machine: {place[0]}"


def faults(notebook: dict[str, Any]) -> list[str]:
    """Return what is not clean about *notebook*, one line each."""
    return [*faults_in_metadata(notebook), *faults_in_order(notebook), *faults_in_text(notebook)]


def without_stray_metadata(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return *notebook* with nothing in its metadata but the kernel and the tags that mean something here."""
    notebook["metadata"] = KERNEL
    for cell in notebook["cells"]:
        tags = [tag for tag in cell["metadata"].get("tags", []) if tag in TAGS]
        cell["metadata"] = {"tags": tags} if tags else {}
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output["metadata"] = {}
    return notebook


def main(arguments: list[str]) -> int:
    """Print the faults of each notebook named in *arguments*; return 1 if there is one."""
    found = 0
    for path in (Path(name) for name in arguments if name != "--fix"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if "--fix" in arguments and [*faults_in_metadata(notebook)]:
            text = json.dumps(without_stray_metadata(notebook), indent=1, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")
        for fault in faults(notebook):
            found += 1
            print(f"{path}: {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
