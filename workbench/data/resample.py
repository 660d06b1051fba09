"""Coarser candles from finer ones: open of the first, highest high, lowest low, close of the last.

A week opens on Monday and a month on its first day, both in UTC. A coarse candle counts as finished
when the finer series reaches its end; the one that is not is left out, because a strategy that saw
it would see the future of its own candle. Fine candles that are missing inside a coarse one are not
invented: the coarse candle is built from those that exist.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from workbench.data.schema import OPEN_TIME
from workbench.data.times import iso
from workbench.errors import DataError, UsageError
from workbench.market.timeframes import DAY_MS, WEEK_MS, Timeframe, parse_timeframe

_BLOCK = 16_384  # rows that are looked at while they are in the cache


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
    symbols = frame["symbol"]
    series = frame.partition_by("symbol") if (symbols != symbols[0]).any() else [frame]
    series.sort(key=lambda one: str(one.item(0, "symbol")))
    return pl.concat([_of_one_symbol(one, from_frame, to_frame, keep_open) for one in series])


def _of_one_symbol(
    frame: pl.DataFrame, fine: Timeframe, coarse: Timeframe, keep_open: bool
) -> pl.DataFrame:
    times = frame["open_time"].to_physical().to_numpy()
    ordered, regular = frame, _is_regular(times, fine)
    if not regular:
        refuse_misaligned(frame, fine)
        ordered = frame if frame["open_time"].is_sorted() else frame.sort("open_time")
        times = ordered["open_time"].to_physical().to_numpy()
    opens, starts = _first_of_each(times, coarse, step=fine.fixed_ms if regular else None)
    if not keep_open and coarse.next(int(opens[-1])) > fine.next(int(times[-1])):
        opens, starts, ordered = opens[:-1], starts[:-1], ordered.head(int(starts[-1]))
    return pl.DataFrame([_folded(column, opens, starts) for column in ordered.iter_columns()])


def _is_regular(times: np.ndarray, timeframe: Timeframe) -> bool:
    """Return whether candles are aligned, in order and without a gap, as nearly all are."""
    step = timeframe.fixed_ms
    if step is None or step >= WEEK_MS or times[0] % step:  # others count from the epoch
        return False
    if times[-1] - times[0] != (len(times) - 1) * step:
        return False
    blocks = (times[begin : begin + _BLOCK + 1] for begin in range(0, len(times), _BLOCK))
    return all((block[1:] - block[:-1] == step).all() for block in blocks)


def _first_of_each(
    times: np.ndarray, coarse: Timeframe, *, step: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the opening time of each coarse candle and the row of its first fine one.

    `step` is the distance of all times, where there is one: then rows can be counted, not searched.
    """
    first, last = coarse.floor(int(times[0])), coarse.floor(int(times[-1]))
    length = coarse.fixed_ms
    if length is None:
        edges = [first]
        while edges[-1] < last:
            edges.append(coarse.next(edges[-1]))
        opens = np.array(edges, np.int64)
    elif (last - first) // length <= len(times):
        opens = np.arange(first, last + 1, length)
    else:  # more candles are missing than there are
        opens = np.unique((times - first) // length) * length + first
    if step is not None:
        return opens, np.maximum(opens - times[0], 0) // step
    starts = np.searchsorted(times, opens)
    filled = np.diff(starts, append=len(times)) > 0
    return opens[filled], starts[filled]


def _folded(column: pl.Series, opens: np.ndarray, starts: np.ndarray) -> pl.Series:
    """Return one column of the coarse candles; a sum is null where one of its parts is."""
    name = column.name
    if name == "open_time":
        return pl.Series(name, opens).cast(OPEN_TIME)
    if not len(starts):
        return column.clear()
    if name == "symbol":
        return pl.Series(name, [column[0]]).new_from_index(0, len(starts))
    if not column.null_count():
        pieces = [_FOLDS.get(name, np.add.reduceat)(*piece) for piece in _pieces(column, starts)]
        return pl.Series(name, np.concatenate(pieces))
    if name in ("open", "close"):
        return column.gather(starts if name == "open" else np.append(starts[1:], len(column)) - 1)
    fold = _FOLDS.get(name, np.add.reduceat)
    folded = pl.Series(name, fold(column.fill_null(0).to_numpy(), starts))
    unknown = np.add.reduceat(column.is_null().to_numpy().astype(np.int64), starts) > 0
    return folded.set(pl.Series(unknown), None)


def _pieces(column: pl.Series, starts: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (values, starts within them) of parts that no coarse candle lies across.

    The parts are those in which the column lies in memory, one for each file that was read: joining
    them first would take longer than to fold them.
    """
    chunks = column.get_chunks()
    begins = np.concatenate([[0], np.cumsum([len(one) for one in chunks])])
    places = np.searchsorted(starts, begins)
    if not (starts[places[:-1].clip(max=len(starts) - 1)] == begins[:-1]).all():
        return [(column.to_numpy(), starts)]
    return [
        (chunk.to_numpy(), starts[first:end] - begin)
        for chunk, begin, first, end in zip(
            chunks, begins[:-1], places[:-1], places[1:], strict=True
        )
    ]


def _first(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return values[starts]


def _last(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return values[np.append(starts[1:], len(values)) - 1]


_FOLDS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "open": _first,
    "high": np.maximum.reduceat,
    "low": np.minimum.reduceat,
    "close": _last,
}


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


def refuse_misaligned(
    frame: pl.DataFrame, timeframe: Timeframe, *, symbol: str | None = None
) -> None:
    """Raise DataError where a candle does not open where its interval says.

    `symbol` names the candles where the frame has no such column.
    """
    if timeframe.fixed_ms is not None and timeframe.fixed_ms < WEEK_MS:  # counts from the epoch
        times = frame["open_time"].to_physical()
        if not (times % timeframe.fixed_ms != 0).any():
            return
    bad = frame.filter(pl.col("open_time") != opening_time(pl.col("open_time"), timeframe))
    if not bad.is_empty():
        at = bad.item(0, "open_time")
        raise DataError(
            f"{symbol or bad.item(0, 'symbol')} {timeframe}: {len(bad)} candles are misaligned, the first at "
            f"{iso(int(at.timestamp() * 1000))}; look at them with `workbench data check`"
        )
