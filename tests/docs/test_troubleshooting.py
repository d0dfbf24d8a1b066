"""docs/troubleshooting.md quotes lines that the code really says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUOTED = re.findall(r"^### `(.+)`$", (ROOT / "docs" / "troubleshooting.md").read_text("utf-8"), re.M)
FOREIGN = "Cell magic"
"""What IPython says itself."""


def said() -> str:
    """Return every text in the code, with … for what is filled in."""
    texts = []
    for folder in ("ib_kernel", "plugins", "tests/browser"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
                    texts.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return "\n".join(texts)


SAID = said()


@pytest.mark.parametrize("line", QUOTED)
def test_a_quoted_line_is_one_that_the_code_says(line: str) -> None:
    """Every fixed part of it stands in the code, where a sentence may begin with a small letter."""
    if FOREIGN in line:
        return
    parts = [part.strip() for part in line.removeprefix("Stopped. ").removeprefix("Not sent. ").split("…")]
    assert any(len(part) > 8 for part in parts)
    for part in parts:
        assert len(part) <= 2 or part in SAID or part[:1].lower() + part[1:] in SAID, part
