"""What is due, given the schedules, the log of runs and a moment: no clock, no files, no processes.

A schedule is dealt with up to the due of its last run. What came due since then is one run, however
many moments it was, unless the latest of them is longer ago than the schedule's grace: then it was
missed, and is told as that. While a run of a schedule is going, its next one waits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from workbench.schedule.book import Schedule
from workbench.schedule.history import Run, Status
from workbench.schedule.timing import Moments, moments

WRONG_CLOCK: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Due:
    """A schedule whose moment has come, and whether there is still time for it."""

    schedule: Schedule
    moments: Moments
    missed: bool

    def run(self, now: datetime) -> Run:
        """Return what the log says of it as it begins, or of its having been missed."""
        running = Run(
            schedule=self.schedule.name,
            report=self.schedule.report,
            due=self.moments.latest,
            moments=self.moments.count,
            status=Status.RUNNING,
            started=now.replace(microsecond=0),
        )
        if not self.missed:
            return running
        late = now - self.moments.latest
        grace = timedelta(seconds=self.schedule.grace_seconds)
        why = f"{spelled(late)} late when a scheduler looked, and the grace is {spelled(grace)}"
        return running.ended(Status.MISSED, running.started, error=why)


def due(
    schedules: Sequence[Schedule], runs: Sequence[Run], now: datetime, *, busy: Collection[str] = ()
) -> list[Due]:
    """Return what is due now, the longest waiting first; schedules that are `busy` wait."""
    found = []
    for schedule in schedules:
        if schedule.name in busy:
            continue
        come = moments(schedule.timing, handled_until(schedule, runs, now), now)
        if come is not None:
            late = now - come.latest > timedelta(seconds=schedule.grace_seconds)
            found.append(Due(schedule, come, late))
    return sorted(found, key=lambda one: (one.moments.latest, one.schedule.name))


def next_due(schedule: Schedule, runs: Sequence[Run], now: datetime) -> datetime | None:
    """Return when a schedule will run next: now, if a moment has come that nothing has dealt with."""
    waiting = due([schedule], runs, now)
    if waiting and not waiting[0].missed:
        return waiting[0].moments.latest
    return schedule.timing.next(now)


def handled_until(schedule: Schedule, runs: Sequence[Run], now: datetime) -> datetime:
    """Return up to which moment a schedule is dealt with.

    A due in the future comes from a clock that was wrong; it does not hold the schedule back.
    """
    dues = [one.due for one in runs if one.schedule == schedule.name]
    return max([schedule.added, *(due for due in dues if due <= now + WRONG_CLOCK)])


def spelled(span: timedelta) -> str:
    """Return a span in its two largest units ("3 d 4 h", "12 min")."""
    seconds = round(span.total_seconds())
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
