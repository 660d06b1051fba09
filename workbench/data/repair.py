"""Fill the holes of a stored series from another source, and mark every candle that came so.

A hole is asked for with the candle before and after it. Only a source that gives these two as they
are stored is believed; what it then gives inside the hole is stored with the mark "repaired from".
What it does not have stays a gap: nothing is ever invented.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from workbench.data.comparisons import differing_times
from workbench.data.quality import Gap, check
from workbench.data.schema import OPEN_TIME, PROVENANCE, REPAIRED, marked
from workbench.data.sources.base import Source
from workbench.data.store import StoredSeries
from workbench.data.times import iso
from workbench.errors import UsageError
from workbench.market.timeframes import Timeframe


@dataclass(frozen=True, slots=True)
class Hole:
    """What became of one hole: `filled` candles of `bars`, and why not all."""

    first_missing_ms: int
    last_missing_ms: int
    bars: int
    filled: int
    outcome: str

    @property
    def line(self) -> str:
        """Return the hole as a line to read."""
        first, last = iso(self.first_missing_ms), iso(self.last_missing_ms)
        return f"{first} to {last}: {self.filled} of {self.bars} candles, {self.outcome}"

    def as_dict(self) -> dict[str, object]:
        """Return the values for JSON; times are ISO text."""
        return {
            "first_missing": iso(self.first_missing_ms),
            "last_missing": iso(self.last_missing_ms),
            "bars": self.bars,
            "filled": self.filled,
            "outcome": self.outcome,
        }


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did to a series, hole by hole."""

    symbol: str
    interval: str
    source: str
    holes: tuple[Hole, ...]

    @property
    def filled(self) -> int:
        """Return how many candles came in."""
        return sum(hole.filled for hole in self.holes)

    @property
    def missing(self) -> int:
        """Return how many candles are still missing."""
        return sum(hole.bars for hole in self.holes) - self.filled

    def as_dict(self) -> dict[str, object]:
        """Return the values for JSON."""
        return {
            "symbol": self.symbol,
            "interval": self.interval,
            "source": self.source,
            "filled": self.filled,
            "missing": self.missing,
            "holes": [hole.as_dict() for hole in self.holes],
        }


def repair(source: Source, series: StoredSeries, *, clock_ms: Callable[[], int]) -> Repaired:
    """Fill the holes between the first and the last stored candle, and say what became of each.

    Raises UsageError where nothing is stored or the source is of another venue, and the source's
    own errors; holes filled before an error stay filled.
    """
    label = f"{series.symbol} {series.timeframe}"
    if source.venue != series.venue:
        raise UsageError(
            f"{label}: {source.description} is of venue {source.venue}, the stored candles are of "
            f"venue {series.venue}; candles of two venues are not mixed"
        )
    stored = series.scan().collect()
    if stored.is_empty():
        raise UsageError(
            f"{label}: the store holds no such candles of venue {series.venue}; "
            "collect them first, or name their venue with --venue"
        )
    report = check(stored, series.timeframe)
    report.refuse(label)
    holes = []
    for gap in report.gaps:
        hole, candles = _asked(source, stored, series.timeframe, gap)
        if hole.filled:
            series.add(_remarked(candles, source), collected_ms=clock_ms())
        holes.append(hole)
    if holes:
        stretches = [
            (hole.first_missing_ms, series.timeframe.next(hole.last_missing_ms)) for hole in holes
        ]
        collected_from = str((series.manifest() or {}).get("source", source.description))
        series.seal(
            source=collected_from,
            asked=stretches,
            asked_of=source.description,
            collected_ms=clock_ms(),
        )
    return Repaired(series.symbol, series.timeframe.name, source.description, tuple(holes))


def _asked(
    source: Source, stored: pl.DataFrame, timeframe: Timeframe, gap: Gap
) -> tuple[Hole, pl.DataFrame]:
    """Ask for a hole with its two neighbours; return what to store, which is nothing in doubt."""
    before_ms = timeframe.floor(gap.first_missing_ms - 1)
    after_ms = timeframe.next(gap.last_missing_ms)
    symbol = str(stored.item(0, "symbol"))
    pages = list(source.fetch(symbol, timeframe, before_ms, timeframe.next(after_ms)))
    found = pl.concat(pages) if pages else stored.clear()
    check(found, timeframe).refuse(f"{symbol} {timeframe} of {source.description}")
    inside = _between(found, gap.first_missing_ms, gap.last_missing_ms)
    theirs = [_between(found, at, at) for at in (before_ms, after_ms)]
    ours = [
        _between(stored, at, at)
        for at, their in zip((before_ms, after_ms), theirs, strict=True)
        if not their.is_empty()
    ]
    if inside.is_empty():
        return _hole(gap, 0, "absent there too"), inside
    if not ours:
        return _hole(gap, 0, "refused: it has neither neighbour to be compared with"), inside
    if differing := differing_times(pl.concat(ours), pl.concat(theirs)):
        told = f"refused: its candle of {iso(differing[0])} is not the one that is stored"
        return _hole(gap, 0, told), inside
    whole = len(inside) == gap.bars
    return _hole(gap, len(inside), "filled" if whole else "filled in part"), inside


def _hole(gap: Gap, filled: int, outcome: str) -> Hole:
    return Hole(gap.first_missing_ms, gap.last_missing_ms, gap.bars, filled, outcome)


def _remarked(frame: pl.DataFrame, source: Source) -> pl.DataFrame:
    """Return the candles marked as repaired from their source."""
    told = marked(frame, source.description)
    return told.with_columns((pl.lit(REPAIRED) + pl.col(PROVENANCE)).alias(PROVENANCE))


def _between(frame: pl.DataFrame, first_ms: int, last_ms: int) -> pl.DataFrame:
    first, last = (pl.lit(at).cast(OPEN_TIME) for at in (first_ms, last_ms))
    return frame.filter(pl.col("open_time").is_between(first, last))
