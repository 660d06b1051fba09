"""Coarser candles from finer ones: open of the first, highest high, lowest low, close of the last.

A week opens on Monday and a month on its first day, both in UTC. A coarse candle counts as finished
when the finer series reaches its end; the one that is not is left out, because a strategy that saw
it would see the future of its own candle. Fine candles that are missing inside a coarse one are not
invented: the coarse candle is built from those that exist.
"""

from __future__ import annotations

import polars as pl

from workbench.data.schema import RAW
from workbench.data.times import iso
from workbench.errors import DataError, UsageError
from workbench.market.timeframes import DAY_MS, WEEK_MS, Timeframe, parse_timeframe


def resample(
    frame: pl.DataFrame,
    fine: str | Timeframe,
    coarse: str | Timeframe,
    *,
    keep_open: bool = False,
) -> pl.DataFrame:
    """Return the coarse candles of a frame of one or more symbols, sorted by symbol and time.

    `keep_open=True` also returns the coarse candle that the fine series does not reach the end of.
    Raises UsageError where one interval does not divide the other, DataError for misaligned times.
    """
    from_frame, to_frame = parse_timeframe(fine), parse_timeframe(coarse)
    refuse_ratio(from_frame, to_frame)
    if from_frame == to_frame or frame.is_empty():
        return frame
    refuse_misaligned(frame, from_frame)
    series = frame.partition_by("symbol") if frame["symbol"].n_unique() > 1 else [frame]
    series.sort(key=lambda one: str(one.item(0, "symbol")))
    return pl.concat([_of_one_symbol(one, from_frame, to_frame, keep_open) for one in series])


def _of_one_symbol(
    frame: pl.DataFrame, fine: Timeframe, coarse: Timeframe, keep_open: bool
) -> pl.DataFrame:
    ordered = frame if frame["open_time"].is_sorted() else frame.sort("open_time")
    sums = [name for name in ("volume", *RAW) if name in frame.columns]
    built = (
        ordered.lazy()
        .with_columns(opening_time(pl.col("open_time"), coarse).set_sorted())
        .group_by("open_time", maintain_order=True)  # quick, because the times are known to rise
        .agg(
            pl.col("symbol", "open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col(sums).sum(),
        )
        .select(frame.columns)
    )
    if not keep_open:
        reached = ordered.tail(1).select(closing_time(pl.col("open_time"), fine)).item()
        built = built.filter(closing_time(pl.col("open_time"), coarse) <= reached)
    return built.collect()


def opening_time(time: pl.Expr, timeframe: Timeframe) -> pl.Expr:
    """Return an expression for the opening time of the candle that contains a time."""
    if timeframe.fixed_ms is None:
        return time.dt.truncate("1mo")
    if timeframe.fixed_ms == WEEK_MS:
        return time.dt.truncate("1w")  # polars' weeks open on Monday
    return time.dt.truncate(f"{timeframe.fixed_ms // 1000}s")


def closing_time(time: pl.Expr, timeframe: Timeframe) -> pl.Expr:
    """Return an expression for the time at which the candle that opens at a time closes."""
    if timeframe.fixed_ms is None:
        return time.dt.offset_by("1mo")
    return time + pl.duration(milliseconds=timeframe.fixed_ms)


def divides(fine: Timeframe, coarse: Timeframe) -> bool:
    """Return whether every coarse candle begins and ends with a fine one."""
    if fine == coarse:
        return True
    if fine.fixed_ms is None:
        return False
    if coarse.fixed_ms is None:
        return DAY_MS % fine.fixed_ms == 0
    if coarse.fixed_ms == WEEK_MS:  # weeks hang on Monday, other intervals on the epoch
        return DAY_MS % fine.fixed_ms == 0
    return coarse.fixed_ms % fine.fixed_ms == 0


def refuse_ratio(fine: Timeframe, coarse: Timeframe) -> None:
    """Raise UsageError where candles of one interval cannot be built from those of the other."""
    if not divides(fine, coarse):
        raise UsageError(
            f"{coarse} candles cannot be built from {fine} ones; load a finer interval"
        )


def refuse_misaligned(frame: pl.DataFrame, timeframe: Timeframe) -> None:
    """Raise DataError where a candle does not open where its interval says."""
    bad = frame.filter(pl.col("open_time") != opening_time(pl.col("open_time"), timeframe))
    if not bad.is_empty():
        at = bad.item(0, "open_time")
        raise DataError(
            f"{bad.item(0, 'symbol')} {timeframe}: {len(bad)} candles are misaligned, the first at "
            f"{iso(int(at.timestamp() * 1000))}; look at them with `workbench data check`"
        )
