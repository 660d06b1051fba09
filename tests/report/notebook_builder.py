"""Small report notebooks for the tests: written from a few lines each."""

from __future__ import annotations

from pathlib import Path

import nbformat


def write_report(folder: Path, name: str, *cells: str, parameters: str = "x = 1") -> Path:
    """Write a report with one heading, one parameters cell and these cells; `M ` marks prose."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook.cells = [nbformat.v4.new_markdown_cell(f"# {name}"), tagged]
    for text in cells:
        make = nbformat.v4.new_markdown_cell if text.startswith("M ") else nbformat.v4.new_code_cell
        notebook.cells.append(make(text.removeprefix("M ")))
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder
