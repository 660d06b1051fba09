"""The health of a recorded series as it lies there, with what is known of the cause of each gap.

A gap that every other series of the same interval has too was the exchange standing still; one that
only this series has was lost on the way. A manifest that noted a cause is believed first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import polars as pl

from workbench.data import files
from workbench.data.catalogue import recorded_series
from workbench.data.places import Places, Series
from workbench.data.quality import Gap, Report, check, with_causes
from workbench.data.schema import OPEN_TIME
from workbench.data.store import Store
from workbench.data.times import iso
from workbench.market.timeframes import Timeframe, parse_timeframe


@dataclass(frozen=True, slots=True)
class Health:
    """A series' report with its name and source."""

    symbol: str
    interval: str
    source: str
    report: Report

    def as_dict(self) -> dict[str, object]:
        """Return the values for JSON."""
        named = {"symbol": self.symbol, "interval": self.interval, "source": self.source}
        return named | self.report.as_dict()

    def gap_lines(self) -> list[str]:
        """Return one line a gap."""
        return [
            f"{iso(gap.first_missing_ms)} to {iso(gap.last_missing_ms)}: {gap.bars} candles, {gap.cause}"
            for gap in self.report.gaps
        ]


def health(
    symbol: str,
    interval: str | Timeframe,
    *,
    venue: str = "binance",
    now_ms: int | None = None,
    places: Places | None = None,
) -> Health:
    """Return the health of the recorded series that `load` would take without a window.

    Raises UsageError where nobody recorded it. With `now_ms` the last candle is checked for being
    unclosed or stale.
    """
    timeframe = parse_timeframe(interval)
    places = places or Places.here()
    series, others = recorded_series(symbol, timeframe, venue=venue, places=places)
    report = check(files.read(list(series.parts)).collect(), timeframe, now_ms=now_ms)
    noted = _noted(series, places)
    return Health(
        symbol, timeframe.name, series.source, with_causes(report, partial(_cause, noted, others))
    )


def _noted(series: Series, places: Places) -> dict[int, str]:
    if series.place != "datasets" or places.datasets is None:
        return {}
    stored = Store(places.datasets).series(series.venue, series.symbol, series.timeframe)
    return {start: cause for start, cause in stored.gap_causes().items() if cause != "unknown"}


def _cause(noted: dict[int, str], others: list[Series], gap: Gap) -> str:
    if gap.first_missing_ms in noted:
        return noted[gap.first_missing_ms]
    covering = [
        one
        for one in others
        if one.first_ms < gap.first_missing_ms and gap.last_missing_ms < one.last_ms
    ]
    having = [one for one in covering if _holds_any(one, gap)]
    if not covering:
        return "unknown"
    if having:
        names = " ".join(sorted(one.symbol for one in having))
        return f"missing here only; {names} has candles there"
    names = " ".join(sorted(one.symbol for one in covering))
    return f"exchange outage: missing in {names} too"


def _holds_any(series: Series, gap: Gap) -> bool:
    inside = pl.col("open_time").is_between(
        pl.lit(gap.first_missing_ms).cast(OPEN_TIME), pl.lit(gap.last_missing_ms).cast(OPEN_TIME)
    )
    return bool(files.read(list(series.parts)).filter(inside).select(pl.len()).collect().item())
