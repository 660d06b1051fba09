"""Run a report: papermill executes the notebook, the page is exported, the run is recorded.

A run is made in a hidden folder beside its place and moved there in one step when everything is
written, its record last; so a folder with a record is whole, and a killed run is no run. A run that
failed is kept and shown as failed, with the notebook as far as it came.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from workbench.data.atomic import replace_text
from workbench.errors import UsageError
from workbench.report.execute import Execution, Limits, execute
from workbench.report.export import to_page
from workbench.report.findings import collect
from workbench.report.index import refresh_index
from workbench.report.page import external_loads
from workbench.report.parameters import check_names, declared
from workbench.report.record import Record, Value, write_record

NAME_RULE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
REPORTS: Final = Path("notebooks") / "reports"
VERSIONED: Final = ("quant-workbench", "numpy", "numba", "polars", "matplotlib", "papermill")


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One finished run: its record, and where its files and the index of all runs lie."""

    record: Record
    folder: Path
    index: Path

    @property
    def ok(self) -> bool:
        """Return whether every cell ran and the page is whole."""
        return self.record.ok

    @property
    def html(self) -> Path:
        """Return the page that opens with the network off."""
        return self.folder / f"{self.record.name}.html"

    @property
    def notebook(self) -> Path:
        """Return the executed notebook."""
        return self.folder / f"{self.record.name}.ipynb"


def run_report(
    name: str,
    *,
    parameters: Mapping[str, Value] | None = None,
    out: Path = Path("reports"),
    now: datetime,
    notebooks: Path | None = None,
    limits: Limits | None = None,
    under: str | None = None,
) -> ReportRun:
    """Execute notebooks/reports/<name>.ipynb into <out>/<under>/<utc>/ and refresh <out>/index.html.

    Without `under` the runs lie under the report's name.

    A failing cell or a dying kernel gives a run with status "failed", not an exception. Raises
    UsageError for an unknown report, an unknown parameter or a place that is taken.
    """
    template = find_report(name, notebooks)
    values = _checked(template, parameters or {})
    started = now.astimezone(UTC)
    place = out.resolve() / _plain_folder(under or name) / started.strftime("%Y-%m-%dT%H-%M-%SZ")
    if place.exists():
        raise UsageError(f"{place} exists already and is never overwritten; run the report again")
    part = place.with_name(f".part-{place.name}-{os.getpid()}")
    try:
        part.mkdir(parents=True)
        record = _run_into(part, template, values, started, limits or Limits())
        part.rename(place)
        index = refresh_index(out.resolve())
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise UsageError(
            f"the report cannot be written into {out}: {error.strerror or error}; make room and give "
            "yourself write permission there, or name another folder"
        ) from None
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return ReportRun(record=record, folder=place, index=index)


def find_report(name: str, notebooks: Path | None = None) -> Path:
    """Return the template of that name; UsageError names the reports that exist."""
    folder = notebooks or report_folder()
    known = sorted(path.stem for path in folder.glob("*.ipynb"))
    if not NAME_RULE.fullmatch(name):
        raise UsageError(
            f"report name {name!r} is not a plain name (a-z, 0-9, - and _); use one of "
            f"{', '.join(known) or 'none: the folder is empty'}"
        )
    if name not in known:
        raise UsageError(f"report {name!r} is unknown; use one of {', '.join(known) or 'none'}")
    return folder / f"{name}.ipynb"


def report_folder() -> Path:
    """Return notebooks/reports of the working directory, else of the checkout."""
    for root in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (root / REPORTS).is_dir():
            return root / REPORTS
    raise UsageError(f"no folder {REPORTS} here; run this in the project's root")


def _plain_folder(name: str) -> str:
    if not NAME_RULE.fullmatch(name):
        raise UsageError(f"folder {name!r} is not a plain name; use a-z, 0-9, - and _")
    return name


def _checked(template: Path, values: Mapping[str, Value]) -> dict[str, Value]:
    defaults = declared(template)
    check_names(list(values), defaults)
    return {**defaults, **values}


def _run_into(
    part: Path,
    template: Path,
    values: dict[str, Value],
    started: datetime,
    limits: Limits,
) -> Record:
    began = time.monotonic()
    execution = execute(template, part / template.name, parameters=values, limits=limits)
    record = _record(template.stem, execution, values, started, time.monotonic() - began)
    text = to_page(execution.notebook, record)
    if loads := external_loads(text):
        reason = f"the page would load {loads[0]} from elsewhere; reports carry all they show"
        record = dataclasses.replace(record, status="failed", error=reason)
        text = to_page(execution.notebook, record)
    replace_text(part / f"{template.stem}.html", text)
    write_record(part, record)
    return record


def _record(
    name: str,
    execution: Execution,
    values: dict[str, Value],
    started: datetime,
    seconds: float,
) -> Record:
    outputs = [o for cell in execution.notebook.cells for o in cell.get("outputs", [])]
    return Record(
        name=name,
        status="failed" if execution.error else "ok",
        error=execution.error,
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        parameters=values,
        findings=collect(outputs),
        cell_seconds=execution.cell_seconds,
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {"python": platform.python_version()} | {
        package: metadata.version(package) for package in VERSIONED
    }
