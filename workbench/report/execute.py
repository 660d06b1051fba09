"""Papermill executes one notebook; a failing cell, a slow one or a dead kernel becomes a sentence."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.report.kernel import KERNEL_NAME, kernel_manager
from workbench.report.record import Value

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a kernel may take to start, one cell to run and, if said, all of them, in seconds."""

    start: int = 60
    cell: int = 600
    whole: int | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """The notebook as far as it came, why it stopped if it did, and the seconds of each cell."""

    notebook: NotebookNode
    error: str | None
    cell_seconds: list[float]


def execute(
    template: Path, target: Path, *, parameters: Mapping[str, Value], limits: Limits
) -> Execution:
    """Execute `template` with these parameters in a clean kernel and write `target`.

    The kernel works in the template's folder, as it does when the notebook is opened in Lab. Its
    own noise is kept as kernel.log beside the target when the run fails.
    """
    import papermill
    from nbclient.exceptions import CellControlSignal, CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").addHandler(logging.NullHandler())  # else stderr gets it all
    log = target.with_name("kernel.log")
    manager = kernel_manager(folder=template.parent, log=log)
    clock = _Clock(limits)
    error: str | None = None
    try:
        papermill.execute_notebook(
            str(template), str(target), parameters=dict(parameters), kernel_name=KERNEL_NAME,
            language="python", progress_bar=False, start_timeout=limits.start,
            execution_timeout=limits.cell, timeout_func=clock.left, kernel_manager_class=manager,
        )  # fmt: skip
    except PapermillExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}"
    except CellTimeoutError:
        error = clock.said()
    except DeadKernelError:
        error = "the kernel died"
    except (CellControlSignal, RuntimeError, TimeoutError) as failure:
        error = f"the notebook could not be run: {failure}"
    notebook = _read(target if target.exists() else template)
    if error:
        error = _place(notebook, error)
    else:
        log.unlink(missing_ok=True)
    _forget_machine_paths(notebook, template, target)
    return Execution(notebook, error, _cell_seconds(notebook))


class _Clock:
    """What is left of the time of a run, asked for before each cell."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.began = time.monotonic()

    def left(self, cell: NotebookNode) -> int:
        """Return how many seconds this cell may take; nbclient takes less than 1 for no limit."""
        return max(1, math.ceil(min(self._remaining(), self.limits.cell)))

    def said(self) -> str:
        """Return which limit stopped the run."""
        if self._remaining() <= 0:
            return f"the report ran longer than {self.limits.whole} s and was stopped"
        return f"a cell ran longer than {self.limits.cell} s and was stopped"

    def _remaining(self) -> float:
        if self.limits.whole is None:
            return math.inf
        return self.limits.whole - (time.monotonic() - self.began)


def _read(path: Path) -> NotebookNode:
    import nbformat

    return nbformat.read(path, as_version=4)


def _place(notebook: NotebookNode, error: str) -> str:
    """Say in one line in which code cell it happened: the last one that was started."""
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    started = [cell.metadata.get("papermill", {}).get("start_time") is not None for cell in codes]
    where = f"code cell {sum(started)} of {len(codes)}: " if any(started) else ""
    return where + " ".join(error.split())


def _forget_machine_paths(notebook: NotebookNode, template: Path, target: Path) -> None:
    """Write the notebook without the folders of the machine that ran it."""
    import nbformat

    own = notebook.metadata.get("papermill")
    if own:
        own["input_path"], own["output_path"] = template.name, target.name
    nbformat.write(notebook, target)


def _cell_seconds(notebook: NotebookNode) -> list[float]:
    seconds = []
    for cell in notebook.cells:
        timing = cell.metadata.get("papermill", {})
        start, end = timing.get("start_time"), timing.get("end_time")
        if cell.cell_type == "code" and start and end:
            span = datetime.fromisoformat(end) - datetime.fromisoformat(start)
            seconds.append(round(span.total_seconds(), 3))
    return seconds
