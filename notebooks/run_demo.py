"""Run ``01_first_interview.ipynb`` in a real kernel, without a key, and print what happened.

``make demo`` calls this; ``python notebooks/run_demo.py`` does the same where there is no make. The executed
notebook is written beside the committed one's name into ``artifacts/`` and its place is printed at the end.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NOTEBOOK = HERE / "01_first_interview.ipynb"
OUT = HERE.parent / "artifacts" / "01_first_interview.executed.ipynb"


def main() -> int:
    """Execute, print, and return the exit status: 0 when every cell ran."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    for name in [n for n in os.environ if n.startswith(("IB_", "OPENAI_"))]:
        del os.environ[name]  # the demo needs no key and must not spend anybody's
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory(prefix="ib-demo-") as data:
        os.environ.update(IB_DATA_DIR=data, IB_STREAM="final", IB_CONFIG=str(Path(data) / "none.toml"))
        client = NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}
        )
        try:
            client.execute()
            failed = None
        except CellExecutionError as error:
            failed = error
    OUT.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, OUT)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            show(cell)
    print(f"\nThe executed notebook: {OUT}")
    print("Open it in JupyterLab with: make lab   (or: jupyter lab notebooks)")
    if failed is not None:
        print(f"A cell failed: {failed}", file=sys.stderr)
    return 1 if failed else 0


def show(cell: dict) -> None:
    """Print one cell as a terminal would: what was typed, then what came."""
    lines = cell["source"].splitlines()
    print("\n" + "\n".join(f"  {'▸' if i == 0 else ' '} {line}" for i, line in enumerate(lines)))
    for output in cell["outputs"]:
        data = output.get("data", {})
        text = output.get("text") or data.get("text/plain") or "\n".join(output.get("traceback", []))
        if "image/png" in data:
            text = "[a chart: see the executed notebook]"
        print(str(text).rstrip())


if __name__ == "__main__":
    sys.exit(main())
