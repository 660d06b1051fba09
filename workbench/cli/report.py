"""`workbench report`: run a parameterised notebook into reports/ and say where its page lies."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from _thread import interrupt_main
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from workbench.command_table import INTERRUPTED

GIVEN_UP_AFTER = 10.0  # seconds


def report(
    name: Annotated[str, typer.Argument(help="A notebook of notebooks/reports/.")] = "daily",
    parameters: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", help="name=value, as often as wanted."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where runs and their index are kept.")] = Path(
        "reports"
    ),
    timeout: Annotated[int, typer.Option(help="Seconds that one cell may run.", min=1)] = 600,
    limit: Annotated[
        int | None, typer.Option(help="Seconds that all cells together may run.", min=1)
    ] = None,
    under: Annotated[
        str | None, typer.Option(help="Its folder in --out; without it the report's name.")
    ] = None,
    with_caller: Annotated[
        bool, typer.Option(help="End when the caller closes the standard input.", hidden=True)
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Execute a report notebook with papermill; exit code 1 when the report failed."""
    from workbench.report.execute import Limits
    from workbench.report.parameters import declared, parse
    from workbench.report.runner import find_report, run_report

    if with_caller:
        _end_with_caller()
    values = parse(parameters or [], declared(find_report(name)))
    run = run_report(
        name, parameters=values, out=out, now=datetime.now(UTC), under=under,
        limits=Limits(cell=timeout, whole=limit),
    )  # fmt: skip
    if as_json:
        places = {"html": str(run.html), "notebook": str(run.notebook), "index": str(run.index)}
        said = {"name": name, "status": run.record.status, "error": run.record.error}
        found = {"seconds": run.record.seconds, "findings": run.record.findings}
        typer.echo(json.dumps(said | found | places))
    else:
        typer.echo(f"{name} {run.record.status} in {run.record.seconds:.1f} s: {run.html}")
        typer.echo(f"all reports: {run.index}")
    if not run.ok:
        typer.echo(f"error: {run.record.error}; the page shows how far it came", err=True)
        raise typer.Exit(1)


def _end_with_caller() -> None:
    """Stop as by Ctrl-C, or failing that at once, when the other end of the standard input is gone.

    A pipe closes whatever its holder dies of, kill -9 too, on every system.
    """

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        interrupt_main()  # nothing half-written stays, and the kernel is ended
        time.sleep(GIVEN_UP_AFTER)
        os._exit(INTERRUPTED)

    threading.Thread(target=watch, daemon=True, name="caller").start()
