"""The health of a recorded series as it lies there, with what is known of the cause of each gap.

A gap that every other series of the same interval has too was the exchange standing still; one that
only this series has was lost on the way. A manifest that noted a cause is believed first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from workbench.data import files
from workbench.data.catalogue import finer_series, recorded_series
from workbench.data.comparisons import overlap, rebuilt
from workbench.data.gap_map import GapMap, beside, calendar
from workbench.data.health_page import page_of
from workbench.data.manifest import noted_declarations
from workbench.data.places import Places, Series
from workbench.data.quality import Finding, Gap, Report, check, with_causes, with_warnings
from workbench.data.schema import OPEN_TIME
from workbench.data.sources.base import Source
from workbench.data.store import Store
from workbench.data.times import iso
from workbench.errors import UsageError
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

    def gap_map(self) -> GapMap:
        """Return where candles are and where they are missing, as a picture for notebooks."""
        return calendar(self.report, parse_timeframe(self.interval))

    def _repr_html_(self) -> str:
        return page_of(self.report, symbol=self.symbol, interval=self.interval, source=self.source)

    def gap_lines(self) -> list[str]:
        """Return one line a gap."""
        return [
            f"{iso(gap.first_missing_ms)} to {iso(gap.last_missing_ms)}: {gap.bars} candles, {gap.cause}"
            for gap in self.report.gaps
        ]


def gap_map(healths: Sequence[Health]) -> GapMap:
    """Return the gap map of several series under one time, a row a series."""
    return beside(
        [
            (f"{one.symbol} {one.interval}", parse_timeframe(one.interval), one.report)
            for one in healths
        ]
    )


def health(
    symbol: str,
    interval: str | Timeframe,
    *,
    venue: str = "binance",
    now_ms: int | None = None,
    places: Places | None = None,
    against: Source | None = None,
) -> Health:
    """Return the health of the recorded series that `load` would take without a window.

    Raises UsageError where nobody recorded it. With `now_ms` the last candle is checked for being
    unclosed or stale; `against` another source of the same venue, a sample of 1 % is compared.
    """
    timeframe = parse_timeframe(interval)
    places = places or Places.here()
    series, others = recorded_series(symbol, timeframe, venue=venue, places=places)
    frame = files.read(list(series.parts), keep=("close_time",)).collect()
    report = check(frame, timeframe, now_ms=now_ms)
    if not report.errors:
        report = with_warnings(report, _second_looks(series, frame, places, against))
    noted = _noted(series, places)
    return Health(
        symbol, timeframe.name, series.source, with_causes(report, partial(_cause, noted, others))
    )


def _second_looks(
    series: Series, frame: pl.DataFrame, places: Places, against: Source | None
) -> Iterator[Finding]:
    """Yield what other tellers of the same market say: finer candles, sources, the store's notes."""
    for finer in finer_series(series, places):
        fine = files.read(list(finer.parts)).collect()
        if not check(fine, finer.timeframe).errors:
            yield from rebuilt(frame, fine, interval=series.timeframe, finer=finer.timeframe)
    if series.place == "datasets" and places.datasets is not None:
        stored = Store(places.datasets).series(series.venue, series.symbol, series.timeframe)
        yield from noted_declarations(stored.manifest())
        yield from _revised(stored.revisions())
    if against is not None:
        if against.venue != series.venue:
            raise UsageError(
                f"{series.symbol} {series.timeframe}: {against.description} is of venue "
                f"{against.venue}, the candles are of venue {series.venue}; name a source of that"
            )
        yield from overlap(frame, series.timeframe, against, named=series.source)


def _revised(revisions: list[dict[str, object]]) -> Iterator[Finding]:
    times = sorted({str(one["open_time"]) for one in revisions})
    if times:
        message = (
            f"{len(times)} candles came again with other numbers (the first ones are kept, see "
            f"revisions.jsonl), the first at {times[0]}"
        )
        yield Finding("revised", len(times), tuple(times[:5]), message)


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
