"""Loading candles: as CANDLE records with their warm-up, or as a frame with every column."""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench.data import files
from workbench.data.catalogue import Choice, choose
from workbench.data.places import Places
from workbench.data.resample import refuse_misaligned, resample
from workbench.data.schema import OPEN_TIME, PROVENANCE, marked
from workbench.data.times import When, iso, window_ms
from workbench.errors import DataError
from workbench.market.candles import Candles, records_from_columns
from workbench.market.timeframes import Timeframe, parse_timeframe

WARM_UP = 5_000  # candles before the start that the synthetic market makes; recordings give all
_CANDLE_COLUMNS = ("open_time", "open", "high", "low", "close", "volume")


def load(
    symbol: str,
    interval: str | Timeframe,
    *,
    start: When | None = None,
    end: When | None = None,
    venue: str = "binance",
    places: Places | None = None,
) -> Candles:
    """Return the candles that open in [start, end), with all earlier ones before them as warm-up.

    Times are ISO text, datetime or milliseconds, in UTC. `venue` other than "binance" looks only
    into the project's own datasets. Raises UsageError for a request that makes no sense, DataError
    where recorded candles do not reach it or break a rule.
    """
    timeframe = parse_timeframe(interval)
    start_ms, end_ms = window_ms(start, end)
    choice = choose(symbol, timeframe, start_ms, end_ms, venue, places or Places.here())
    from_ms = None if start_ms is None or choice.series else start_ms - WARM_UP * timeframe.mean_ms
    frame = _frame(choice, symbol, from_ms, end_ms, columns=_CANDLE_COLUMNS)
    records = _records(frame, symbol, timeframe)
    first = 0 if start_ms is None else int(np.searchsorted(records["open_time"], start_ms))
    if first == len(records):
        raise DataError(_nothing(symbol, timeframe, start_ms, end_ms, choice))
    return Candles(symbol, timeframe, records, first, choice.source)


def load_frame(
    symbol: str,
    interval: str | Timeframe,
    start: When | None = None,
    end: When | None = None,
    *,
    venue: str = "binance",
    places: Places | None = None,
    provenance: bool = False,
) -> pl.DataFrame:
    """Return the candles that open in [start, end) with every column their source has.

    The same data as `load` would take; `source_of` says which. `provenance=True` adds a column that
    says of every candle where it came from, null where nobody noted it.
    """
    timeframe = parse_timeframe(interval)
    start_ms, end_ms = window_ms(start, end)
    choice = choose(symbol, timeframe, start_ms, end_ms, venue, places or Places.here())
    keep = (PROVENANCE,) if provenance else ()
    frame = _frame(choice, symbol, start_ms, end_ms, columns=None, keep=keep)
    if frame.is_empty():
        raise DataError(_nothing(symbol, timeframe, start_ms, end_ms, choice))
    return marked(frame, None) if provenance else frame


def source_of(
    symbol: str,
    interval: str | Timeframe,
    start: When | None = None,
    end: When | None = None,
    *,
    venue: str = "binance",
    places: Places | None = None,
) -> str:
    """Return in words which data `load` and `load_frame` take for a request."""
    start_ms, end_ms = window_ms(start, end)
    timeframe = parse_timeframe(interval)
    return choose(symbol, timeframe, start_ms, end_ms, venue, places or Places.here()).source


def _frame(
    choice: Choice,
    symbol: str,
    start_ms: int | None,
    end_ms: int | None,
    *,
    columns: tuple[str, ...] | None,
    keep: tuple[str, ...] = (),
) -> pl.DataFrame:
    if choice.series is None:
        from workbench.data.sources import synthetic

        return synthetic.candles(symbol, choice.timeframe, start_ms, end_ms)
    resampled = choice.series.timeframe != choice.timeframe
    lazy = files.read(list(choice.series.parts), keep=() if resampled else keep)
    if resampled:
        if columns is not None:
            lazy = lazy.select("symbol", *columns)
        return _resampled(lazy, choice, start_ms, end_ms)
    if columns is not None:
        lazy = lazy.select(columns)
    frame = _between(lazy, start_ms, end_ms).collect()
    refuse_misaligned(frame, choice.timeframe, symbol=symbol)
    return frame


def _resampled(
    lazy: pl.LazyFrame, choice: Choice, start_ms: int | None, end_ms: int | None
) -> pl.DataFrame:
    """Build coarse candles; the first one is left out where the fine series begins inside it."""
    series = choice.series
    assert series is not None
    coarse = resample(lazy.collect(), series.timeframe, choice.timeframe)
    start_ms = series.first_ms if start_ms is None else max(start_ms, series.first_ms)
    return _between(coarse.lazy(), start_ms, end_ms).collect()


def _between(lazy: pl.LazyFrame, start_ms: int | None, end_ms: int | None) -> pl.LazyFrame:
    time = pl.col("open_time")
    if start_ms is not None:
        lazy = lazy.filter(time >= pl.lit(start_ms).cast(OPEN_TIME))
    if end_ms is not None:
        lazy = lazy.filter(time < pl.lit(end_ms).cast(OPEN_TIME))
    return lazy


def _records(frame: pl.DataFrame, symbol: str, timeframe: Timeframe) -> np.ndarray:
    opens, highs, lows, closes, volumes = (
        frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")
    )
    times = frame["open_time"].to_physical().to_numpy()
    return records_from_columns(times, opens, highs, lows, closes, volumes, timeframe, label=symbol)


def _nothing(
    symbol: str, timeframe: Timeframe, start_ms: int | None, end_ms: int | None, choice: Choice
) -> str:
    window = f"[{iso(start_ms) if start_ms else 'first'}, {iso(end_ms) if end_ms else 'last'})"
    return (
        f"{symbol} {timeframe}: no candle opens in {window} ({choice.source}); "
        "widen the window, or collect more with `workbench collect`"
    )
