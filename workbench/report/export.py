"""An executed notebook as one page: prose, tables and pictures; its code stays in the notebook."""

from __future__ import annotations

import copy
import html
from typing import TYPE_CHECKING, Final

from workbench.report import numbers
from workbench.report.findings import write as write_finding
from workbench.report.page import chips, page
from workbench.report.record import Record

if TYPE_CHECKING:
    from nbformat import NotebookNode

MARKER: Final = "papermill-error-cell-tag"
SHOWN: Final = (
    "text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/plain",
)  # fmt: skip
LIVE: Final = "application/vnd.jupyter.widget-view+json"
TO_INDEX: Final = "../../index.html"


def to_page(notebook: NotebookNode, record: Record) -> str:
    """Return the whole page of a run as HTML that loads nothing."""
    theme = str(record.parameters.get("theme", "light"))
    body = "\n".join(
        (
            _top(record),
            _banner(record),
            chips((name, str(value)) for name, value in record.parameters.items()),
            f"<main>\n{_cells(notebook)}\n</main>",
            _foot(record),
        )
    )
    started = record.started.replace("T", " ")[:16]
    return page(title=f"{record.name} – {started} UTC", body=body, theme=theme)


def _cells(notebook: NotebookNode) -> str:
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name="basic", exclude_input=True, exclude_output_prompt=True,
        exclude_anchor_links=True,
    )  # fmt: skip
    exporter.embed_images = True
    body, _ = exporter.from_notebook_node(_still(notebook))
    return str(body)


def _still(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without what moves or loads: widgets, scripts, progress bars, error markers."""
    still = copy.deepcopy(notebook)
    still.metadata.pop("widgets", None)
    still.cells = [c for c in still.cells if MARKER not in c.metadata.get("tags", [])]
    for cell in still.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _is_still(output)]
            for output in cell.outputs:
                if "data" in output:
                    output.data = {k: v for k, v in output.data.items() if k in SHOWN}
    return still


def _is_still(output: NotebookNode) -> bool:
    if output.output_type == "stream":
        return "\r" not in output.text
    if "data" in output:
        return LIVE not in output.data and any(kind in SHOWN for kind in output.data)
    return True


def _top(record: Record) -> str:
    when = record.started.replace("T", " ")[:16]
    made = f"{when} UTC · made in {numbers.duration(record.seconds)}"
    return (
        f'<div class="top"><a class="home" href="{TO_INDEX}">All reports</a>'
        f'<span class="status {record.status}">{record.status}</span>'
        f'<span class="when">{html.escape(made)}</span></div>'
    )


def _banner(record: Record) -> str:
    if record.ok:
        return ""
    return f'<div class="banner">This report failed. {html.escape(record.error or "")}</div>'


def _foot(record: Record) -> str:
    built = " · ".join(f"{name} {version}" for name, version in record.versions.items())
    sha = record.findings.get("data_sha256")
    data = f"data {write_finding('data_sha256', sha)} · " if sha else ""
    return f"<footer>{html.escape(data + built)}. One file, no script, nothing loaded.</footer>"
