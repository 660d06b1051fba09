"""The log of runs: one JSON line when a run starts and one when it has ended; the last one counts.

Lines are only ever appended, each with one write and a sync, so a death at any moment loses at most
the line that was being written. Such a torn end is passed over when the log is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from workbench.data.atomic import mended
from workbench.errors import DataError

FORMAT: Final = 1
DIED: Final = "its scheduler, or the machine, went down in the middle"


class Status(StrEnum):
    """How a run stands; only `ok` is a report that one may rely on."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"  # a cell failed; the notebook is kept as far as it came
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"  # its scheduler or the machine went down in the middle
    MISSED = "missed"  # due while no scheduler ran, and too late when one did


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a schedule, or one that was missed."""

    schedule: str
    report: str
    due: datetime
    moments: int  # how many dues this one run stands for
    status: Status
    started: datetime
    seconds: float | None = None
    error: str | None = None
    html: str | None = None
    pid: int | None = None

    @property
    def over(self) -> bool:
        """Return whether nothing more will come of it."""
        return self.status is not Status.RUNNING

    @property
    def ok(self) -> bool:
        """Return whether there is a whole report."""
        return self.status is Status.OK

    def ended(self, status: Status, at: datetime, *, error: str | None = None) -> Run:
        """Return this run as it ended."""
        seconds = round(max(0.0, (at - self.started).total_seconds()), 3)
        return replace(self, status=status, seconds=seconds, error=error)

    def lost(self) -> Run:
        """Return this run as one whose scheduler died; nobody knows when."""
        return replace(self, status=Status.INTERRUPTED, error=DIED)

    def as_dict(self) -> dict[str, str | int | float | None]:
        """Return plain values, times as ISO text."""
        times = {"due": stamp(self.due), "started": stamp(self.started)}
        return asdict(self) | {"status": self.status.value} | times


class History:
    """The log of one folder."""

    def __init__(self, folder: Path):
        self.path = folder / "history.jsonl"

    def write(self, run: Run) -> None:
        """Append one line and see that it is on the disk."""
        line = json.dumps({"format": FORMAT} | run.as_dict(), allow_nan=False) + "\n"
        try:
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
            try:
                _append(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DataError(mended(f"{self.path.name} could not be written", error)) from None

    def read(self) -> list[Run]:
        """Return every run as it stands, in the order in which they began."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found: dict[tuple[str, datetime, datetime], Run] = {}
        for line in lines:
            if run := _run(line, self.path):
                found[run.schedule, run.due, run.started] = run
        return list(found.values())


def last_of(runs: Iterable[Run]) -> dict[str, Run]:
    """Return the latest run of each schedule."""
    return {run.schedule: run for run in runs}


def stamp(at: datetime) -> str:
    """Return a moment as ISO text in UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _append(descriptor: int, line: bytes) -> None:
    size = os.fstat(descriptor).st_size
    torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    os.write(descriptor, b"\n" + line if torn else line)
    os.fsync(descriptor)


def _run(line: bytes, path: Path) -> Run | None:
    try:
        fields = json.loads(line)
        if fields.pop("format") != FORMAT:
            raise DataError(
                f"{path} is of another format than {FORMAT}; move it away: a new log begins"
            )
        times = {name: datetime.fromisoformat(fields[name]) for name in ("due", "started")}
        return Run(**(fields | times | {"status": Status(fields["status"])}))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # torn by a death in the middle of a line
