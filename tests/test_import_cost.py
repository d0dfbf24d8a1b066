"""Importing costs next to nothing: what is heavy is imported when it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

HEAVY = {
    "openai", "httpx2", "tiktoken", "duckdb", "apsw", "ipywidgets", "anywidget", "tenacity", "anyio",
    "genai_prices", "pydantic", "pandas", "pyarrow", "matplotlib", "nh3", "markdown_it",
}  # fmt: skip
PLUGINS = {"ib_tiktoken", "ib_openai", "ib_duckdb", "ib_demo"}

SHELL = """
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell.instance()
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Any:
    """Return a function that runs code in a new process and returns what it leaves in `result`."""

    def run(code: str) -> Any:
        body = textwrap.dedent(code) + "\nimport json, sys\nprint('RESULT', json.dumps(result))\n"
        done = subprocess.run(
            [sys.executable, "-c", body],
            env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed, result = done.stdout.rsplit("RESULT ", 1)
        assert printed == "", "nothing may be printed"
        return json.loads(result)

    return run


def test_importing_the_package_imports_nothing_else(fresh: Any) -> None:
    """`import ib_kernel` brings in neither a heavy library nor IPython, pluggy or a plugin."""
    loaded = set(fresh("import ib_kernel, sys\nresult = [m.split('.')[0] for m in sys.modules]"))
    assert loaded & (HEAVY | PLUGINS | {"IPython", "pluggy", "platformdirs", "asyncio"}) == set()


def test_every_public_name_resolves(fresh: Any) -> None:
    """Names that are imported late exist, and asking for one that does not says so."""
    code = """
        import ib_kernel
        result = [name for name in ib_kernel.__all__ if getattr(ib_kernel, name, None) is None]
        assert set(ib_kernel.__all__) <= set(dir(ib_kernel))
        assert not hasattr(ib_kernel, "Interveiw")
    """
    assert fresh(code) == []


def test_the_core_imports_no_plugin_and_no_heavy_library(fresh: Any) -> None:
    """All modules of the core together, the rooms that show and serve aside, import no plugin's library."""
    code = """
        import importlib, pkgutil, sys, ib_kernel
        for room in pkgutil.iter_modules(ib_kernel.__path__, "ib_kernel."):
            if room.name.rpartition(".")[2] in ("notebook", "testing", "remote", "host"):
                continue
            found = importlib.import_module(room.name)
            for module in pkgutil.walk_packages(getattr(found, "__path__", ()), room.name + "."):
                importlib.import_module(module.name)
        result = [m.split('.')[0] for m in sys.modules]
    """
    loaded = set(fresh(code))
    assert loaded & (HEAVY | PLUGINS | {"IPython"}) == set()


def test_loading_the_extension_imports_nothing_heavy(fresh: Any) -> None:
    """`%load_ext ib_kernel` registers the magics, prints nothing and leaves every heavy library alone."""
    code = f"""
        import sys
        {textwrap.dedent(SHELL).replace(chr(10), chr(10) + " " * 8)}
        before = set(sys.modules)
        shell.run_line_magic("load_ext", "ib_kernel")
        result = [m.split('.')[0] for m in set(sys.modules) - before]
        assert all(shell.find_line_magic(name) for name in ("interview", "budget", "usage"))
        assert all(shell.find_cell_magic(name) for name in ("interview", "usage"))
    """
    loaded = set(fresh(code))
    assert loaded & (HEAVY | PLUGINS) == set()


def test_entry_points_are_read_at_first_use(fresh: Any) -> None:
    """Neither the import nor `%load_ext` looks for plugins; the first thing that needs one does."""
    code = f"""
        import importlib.metadata
        groups, real = [], importlib.metadata.entry_points
        def entry_points(**chosen):
            groups.append(chosen.get("group"))
            return real(**chosen)
        importlib.metadata.entry_points = entry_points
        {textwrap.dedent(SHELL).replace(chr(10), chr(10) + " " * 8)}
        shell.run_line_magic("load_ext", "ib_kernel")
        import ib_kernel
        plugins = ib_kernel.Plugins()
        assert "ib_kernel" not in groups, groups
        plugins.counter(ib_kernel.Settings())
        result = groups.count("ib_kernel")
    """
    assert fresh(code) == 1


def test_looking_at_plugins_does_not_build_them(fresh: Any) -> None:
    """Loading every default plugin, as `%interview doctor` does, still imports no plugin's library."""
    code = """
        import sys, ib_kernel
        plugins = ib_kernel.Plugins()
        plugins.load()
        result = [m.split('.')[0] for m in sys.modules]
    """
    loaded = set(fresh(code))
    assert loaded >= PLUGINS
    assert loaded & HEAVY == set()
