"""Notebooks are questions: little code, much prose, one parameters cell, no stored outputs."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REPORTS = sorted((ROOT / "notebooks" / "reports").glob("*.ipynb"))
MOST_LINES = 15
MOST_LINES_OF_A_STRATEGY = 25
CHECKED = {"nbval-check-output", "keep_output"}
every_notebook = pytest.mark.parametrize("path", QUESTIONS + REPORTS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == kind]


def tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def test_the_first_notebooks_and_the_daily_report_are_there() -> None:
    names = [path.stem for path in QUESTIONS]
    assert names[:4] == [
        "01_collect_candles", "02_first_backtest", "03_headline_study", "04_parameter_sweep"
    ]  # fmt: skip
    assert "06_write_your_own_strategy" in names
    assert "daily" in [path.stem for path in REPORTS]


@every_notebook
def test_code_cells_are_short_and_define_nothing(path: Path) -> None:
    for cell in cells(path, "code"):
        if cell.source.startswith(
            "%%strategy "
        ):  # the one place for a def: it is kept, and checked
            assert len(cell.source.splitlines()) <= MOST_LINES_OF_A_STRATEGY, cell.source
            continue
        lines = [line for line in cell.source.splitlines() if not line.startswith("%load_ext ")]
        tree = ast.parse("\n".join(lines), type_comments=False)
        defined = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        assert defined == [], f"{path.name}: {defined[0].name} belongs into a room, with a test"
        assert len(cell.source.splitlines()) <= MOST_LINES, cell.source


@every_notebook
def test_there_is_one_parameters_cell_and_it_comes_before_any_other_code(path: Path) -> None:
    code = cells(path, "code")
    assert [("parameters" in tags(cell)) for cell in code] == [True] + [False] * (len(code) - 1)


@every_notebook
def test_a_title_opens_and_a_third_of_the_cells_is_prose(path: Path) -> None:
    notebook = read(path)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    prose = sum(len(cell.source.split()) for cell in cells(path, "markdown"))
    assert len(cells(path, "markdown")) * 3 >= len(notebook.cells)
    assert prose >= 100


@every_notebook
def test_outputs_are_stripped_but_for_checked_cells(path: Path) -> None:
    for cell in cells(path, "code"):
        if CHECKED & tags(cell):
            assert tags(cell) >= CHECKED
            assert {output.output_type for output in cell.outputs} == {"stream"}
        else:
            assert cell.outputs == []


@every_notebook
def test_checked_cells_live_only_where_recorded_candles_are_asked_for(path: Path) -> None:
    checked = any(CHECKED & tags(cell) for cell in cells(path, "code"))
    assert checked == bool(read(path).metadata.get("needs-real-data", False))


@every_notebook
def test_the_kernel_is_the_venvs_own(path: Path) -> None:
    assert read(path).metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("path", QUESTIONS, ids=lambda path: path.stem)
def test_a_question_makes_a_claim_and_ends_with_a_conclusion(path: Path) -> None:
    prose = [cell.source for cell in cells(path, "markdown")]
    assert "**Claim.**" in prose[0]
    assert prose[-1].startswith("## Conclusion")
    assert read(path).cells[-1].cell_type == "code"
