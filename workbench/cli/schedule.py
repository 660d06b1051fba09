"""`workbench schedule`: reports on time, added, listed, run until Ctrl-C, and told."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.processes import alive

if TYPE_CHECKING:
    from workbench.schedule.book import Schedule
    from workbench.schedule.history import Run

app = typer.Typer(help="Run report notebooks on time.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Name of the schedule: a-z, 0-9, - and _.")]


@app.command("add")
def add_schedule(
    name: Name,
    template: Annotated[str, typer.Option(help="A notebook of notebooks/reports/.")] = "daily",
    parameters: Annotated[
        list[str] | None,
        typer.Option("--parameter", "--parameters", "-p", help="name=value, as often as wanted."),
    ] = None,
    cron: Annotated[
        str | None, typer.Option(help='When, as in crontab, UTC: "0 6 * * *" is 06:00 every day.')
    ] = None,
    every: Annotated[str | None, typer.Option(help="Or how often: 30m, 6h, 1d, 1w.")] = None,
    at: Annotated[
        str | None, typer.Option(help="From when --every counts, UTC: 06:00; else midnight.")
    ] = None,
    grace: Annotated[str, typer.Option(help="How late a missed run may still be made.")] = "12h",
    timeout: Annotated[str, typer.Option(help="How long a run may take.")] = "1h",
    out: Annotated[Path, typer.Option(help="Where runs and their index are kept.")] = Path(
        "reports"
    ),
    as_json: AsJson = False,
) -> None:
    """Add a schedule; `workbench schedule run` then executes it on time."""
    from workbench.report.parameters import declared, parse
    from workbench.report.runner import find_report
    from workbench.schedule.book import Book, checked_name, new_schedule
    from workbench.schedule.timing import demand_one, parse_duration

    demand_one(cron, every, at)
    notebook = find_report(template)
    schedule = new_schedule(
        name=checked_name(name),
        report=template,
        parameters=parse(parameters or [], declared(notebook)),
        cron=cron,
        every_seconds=None if every is None else parse_duration(every, "--every"),
        at=at,
        grace_seconds=parse_duration(grace, "--grace"),
        timeout_seconds=parse_duration(timeout, "--timeout"),
        project=str(notebook.resolve().parents[2]),
        out=str(out.resolve()),
        data=_absolute(os.environ.get("WORKBENCH_DATA")),
        added=_now().replace(microsecond=0),
    )
    Book(_folder()).add(schedule)
    first = schedule.timing.next(_now())
    if as_json:
        typer.echo(json.dumps(_told(schedule, [])))
    else:
        typer.echo(f"{name}: report {template}, {schedule.said}; first run {_shown(first)} UTC")
        typer.echo(_who_runs(), err=True)


@app.command("list")
def list_schedules(as_json: AsJson = False) -> None:
    """List the schedules with their next run and their last result."""
    from workbench.cli.tables import print_rows
    from workbench.schedule.book import Book
    from workbench.schedule.history import History, last_of

    schedules, runs = Book(_folder()).read(), History(_folder()).read()
    last = last_of(_as_it_is(run) for run in runs)
    if as_json:
        found = [_told(one, list(last.values())) for one in schedules]
        typer.echo(json.dumps({"schedules": found, "scheduler_pid": _scheduler_pid()}))
        return
    if not schedules:
        typer.echo('no schedules; `workbench schedule add daily --cron "0 6 * * *"` makes one')
        return
    rows = []
    for one in schedules:
        coming = _next(one, list(last.values()))
        run = last.get(one.name)
        result = "" if run is None else run.status.value
        rows.append(
            [one.name, one.report, one.said, coming, _shown(run.started if run else None), result]
        )
    notes = [f"{run.schedule}: {run.error}" for run in last.values() if run.error]
    columns = ["name", "report", "when", "next run", "last run", "result"]
    print_rows("Schedules (UTC)", columns, rows, left=6, notes=(*notes, _who_runs()))


@app.command("remove")
def remove_schedule(name: Name, as_json: AsJson = False) -> None:
    """Remove a schedule; its reports and the log of its runs stay, and a run that goes on ends."""
    from workbench.schedule.book import Book

    removed = Book(_folder()).remove(name)
    typer.echo(json.dumps({"removed": removed.name}) if as_json else f"{name} is removed")


@app.command("run")
def run_schedules(
    once: Annotated[bool, typer.Option(help="Run what is due, and end.")] = False,
    jobs: Annotated[int, typer.Option(help="Reports at a time.", min=1, max=16)] = 2,
    as_json: AsJson = False,
) -> None:
    """Execute reports on time until Ctrl-C; with --once what is due, exit code 1 where one failed."""
    from workbench.schedule.history import Status
    from workbench.schedule.service import Service

    signal.signal(signal.SIGTERM, _stop_like_ctrl_c)
    service = Service(
        _made_folder(), now=_now, wait=time.sleep, slots=jobs,
        tell=lambda run: typer.echo(json.dumps(run.as_dict()) if as_json else _line(run)),
    )  # fmt: skip
    if once:
        ended = service.once()
        if not ended and not as_json:
            typer.echo("nothing is due")
        if any(not run.ok and run.status is not Status.MISSED for run in ended):
            raise typer.Exit(1)
        return
    try:
        if not as_json:
            typer.echo(_what_comes())
        service.serve()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)


@app.command("history")
def show_history(
    name: Annotated[str | None, typer.Argument(help="A schedule; without it all.")] = None,
    limit: Annotated[int, typer.Option(help="Runs to show.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the runs, the latest first: when due, how they ended, and where their pages lie."""
    from workbench.cli.tables import print_rows
    from workbench.schedule.book import Book, find
    from workbench.schedule.history import History

    runs = [_as_it_is(run) for run in History(_folder()).read()]
    if name is not None and name not in {run.schedule for run in runs}:
        find(Book(_folder()).read(), name)
    wanted = [run for run in reversed(runs) if name in (None, run.schedule)][:limit]
    if as_json:
        typer.echo(json.dumps({"runs": [run.as_dict() for run in wanted]}))
        return
    if not wanted:
        typer.echo("no run yet")
        return
    rows = [
        [run.schedule, _shown(run.due), _shown(run.started), _took(run), run.status.value,
         run.error or _near(run.html)]
        for run in wanted
    ]  # fmt: skip
    print_rows("Runs (UTC)", ["name", "due", "started", "took", "result", ""], rows, left=6)


def _now() -> datetime:
    return datetime.now(UTC)


def _folder() -> Path:
    from workbench.home import home_path

    return home_path() / "schedules"


def _made_folder() -> Path:
    from workbench.home import home

    folder = home() / "schedules"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _absolute(path: str | None) -> str | None:
    return str(Path(path).expanduser().resolve()) if path else None


def _scheduler_pid() -> int | None:
    from workbench.schedule.service import holder

    pid = holder(_folder() / "scheduler.lock")
    return int(pid) if pid.isdecimal() and alive(int(pid)) else None


def _as_it_is(run: Run) -> Run:
    """Return a run, as interrupted where nobody looks after it any more."""
    goes_on = run.pid is not None and alive(run.pid)
    return run if run.over or goes_on else run.lost()


def _told(schedule: Schedule, last: Sequence[Run]) -> dict[str, object]:
    from workbench.schedule.due import next_due
    from workbench.schedule.history import stamp

    coming = next_due(schedule, last, _now())
    mine = [run.as_dict() for run in last if run.schedule == schedule.name]
    return schedule.model_dump(mode="json") | {
        "next_run": None if coming is None else stamp(coming),
        "last": mine[-1] if mine else None,
    }


def _next(schedule: Schedule, last: Sequence[Run]) -> str:
    from workbench.schedule.due import next_due

    coming = next_due(schedule, last, _now())
    return "now" if coming is not None and coming <= _now() else _shown(coming)


def _shown(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _near(page: str | None) -> str:
    """Return a page's place, from here where it lies below."""
    if page is None:
        return ""
    here = Path.cwd()
    return str(Path(page).relative_to(here) if Path(page).is_relative_to(here) else page)


def _took(run: Run) -> str:
    return "" if run.seconds is None else f"{run.seconds:,.1f} s"


def _line(run: Run) -> str:
    at = run.started + timedelta(seconds=run.seconds or 0.0)
    more = f", for {run.moments:,} moments that went by" if run.moments > 1 else ""
    if not run.over:
        return f"{_shown(run.started)}  {run.schedule}: due {_shown(run.due)}{more}, running"
    if run.ok:
        return f"{_shown(at)}  {run.schedule}: ok in {_took(run)}: {run.html}"
    return f"{_shown(at)}  {run.schedule}: {run.status.value}: {run.error}"


def _what_comes() -> str:
    from workbench.schedule.book import Book
    from workbench.schedule.history import History, last_of

    schedules, last = Book(_folder()).read(), last_of(History(_folder()).read())
    coming = [f"{one.name} {_next(one, list(last.values()))}" for one in schedules]
    return f"next (UTC): {', '.join(coming) or 'nothing; add a schedule'}. Ctrl-C ends this."


def _who_runs() -> str:
    pid = _scheduler_pid()
    if pid is None:
        return "no scheduler runs; `workbench schedule run` executes reports on time"
    return f"the scheduler runs (pid {pid})"


def _stop_like_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt
