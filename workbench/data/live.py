"""Collect candles as they close: first what is missing up to now, then whatever the stream tells.

Each candle is stored within seconds of its close, so a kill loses nothing that the next run does not
ask for again. The manifests are written when the collection ends: at its end time, by Ctrl-C, or by
an error, which is raised after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from workbench.data.catalogue import refuse_symbol
from workbench.data.collect import Collected, collect_series, summary
from workbench.data.sources.binance_live import BinanceLive, Closed, Key
from workbench.data.store import Added, Store, StoredSeries
from workbench.data.times import iso
from workbench.errors import UsageError
from workbench.market.timeframes import MINUTE_MS, Timeframe, parse_timeframe

_WRITE_EVERY_MS = 5_000
_WRITE_SECONDS_EVERY_MS = 60_000  # of 1s candles, whose files are rewritten as a whole


def collect_live(
    source: BinanceLive,
    store: Store,
    *,
    symbols: Sequence[str],
    intervals: Sequence[str | Timeframe],
    since_ms: int | None,
    until_ms: int | None,
    clock_ms: Callable[[], int],
    jobs: int = 1,
    progress: bool = True,
) -> list[Collected]:
    """Collect from `since` on until `until`, or until Ctrl-C, and return what was done.

    Without `since` a series goes on from its last stored candle, and one that is not stored begins
    with the candle that is open now. Raises what the source raises; what was stored stays.
    """
    timeframes = [parse_timeframe(interval) for interval in intervals]
    for symbol in symbols:
        refuse_symbol(symbol)
    now_ms = source.rest.server_time_ms()
    if until_ms is not None and until_ms <= (since_ms or 0):
        raise UsageError(f"until {iso(until_ms)} is not after since; swap them, or leave one out")
    series = [store.series(source.venue, one, t) for one in symbols for t in timeframes]
    if since_ms is not None:
        behind = [one for one in series if one.timeframe.next(since_ms) <= now_ms]
        end_ms = now_ms if until_ms is None else min(now_ms, until_ms)
        collect_series(
            source.rest, behind, since_ms, end_ms, clock_ms=clock_ms, jobs=jobs, progress=progress
        )
    keeping = {(one.symbol, one.timeframe): _Keeping(one) for one in series}
    begin = {key: one.begins_at(since_ms) for key, one in keeping.items()}
    try:
        _keep(source.follow(begin, until_ms=until_ms), keeping, clock_ms, progress)
    except KeyboardInterrupt:
        pass  # the usual end
    finally:
        for one in keeping.values():
            one.end(source.description, clock_ms())
    return [summary(one.series, one.done) for one in keeping.values() if one.series.manifest()]


def _keep(
    told: Iterable[Closed],
    keeping: Mapping[Key, _Keeping],
    clock_ms: Callable[[], int],
    progress: bool,
) -> None:
    from tqdm.auto import tqdm

    with tqdm(desc="live", unit=" candles", disable=not progress) as bar:
        for closed in told:
            keeping[closed.symbol, closed.timeframe].take(closed.candles, clock_ms())
            bar.update(len(closed.candles))
            bar.set_postfix_str(f"{closed.symbol} {closed.timeframe}", refresh=False)


@dataclass(slots=True)
class _Keeping:
    """One series: what waits to be written, and what was."""

    series: StoredSeries
    done: Added = field(default_factory=lambda: Added(0, 0, 0))
    _waiting: list[pl.DataFrame] = field(default_factory=list)
    _asked: tuple[int, int] | None = None
    _written_ms: int = 0

    def begins_at(self, since_ms: int | None) -> int | None:
        """Return where the series goes on: behind its last candle, at `since`, or None for now."""
        times = self.series.opening_times()
        if len(times):
            return self.series.timeframe.next(int(times[-1]))
        return since_ms

    def take(self, candles: pl.DataFrame, now_ms: int) -> None:
        """Take closed candles, and write what waits where the last writing is some seconds ago."""
        timeframe, times = self.series.timeframe, candles["open_time"].to_physical()
        first_ms = int(times[0]) if self._asked is None else self._asked[0]
        self._asked = (first_ms, timeframe.next(int(times[-1])))
        self._waiting.append(candles)
        every_ms = _WRITE_EVERY_MS if timeframe.mean_ms >= MINUTE_MS else _WRITE_SECONDS_EVERY_MS
        if now_ms - self._written_ms >= every_ms:
            self._write(now_ms)

    def end(self, description: str, now_ms: int) -> None:
        """Write what waits, and the manifest."""
        self._write(now_ms)
        if self._asked is not None:
            self.series.seal(source=description, asked=[self._asked], collected_ms=now_ms)

    def _write(self, now_ms: int) -> None:
        if self._waiting:
            self.done += self.series.add(pl.concat(self._waiting), collected_ms=now_ms)
            self._waiting.clear()
            self._written_ms = now_ms
