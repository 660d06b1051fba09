"""The sixteen candle intervals of Binance, and where each of their candles opens.

A fixed interval counts from the Unix epoch in UTC, with one exception: a week opens on Monday.
A month ("1M") has no fixed length and follows the calendar.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from workbench.errors import UsageError

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
YEAR_MS = 365 * DAY_MS
MONTH_MEAN_MS = YEAR_MS // 12
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05, the first Monday after the epoch


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A candle interval: its Binance name and, for all but the month, its length in milliseconds."""

    name: str
    fixed_ms: int | None

    @property
    def mean_ms(self) -> int:
        """Return the length in milliseconds; for the month a twelfth of 365 days."""
        return MONTH_MEAN_MS if self.fixed_ms is None else self.fixed_ms

    @property
    def per_year(self) -> float:
        """Return how many candles a year of 365 days holds."""
        return YEAR_MS / self.mean_ms

    def floor(self, time_ms: int) -> int:
        """Return the opening time (ms, UTC) of the candle that contains `time_ms`."""
        if self.fixed_ms is None:
            at = datetime.fromtimestamp(time_ms / 1000, UTC)
            return _month_ms(at.year, at.month)
        anchor = _MONDAY_MS if self.fixed_ms == WEEK_MS else 0
        return (time_ms - anchor) // self.fixed_ms * self.fixed_ms + anchor

    def next(self, open_ms: int) -> int:
        """Return the opening time of the candle after the one that opens at `open_ms`."""
        if self.fixed_ms is None:
            at = datetime.fromtimestamp(open_ms / 1000, UTC)
            return _month_ms(at.year + at.month // 12, at.month % 12 + 1)
        return open_ms + self.fixed_ms

    def steps(self, earlier_ms: int, later_ms: int) -> int:
        """Return how many candles lie between two opening times (1 for neighbours)."""
        if self.fixed_ms is not None:
            return (later_ms - earlier_ms) // self.fixed_ms
        first, last = (datetime.fromtimestamp(t / 1000, UTC) for t in (earlier_ms, later_ms))
        return (last.year - first.year) * 12 + last.month - first.month

    def __str__(self) -> str:
        return self.name


def _month_ms(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000


TIMEFRAMES: dict[str, Timeframe] = {
    name: Timeframe(name, fixed_ms)
    for name, fixed_ms in {
        "1s": SECOND_MS,
        "1m": MINUTE_MS,
        "3m": 3 * MINUTE_MS,
        "5m": 5 * MINUTE_MS,
        "15m": 15 * MINUTE_MS,
        "30m": 30 * MINUTE_MS,
        "1h": HOUR_MS,
        "2h": 2 * HOUR_MS,
        "4h": 4 * HOUR_MS,
        "6h": 6 * HOUR_MS,
        "8h": 8 * HOUR_MS,
        "12h": 12 * HOUR_MS,
        "1d": DAY_MS,
        "3d": 3 * DAY_MS,
        "1w": WEEK_MS,
        "1M": None,
    }.items()
}


def parse_timeframe(name: str | Timeframe) -> Timeframe:
    """Return the timeframe of that Binance name ("1m" is a minute, "1M" a month).

    Raises UsageError for any other name.
    """
    if isinstance(name, Timeframe):
        return name
    try:
        return TIMEFRAMES[name]
    except KeyError:
        known = " ".join(TIMEFRAMES)
        raise UsageError(f"unknown interval {name!r}; use one of {known}") from None
