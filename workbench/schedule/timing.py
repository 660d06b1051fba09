"""When a schedule is due, in UTC: by a cron text, or every so often from a first moment.

A cron text means what it means in crontab: 0 and 7 are Sunday, and where both a day of the month and
a day of the week are named, either will do. APScheduler's trigger finds the moments; it counts
weekdays from Monday and wants both days at once, so its weekdays are spelled as names here, and two
triggers stand for "either".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from workbench.errors import UsageError

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

FIELDS: Final = ("minute", "hour", "day of the month", "month", "day of the week")
DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
EXAMPLE: Final = '"0 6 * * *" is 06:00 every day, "30 7 * * mon-fri" 07:30 on workdays (UTC)'
UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
MOST_COUNTED: Final = 1_000  # of the moments that went by; more are told as this many
TICK: Final = timedelta(microseconds=1)
_WEEKDAYS: Final = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")


class Timing(Protocol):
    """Says when the next moment is."""

    def next(self, after: datetime) -> datetime | None:
        """Return the first moment later than `after`; None where none will come."""


@dataclass(frozen=True, slots=True)
class Moments:
    """The moments of a schedule that have come: the latest, and how many they were."""

    latest: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Every:
    """Every `step` from `first` on."""

    step: timedelta
    first: datetime

    def next(self, after: datetime) -> datetime | None:
        """Return the first moment later than `after`."""
        if after < self.first:
            return self.first
        return self.first + ((after - self.first) // self.step + 1) * self.step


@dataclass(frozen=True, slots=True)
class Cron:
    """A crontab line's five fields, in UTC. Raises UsageError for a text that is none."""

    text: str
    _triggers: tuple[CronTrigger, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_triggers", _triggers(self.text))

    def next(self, after: datetime) -> datetime | None:
        """Return the first moment later than `after`."""
        found = [one.get_next_fire_time(None, after + TICK) for one in self._triggers]
        return min((one for one in found if one is not None), default=None)


def moments(timing: Timing, after: datetime, until: datetime) -> Moments | None:
    """Return the moments in (after, until], None where there is none; at most 1,000 are counted."""
    counted = list(islice(_between(timing, after, until), MOST_COUNTED))
    if not counted:
        return None
    if len(counted) < MOST_COUNTED:
        return Moments(counted[-1], len(counted))
    back = timedelta(minutes=1)
    while (late := timing.next(until - back)) is None or late > until:
        back *= 2
    *_, latest = _between(timing, until - back, until)
    return Moments(latest, MOST_COUNTED)


def demand_one(cron: str | None, every: object, at: str | None) -> None:
    """Raise UsageError where it is not said when a schedule is due, or said twice."""
    if (cron is None) == (every is None):
        raise UsageError(f"a schedule needs either --cron or --every 6h, one of them; {EXAMPLE}")
    if cron is not None and at is not None:
        raise UsageError("--at goes with --every; a cron text says the time itself")


def parse_duration(text: str, name: str) -> int:
    """Return "90m", "6h", "1d" in seconds; UsageError for anything else, and for nothing."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    if found is None or int(found[1]) == 0:
        raise UsageError(f"{name} {text!r} is no span of time; write it like 30m, 6h, 1d or 1w")
    return int(found[1]) * UNITS[found[2]]


def write_duration(seconds: int) -> str:
    """Return seconds in the largest unit that leaves nothing over, as `parse_duration` reads it."""
    unit = max((u for u, size in UNITS.items() if seconds % size == 0), key=UNITS.__getitem__)
    return f"{seconds // UNITS[unit]}{unit}"


def parse_clock(text: str) -> timedelta:
    """Return "06:00" as the time since midnight; UsageError for anything else."""
    found = re.fullmatch(r"(\d{2}):(\d{2})", text.strip())
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise UsageError(f"--at {text!r} is no time of the day; write it like 06:00 (UTC)")
    return timedelta(hours=int(found[1]), minutes=int(found[2]))


def midnight(at: datetime) -> datetime:
    """Return the beginning of that day in UTC."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _between(timing: Timing, after: datetime, until: datetime) -> Iterator[datetime]:
    while (at := timing.next(after)) is not None and at <= until:
        yield at
        after = at


def _triggers(text: str) -> tuple[CronTrigger, ...]:
    parts = text.lower().split()
    if len(parts) != len(FIELDS):
        raise UsageError(
            f"--cron {text!r} has {len(parts)} fields; five are needed "
            f"(minute, hour, day, month, weekday): {EXAMPLE}"
        )
    minute, hour, day, month, week = parts
    weekdays = "*" if week == "*" else ",".join(_weekdays(text, week))
    either = not day.startswith("*") and not week.startswith("*")
    days = [(day, "*"), ("*", weekdays)] if either else [(day, weekdays)]
    return tuple(_trigger(text, (minute, hour, day, month, week)) for day, week in days)


def _trigger(text: str, parts: tuple[str, ...]) -> CronTrigger:
    from apscheduler.triggers.cron import CronTrigger

    names = ("minute", "hour", "day", "month", "day_of_week")
    for name, said, part in zip(names, FIELDS, parts, strict=True):
        try:
            CronTrigger(**{name: part}, timezone=UTC)
        except ValueError as error:
            raise UsageError(f"--cron {text!r}: {said} {part!r}: {error}; {EXAMPLE}") from None
    trigger = CronTrigger(**dict(zip(names, parts, strict=True)), timezone=UTC)
    if trigger.get_next_fire_time(None, datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise UsageError(f"--cron {text!r} names a day that never comes; {EXAMPLE}")
    return trigger


def _weekdays(text: str, week: str) -> list[str]:
    """Return the weekdays of a cron field as APScheduler's names, Sunday first."""
    chosen: set[int] = set()
    for part in week.split(","):
        found = _WEEKDAYS.fullmatch(part)
        span = _span(found[1], found[2]) if found else None
        step = int(found[3] or 1) if found else 0
        if span is None or step == 0:
            raise UsageError(
                f"--cron {text!r}: day of the week {part!r} is none of 0-7 (0 and 7 are Sunday), "
                f"sun-sat, a rising range or */step; {EXAMPLE}"
            )
        chosen |= {day % 7 for day in span[::step]}
    return [DAYS[day] for day in sorted(chosen)]


def _span(first: str | None, last: str | None) -> range | None:
    if first is None:
        return range(7)
    low = _day(first)
    high = low if last is None else _day(last)
    if low is None or high is None:
        return None
    if last is not None and high == 0:
        high = 7  # a range that ends on Sunday
    return range(low, high + 1) if low <= high else None


def _day(text: str) -> int | None:
    if text in DAYS:
        return DAYS.index(text)
    return int(text) if text.isdecimal() and int(text) <= 7 else None
