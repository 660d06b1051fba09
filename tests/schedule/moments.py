"""Moments, schedules and a slow, obvious crontab for the tests of schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workbench.schedule.book import Schedule, new_schedule

WEDNESDAY = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SIX = datetime(2026, 11, 26, 6, 0, tzinfo=UTC)


def at(text: str) -> datetime:
    """Return an ISO text without a zone as a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def schedule(name: str = "daily", **fields: object) -> Schedule:
    """Return a schedule that was added on a Wednesday at noon, with a grace of an hour."""
    given: dict[str, object] = {
        "name": name, "report": "daily", "grace_seconds": 3_600, "timeout_seconds": 600,
        "project": "/project", "out": "/project/reports", "added": WEDNESDAY,
    }  # fmt: skip
    if "every_seconds" not in fields:
        given["cron"] = "0 6 * * *"
    return new_schedule(**(given | fields))


def naive_next(fields: list[set[int] | None], after: datetime) -> datetime:
    """Return crontab's next minute by trying each; None stands for `*`, weekdays count from Sunday."""
    minutes, hours, days, months, weekdays = fields
    now = after.replace(second=0, microsecond=0)
    while True:
        now += timedelta(minutes=1)
        if months is not None and now.month not in months:
            now = (now.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
            now -= timedelta(minutes=1)
            continue
        of_month = days is None or now.day in days
        of_week = weekdays is None or now.isoweekday() % 7 in weekdays
        either = days is not None and weekdays is not None
        if not (of_month or of_week if either else of_month and of_week):
            now = now.replace(hour=23, minute=59)
            continue
        if hours is not None and now.hour not in hours:
            now = now.replace(minute=59)
            continue
        if minutes is None or now.minute in minutes:
            return now
