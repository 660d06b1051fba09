"""Points in time as a user writes them, and as the store keeps them: int64 milliseconds UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TypeAlias

from workbench.errors import UsageError

When: TypeAlias = str | int | datetime | date

_EARLIEST_MS = 100_000_000_000  # 1973; a smaller number is a count of seconds
_LATEST_MS = 10_000_000_000_000  # 2286; a larger number is a count of microseconds


def to_ms(when: When, *, name: str = "time") -> int:
    """Return a moment in milliseconds UTC; text is ISO 8601, a time without a zone is UTC.

    Raises UsageError for text that is no ISO time and for numbers that are not milliseconds.
    """
    if isinstance(when, bool):
        raise UsageError(f"{name}={when!r} is not a time; write it like 2024-10-01T00:00Z")
    if isinstance(when, datetime):
        return _datetime_ms(when)
    if isinstance(when, date):
        return _datetime_ms(datetime(when.year, when.month, when.day))
    if isinstance(when, str):
        return _text_ms(when.strip(), name)
    return _number_ms(int(when), name)


def iso(time_ms: int) -> str:
    """Return a time as ISO text in UTC, no finer than it needs ("2024-10-01T00:00Z")."""
    at = datetime.fromtimestamp(time_ms / 1000, UTC)
    if time_ms % 1000:
        return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"
    return at.strftime("%Y-%m-%dT%H:%M:%SZ" if at.second else "%Y-%m-%dT%H:%MZ")


def window_ms(start: When | None, end: When | None) -> tuple[int | None, int | None]:
    """Return the half-open window [start, end) in milliseconds; UsageError where it is reversed."""
    first = None if start is None else to_ms(start, name="start")
    last = None if end is None else to_ms(end, name="end")
    if first is not None and last is not None and first >= last:
        raise UsageError(f"start {iso(first)} is not before end {iso(last)}; swap them")
    return first, last


def _datetime_ms(at: datetime) -> int:
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    since_epoch = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (
        since_epoch.days * 86_400 + since_epoch.seconds
    ) * 1000 + since_epoch.microseconds // 1000


def _text_ms(text: str, name: str) -> int:
    if text.isdecimal() and len(text) > 8:
        return _number_ms(int(text), name)
    try:
        return _datetime_ms(datetime.fromisoformat(text))
    except ValueError:
        raise UsageError(
            f"{name}={text!r} is not a time; write it like 2024-10-01 or 2024-10-01T00:00Z"
        ) from None


def _number_ms(number: int, name: str) -> int:
    if number == 0 or _EARLIEST_MS <= number <= _LATEST_MS:
        return number
    unit = "seconds" if abs(number) < _EARLIEST_MS else "microseconds"
    raise UsageError(
        f"{name}={number} looks like {unit}; give milliseconds since 1970 or an ISO time"
    )
