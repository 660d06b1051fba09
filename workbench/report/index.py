"""The index of all report runs, newest first; only whole runs are in it, failed ones marked."""

from __future__ import annotations

import fcntl
import html
from pathlib import Path
from typing import Final
from urllib.parse import quote

from workbench.data.atomic import replace_text
from workbench.errors import DataError
from workbench.report import numbers
from workbench.report.findings import write as write_finding
from workbench.report.page import page
from workbench.report.record import FILE, Record, read_record

MOST_FINDINGS: Final = 5
NOT_SHOWN: Final = ("source", "data_sha256")


def refresh_index(out: Path) -> Path:
    """Write <out>/index.html from the runs that lie there and return its path.

    Two reports that end at once take turns, so that neither leaves the other out.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".index.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        replace_text(out / "index.html", index_page(runs(out)))
    return out / "index.html"


def runs(out: Path) -> list[tuple[str, Record]]:
    """Return folder (relative to `out`) and record of every whole run, newest first."""
    found = []
    for path in out.glob(f"*/*/{FILE}"):
        folder = path.parent
        if folder.name.startswith(".") or folder.parent.name.startswith("."):
            continue
        try:
            found.append((f"{folder.parent.name}/{folder.name}", read_record(folder)))
        except DataError:
            continue
    return sorted(found, key=lambda run: (run[1].started, run[0]), reverse=True)


def index_page(found: list[tuple[str, Record]]) -> str:
    """Return the index as one page that loads nothing."""
    failed = sum(not record.ok for _, record in found)
    said = f"{numbers.count(len(found))} run{'' if len(found) == 1 else 's'}"
    said += f", {failed} failed" if failed else ""
    if not found:
        table = '<p class="empty">No report has run yet: <code>workbench report daily</code></p>'
    else:
        rows = "\n".join(_row(folder, record) for folder, record in found)
        table = (
            '<table class="runs"><thead><tr><th>Report</th><th>Parameters</th><th>Found</th>'
            f"<th></th><th>Run (UTC)</th></tr></thead><tbody>\n{rows}\n</tbody></table>"
        )
    body = f'<main><h1>Reports</h1>\n<p class="empty">{said}, newest first</p>\n{table}</main>'
    return page(title="Reports", body=body)


def _row(folder: str, record: Record) -> str:
    address = quote(f"{folder}/{record.name}")
    values = " · ".join(f"{name} {value}" for name, value in record.parameters.items())
    when = record.started.replace("T", " ")[:16]
    return (
        f'<tr><td class="runs-name"><a class="name" href="{address}.html">{html.escape(record.name)}</a><br>'
        f'<a class="small" href="{address}.ipynb">notebook</a>&ensp;'
        f'<a class="small" href="{quote(folder)}/{FILE}">record</a></td>'
        f'<td class="small">{html.escape(values)}</td><td class="small">{_found(record)}</td>'
        f'<td><span class="status {html.escape(record.status)}">{html.escape(record.status)}'
        f"</span></td><td>{html.escape(when)}<br>"
        f'<span class="small">{numbers.duration(record.seconds)}</span></td></tr>'
    )


def _found(record: Record) -> str:
    if not record.ok:
        return html.escape(record.error or "")
    pairs = [(k, v) for k, v in record.findings.items() if k not in NOT_SHOWN][:MOST_FINDINGS]
    said = " · ".join(f"{k.replace('_', ' ')} {write_finding(k, v)}" for k, v in pairs)
    mark = '<span class="synthetic">SYNTHETIC</span> ' if record.synthetic else ""
    return mark + html.escape(said)
