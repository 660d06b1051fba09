"""Bring candles into the store: only what is missing, checked before it is kept.

What is missing follows from the stored candles alone: the time before the first, every hole, and
the time after the last. So a collection can be killed and started again at any moment, and running
it twice changes nothing. A hole that the source leaves open is kept as a gap with that cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from threading import Event

import numpy as np
import polars as pl

from workbench.data.catalogue import refuse_symbol
from workbench.data.jobs import Stopped, run_jobs
from workbench.data.manifest import noted_declarations
from workbench.data.schema import marked
from workbench.data.sources.base import Source, declared_by
from workbench.data.store import Added, Store, StoredSeries
from workbench.data.times import iso
from workbench.errors import DataError, UsageError
from workbench.market.timeframes import Timeframe, parse_timeframe

_BATCH_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did to one series, and how the series stands now."""

    venue: str
    symbol: str
    interval: str
    new: int
    known: int
    revised: int
    rows: int
    gaps: int
    missing: int
    first: str | None
    last: str | None
    sha256: str
    warnings: dict[str, int]
    declared: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the values for JSON."""
        return asdict(self)


def collect(
    source: Source,
    store: Store,
    *,
    symbols: Sequence[str],
    intervals: Sequence[str | Timeframe],
    since_ms: int,
    until_ms: int,
    clock_ms: Callable[[], int],
    jobs: int = 1,
    progress: bool = True,
) -> list[Collected]:
    """Fetch what the store lacks of each series in [since, until) and return what was done.

    `clock_ms` gives the time that the manifests note; at most `jobs` series are fetched at a time.
    Raises the source's errors; what was stored before the error stays, and the same call goes on
    from there.
    """
    timeframes = [parse_timeframe(interval) for interval in intervals]
    for symbol in symbols:
        refuse_symbol(symbol)
    if since_ms >= until_ms:
        raise UsageError(
            f"since {iso(since_ms)} is not before until {iso(until_ms)}; swap them, or "
            "widen the window"
        )
    wanted = [
        store.series(source.venue, symbol, timeframe)
        for symbol in symbols
        for timeframe in timeframes
    ]
    return collect_series(
        source, wanted, since_ms, until_ms, clock_ms=clock_ms, jobs=jobs, progress=progress
    )


def collect_series(
    source: Source,
    wanted: Sequence[StoredSeries],
    since_ms: int,
    until_ms: int,
    *,
    clock_ms: Callable[[], int],
    jobs: int = 1,
    progress: bool = True,
) -> list[Collected]:
    """Do what `collect` does for series that are named already."""

    def work(series: StoredSeries, stop: Event) -> Collected:
        return _collect_series(source, series, since_ms, until_ms, clock_ms, progress, stop)

    return run_jobs(work, wanted, jobs)


def missing_ranges(
    opening_times: Sequence[int] | np.ndarray, timeframe: Timeframe, since_ms: int, until_ms: int
) -> list[tuple[int, int]]:
    """Return the half-open stretches of [since, until) in which candles could open but none does.

    `opening_times` rise; a stretch begins and ends on opening times of the timeframe.
    """
    first, last = timeframe.floor(since_ms), timeframe.floor(until_ms)
    begin = first if first == since_ms else timeframe.next(first)
    end = until_ms if last == until_ms else timeframe.next(last)
    times = np.asarray(opening_times, np.int64)
    held = times[(times >= begin) & (times < end)]
    if timeframe.fixed_ms is not None:
        following = held + timeframe.fixed_ms
    else:
        following = np.array([timeframe.next(time_ms) for time_ms in held.tolist()], np.int64)
    starts, ends = np.append(begin, following), np.append(held, end)
    holes = starts < ends
    return list(zip(starts[holes].tolist(), ends[holes].tolist(), strict=True))


def _collect_series(
    source: Source,
    series: StoredSeries,
    since_ms: int,
    until_ms: int,
    clock_ms: Callable[[], int],
    progress: bool,
    stop: Event,
) -> Collected:
    from tqdm.auto import tqdm

    before = series.opening_times()
    ranges = missing_ranges(before, series.timeframe, since_ms, until_ms)
    label = f"{series.symbol} {series.timeframe}"
    done = Added(0, 0, 0)
    total = None  # without a beginning nobody knows how many there are
    if since_ms > 0:
        total = sum(series.timeframe.steps(start_ms, end_ms) for start_ms, end_ms in ranges)
    with tqdm(
        desc=label, total=total, unit=" candles", unit_scale=True, disable=not progress
    ) as bar:
        for start_ms, end_ms in ranges:
            pages = source.fetch(series.symbol, series.timeframe, start_ms, end_ms)
            for batch in _batches(pages, source.description):
                if stop.is_set():
                    raise Stopped
                added = series.add(batch, collected_ms=clock_ms())
                done += added
                bar.update(added.new)
    nothing_came = not (done.new or done.known)  # known: another collector was quicker
    if nothing_came and not len(before):
        raise DataError(
            f"{label}: {source.description} has no closed candle between {iso(since_ms)} and "
            f"{iso(until_ms)}; check the symbol, or widen the window"
        )
    series.seal(
        source=source.description,
        asked=ranges,
        declared=declared_by(source, series.symbol, series.timeframe),
        collected_ms=clock_ms(),
    )
    return summary(series, done)


def _batches(pages: Iterator[pl.DataFrame], provenance: str) -> Iterator[pl.DataFrame]:
    """Join pages, marked with their provenance, so that a file is rewritten once for many."""
    waiting: list[pl.DataFrame] = []
    try:
        for page in pages:
            waiting.append(page)
            if sum(len(one) for one in waiting) >= _BATCH_ROWS:
                yield marked(pl.concat(waiting), provenance)
                waiting = []
    except Exception:
        if waiting:  # what came before the trouble is good, and need not come again
            yield marked(pl.concat(waiting), provenance)
        raise
    if waiting:
        yield marked(pl.concat(waiting), provenance)


def summary(series: StoredSeries, done: Added) -> Collected:
    """Return how a series stands after candles were added to it."""
    manifest = series.manifest() or {}
    gaps = manifest.get("gaps")
    first, last = manifest.get("first"), manifest.get("last")
    warnings = manifest.get("warnings")
    return Collected(
        venue=series.venue,
        symbol=series.symbol,
        interval=series.timeframe.name,
        new=done.new,
        known=done.known,
        revised=done.revised,
        rows=int(str(manifest.get("rows", 0))),
        gaps=len(gaps) if isinstance(gaps, list) else 0,
        missing=int(str(manifest.get("missing", 0))),
        first=str(first) if first else None,
        last=str(last) if last else None,
        sha256=str(manifest.get("sha256", "")),
        warnings=dict(warnings) if isinstance(warnings, dict) else {},
        declared=tuple(one.message for one in noted_declarations(manifest)),
    )
