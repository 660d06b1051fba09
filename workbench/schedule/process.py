"""One report as a process of its own: `workbench report`, bound to this one, ended when it hangs.

The lock of its schedule is open in both processes, so the operating system holds it as long as
either lives, whatever kills the other. When this process dies, its end of the report's standard
input closes, and the report stops by itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from workbench.errors import UsageError
from workbench.schedule.book import Schedule
from workbench.schedule.history import Run, Status

HARD_AFTER: Final = 30.0  # seconds over the limit that a report may take to stop by itself
OVER: Final = "the report ran longer than"  # how `workbench report` begins to tell that
STOPPING: Final = 12.0  # seconds until a report that is told to stop is killed


def try_lock(path: Path) -> int | None:
    """Return the lock as an open file, None where another process holds it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def report_command(schedule: Schedule) -> list[str]:
    """Return the command line of a schedule's report."""
    given = [f"--parameter={name}={value}" for name, value in schedule.parameters.items()]
    limit = str(schedule.timeout_seconds)
    return [
        sys.executable, "-m", "workbench.cli", "report", schedule.report, *given,
        "--out", schedule.out, "--under", schedule.name, "--timeout", limit, "--limit", limit,
        "--with-caller", "--json",
    ]  # fmt: skip


def report_environment(
    schedule: Schedule, environment: Mapping[str, str], home: Path
) -> dict[str, str]:
    """Return the environment: the candles as they were when the schedule was added, the same home."""
    kept = {name: value for name, value in environment.items() if name != "WORKBENCH_DATA"}
    data = {} if schedule.data is None else {"WORKBENCH_DATA": schedule.data}
    return kept | data | {"WORKBENCH_HOME": str(home)}


@dataclass(slots=True)
class ReportProcess:
    """A report that runs: poll it until it gives the run as it ended."""

    run: Run
    schedule: Schedule
    process: subprocess.Popen[bytes]
    lock: int
    said: Path
    deadline: float

    @classmethod
    def start(cls, schedule: Schedule, run: Run, *, lock: int, folder: Path) -> ReportProcess:
        """Start the report, its words and noise in files of `folder`; takes over the lock.

        Raises UsageError where the process cannot be started.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        said = _words(folder, schedule.name)
        try:
            with said.open("wb") as out, said.with_suffix(".log").open("wb") as noise:
                process = subprocess.Popen(
                    report_command(schedule), stdin=subprocess.PIPE, stdout=out, stderr=noise,
                    cwd=schedule.project, start_new_session=True, pass_fds=(lock,),
                    env=report_environment(schedule, os.environ, folder.parents[1]),
                )  # fmt: skip
        except OSError as error:
            os.close(lock)
            raise UsageError(f"the report could not be started: {error}") from None
        deadline = time.monotonic() + schedule.timeout_seconds + HARD_AFTER
        return cls(replace(run, pid=process.pid), schedule, process, lock, said, deadline)

    def poll(self, now: datetime) -> Run | None:
        """Return the run as it ended, None while it goes on; a report that hangs is killed."""
        if self.process.poll() is None:
            if time.monotonic() < self.deadline:
                return None
            self._kill()
            self._let_go()
            why = f"hung for more than {self.schedule.timeout_seconds} s and was killed"
            return self.run.ended(Status.TIMEOUT, now, error=why)
        self._let_go()
        return self._outcome(now)

    def stop(self, now: datetime, why: str) -> Run:
        """End the report as Ctrl-C would, or by force, and return the run as interrupted."""
        self._close_input()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOPPING)
        self._kill()
        self._let_go()
        told = as_told(self.run, self.said.parent)  # it may just have been done
        return told or self.run.ended(Status.INTERRUPTED, now, error=why)

    def _outcome(self, now: datetime) -> Run:
        told = as_told(self.run, self.said.parent)
        return told or self.run.ended(Status.FAILED, now, error=self._last_words())

    def _last_words(self) -> str:
        code = self.process.returncode
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        lines = self.said.with_suffix(".log").read_text(errors="replace").strip().splitlines()
        return (lines[-1] if lines else f"ended with exit code {code}").removeprefix("error: ")

    def _kill(self) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _close_input(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def _let_go(self) -> None:
        self._close_input()
        os.close(self.lock)
        sweep(self.schedule, self.run)


def as_told(run: Run, folder: Path) -> Run | None:
    """Return a run as its report told it; None where it died before it could.

    A report speaks once everything is in its place, so its word counts whatever became of it then.
    """
    try:
        told = json.loads(_words(folder, run.schedule).read_bytes())
    except (OSError, ValueError):
        return None
    if not Path(told["html"]).exists():  # a power cut can lose what was said to be there
        return None
    over = OVER in str(told["error"])
    failed = Status.TIMEOUT if over else Status.FAILED
    return replace(
        run, status=Status.OK if told["status"] == "ok" else failed, error=told["error"],
        html=told["html"], seconds=told["seconds"],
    )  # fmt: skip


def sweep(schedule: Schedule, run: Run) -> None:
    """Remove the hidden folder that a killed report left behind."""
    for half in (Path(schedule.out) / schedule.name).glob(f".part-*-{run.pid}"):
        shutil.rmtree(half, ignore_errors=True)


def _words(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"
