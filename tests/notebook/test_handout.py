"""Starter code and data files reach the candidate, and nothing that is theirs is lost by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from notebook_shell import Notebook, notebook

from ib_kernel.interview.challenges import Challenge, load_challenge
from ib_kernel.notebook.handout import hand_out, insert_cell

TASK = Challenge(
    "sums", "Sums", "Add.", starter="def add(a, b):\n    ...\n", data={"rows.csv": b"a,b\n1,2\n"}
)


class Taken(list[str]):
    """A front end that takes new cells."""

    def __call__(self, text: str) -> bool:
        self.append(text)
        return True


@pytest.fixture
def nb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.chdir(tmp_path)
    with notebook() as running:
        yield running


def test_a_new_cell_and_files_beside_the_notebook(tmp_path: Path) -> None:
    """One line says what was done."""
    cells = Taken()
    said = hand_out(TASK, cells, tmp_path)
    assert cells == ["def add(a, b):\n    ...\n"]
    assert (tmp_path / "rows.csv").read_bytes() == b"a,b\n1,2\n"
    assert said == ["The starter code is in a new cell; data beside this notebook: rows.csv."]


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    """Files of the candidate's, links and folders of the name are left as they were."""
    (tmp_path / "rows.csv").write_text("mine")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "elsewhere.csv")
    said = hand_out(replace(TASK, starter="", data={**TASK.data, "gone.csv": b"x"}), Taken(), tmp_path)
    assert (tmp_path / "rows.csv").read_text() == "mine"
    assert not (tmp_path / "elsewhere.csv").exists()
    assert said == ["Left as it was, because it was there: gone.csv, rows.csv."]


@pytest.mark.parametrize(
    "name",
    ["../up.csv", "/tmp/abs.csv", "a/b.csv", ".bashrc", "pandas.py", "x.pth", "_x.so", "a.cpython.so.1",
     "n.ipynb", "run.BAT", "a\nb.csv", "", "x" * 200],
)  # fmt: skip
def test_no_name_leaves_the_folder_or_is_run_by_itself(tmp_path: Path, name: str) -> None:
    """What a host sends is data: a file that Python would import by its name is none."""
    place = tmp_path / "work"
    place.mkdir()
    (said,) = hand_out(replace(TASK, starter="", data={name: b"x"}), Taken(), place)
    assert "Not copied" in said
    assert "\n" not in said
    assert [path.name for path in tmp_path.rglob("*")] == ["work"]


def test_sizes_end(tmp_path: Path) -> None:
    """Two megabytes and twenty files at most."""
    big = {f"{letter}.bin": bytes(1_500_000) for letter in "ab"}
    assert "not copied: b.bin" in hand_out(replace(TASK, starter="", data=big), Taken(), tmp_path)[0]
    many = {f"{number:02}.csv": b"" for number in range(30)}
    hand_out(replace(TASK, starter="", data=many), Taken(), tmp_path)
    assert len(list(tmp_path.glob("*.csv"))) == 20


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The interview goes on."""
    assert "rows.csv (No such file" in hand_out(TASK, Taken(), tmp_path / "none")[0]


def test_start_hands_out_once(nb: Notebook, tmp_path: Path) -> None:
    """A shell without new cells prints the starter; the same line again hands out nothing."""
    starter = load_challenge("top-products").starter.strip()
    first = nb.ok('%interview start "Engineer" --challenge top-products').text
    assert starter.splitlines()[0] in first
    assert "copy the starter code above into a cell" in first.lower()
    names = sorted(load_challenge("top-products").data)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name in names) == names
    again = nb.ok('%interview start "Engineer" --challenge top-products').text
    assert "Going on with the same" in again
    assert "starter" not in again


def test_where_a_cell_can_be_made_it_is() -> None:
    """A kernel sends it to its front end, a terminal puts it into the next prompt; others cannot."""

    class Kernel:
        kernel = object()

        def set_next_input(self, text: str, replace: bool = False) -> None:
            self.cell = text

    shell = Kernel()
    assert insert_cell(shell, "x = 1")
    assert shell.cell == "x = 1"
    assert not insert_cell(object(), "x = 1")


def test_challenges_of_an_own_folder_go_by_name(
    nb: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of the setting are listed, completed and started; a shipped name stays the shipped one's."""
    from ib_kernel.evidence.authoring import new_challenge

    new_challenge(tmp_path / "mine" / "quiet-stretch")
    new_challenge(tmp_path / "mine" / "lru-cache")
    monkeypatch.setenv("IB_CHALLENGES", str(tmp_path / "mine"))
    assert "quiet-stretch" in nb.ok("%interview challenges").text
    assert "Longest quiet stretch" in nb.ok("%interview start --challenge quiet-stretch").text
    assert "Longest quiet stretch" not in nb.ok("%interview start --challenge lru-cache").text
    assert "offered by both" in nb.ok("%interview doctor").text
