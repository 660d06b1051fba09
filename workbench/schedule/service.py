"""The loop that starts reports when they are due: one scheduler a home, one run of a schedule at a time.

Time is handed in: `now` says the moment, `wait` lets time pass. Each turn collects what has ended,
looks for runs whose scheduler died, starts what is due, and writes every step into the log. The
file of schedules is read anew each turn, so that `add` and `remove` need no restart.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from workbench.errors import UsageError
from workbench.schedule.book import Book, Schedule
from workbench.schedule.due import Due, due
from workbench.schedule.history import History, Run, Status, last_of
from workbench.schedule.process import ReportProcess, as_told, sweep, try_lock

LONGEST_NAP: Final = 30.0  # seconds; the clock may jump, a schedule may be added
POLL: Final = 0.25  # seconds between looks at reports that run
PATIENCE: Final = 15.0  # seconds that reports of a dead scheduler get to end
STOPPED: Final = "the scheduler was stopped in the middle"


class Going(Protocol):
    """A report that runs."""

    run: Run

    def poll(self, now: datetime) -> Run | None:
        """Return the run as it ended, None while it goes on."""

    def stop(self, now: datetime, why: str) -> Run:
        """End it and return the run as interrupted."""


class Launch(Protocol):
    """Starts the process of a report."""

    def __call__(self, schedule: Schedule, run: Run, *, lock: int, folder: Path) -> Going:
        """Return the report as it goes; takes over the lock. Raises UsageError."""


class Service:
    """Runs reports on time until it is stopped."""

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], datetime],
        wait: Callable[[float], None],
        tell: Callable[[Run], None],
        slots: int = 2,
        launch: Launch = ReportProcess.start,
    ):
        self.folder = folder
        self.book = Book(folder)
        self.history = History(folder)
        self.now, self.wait, self.tell = now, wait, tell
        self.slots = slots
        self.launch = launch
        self.going: dict[str, Going] = {}
        self.runs: list[Run] = []  # the last of each schedule

    def once(self) -> list[Run]:
        """Run what is due, wait until it has ended, and return every run that ended."""
        with self._alone():
            until = self.now()
            ended = self._settle_patiently()
            ended += self.turn(until)
            while self.going:
                self.wait(POLL)
                ended += self.turn(until)
            return ended

    def serve(self) -> None:
        """Run reports on time until KeyboardInterrupt; what runs then is ended and told."""
        with self._alone():
            self._settle_patiently()
            while True:
                self.turn(self.now())
                self.wait(POLL if self.going else self._nap())

    def turn(self, until: datetime) -> list[Run]:
        """Collect what ended, start what was due at `until`; return what has ended."""
        ended = self._collect()
        ended += self._settle()
        for one in due(self.book.read(), self.runs, until, busy=self._busy()):
            if one.missed:
                ended.append(self._log(one.run(self.now())))
            elif len(self.going) < self.slots:
                ended += self._start(one)
        return ended

    def _nap(self) -> float:
        """Return how long nothing will be due, at most 30 s."""
        now = self.now()
        moments = (one.timing.next(now) for one in self.book.read())
        left = [(at - now).total_seconds() for at in moments if at is not None]
        return min([LONGEST_NAP, *left])

    def _busy(self) -> set[str]:
        return {run.schedule for run in self.runs if not run.over}

    def _start(self, one: Due) -> list[Run]:
        lock = try_lock(self._lock_path(one.schedule.name))
        if lock is None:
            return []  # a run of a dead scheduler has not ended yet
        run = one.run(self.now())
        try:
            going = self.launch(one.schedule, run, lock=lock, folder=self.folder / "runs")
        except UsageError as error:
            return [self._log(run.ended(Status.FAILED, self.now(), error=str(error)))]
        self.going[run.schedule] = going
        self._log(going.run)
        return []

    def _collect(self) -> list[Run]:
        ended = []
        for name, going in list(self.going.items()):
            if (run := going.poll(self.now())) is not None:
                del self.going[name]
                ended.append(self._log(run))
        return ended

    def _settle(self) -> list[Run]:
        """Log what became of runs whose scheduler died, once their report has ended too."""
        ended = []
        for run in [one for one in self.runs if not one.over and one.schedule not in self.going]:
            lock = try_lock(self._lock_path(run.schedule))
            if lock is None:
                continue
            os.close(lock)
            for schedule in self.book.read():
                if schedule.name == run.schedule:
                    sweep(schedule, run)
            ended.append(self._log(as_told(run, self.folder / "runs") or run.lost()))
        return ended

    def _settle_patiently(self) -> list[Run]:
        ended = self._settle()
        for _ in range(round(PATIENCE / POLL)):
            if all(run.over for run in self.runs):
                break
            self.wait(POLL)
            ended += self._settle()
        return ended

    def _log(self, run: Run) -> Run:
        self.history.write(run)
        self.runs = [one for one in self.runs if one.schedule != run.schedule] + [run]
        self.tell(run)
        return run

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of this folder's scheduler; UsageError with the pid of the one that has it."""
        path = self.folder / "scheduler.lock"
        lock = try_lock(path)
        if lock is None:
            raise UsageError(
                f"a scheduler runs already (pid {holder(path)}); one is enough: stop that one first"
            )
        try:
            os.ftruncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
            self.runs = list(last_of(self.history.read()).values())
            yield
        finally:
            stopped = [going.stop(self.now(), STOPPED) for going in self.going.values()]
            for run in stopped:
                self._log(run)
            os.ftruncate(lock, 0)
            os.close(lock)

    def _lock_path(self, name: str) -> Path:
        return self.folder / "runs" / f"{name}.lock"


def holder(path: Path) -> str:
    """Return the pid that a lock's file tells, "unknown" where it tells none."""
    try:
        return path.read_text(encoding="ascii").strip() or "unknown"
    except OSError:
        return "unknown"
