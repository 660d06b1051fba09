"""The recorded tape: every candle as four prints O-L-H-C, and the klines built back from prints.

Spot is long only, so low before high is the pessimistic order; the same legs are walked by the
sweep's kernel. Prints are 1e-8 integers and obey no filter. A candle's volume is cut into four
parts that sum to it exactly; the first takes what division leaves. Published klines, of the
source's interval or coarser, are reductions of prints and nothing else, so that they equal the
source's candles to the digit.

Print `k` of candle `i` stands at index 4 i + k of every array.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np

from workbench.errors import DataError, UsageError
from workbench.market.candles import Candles
from workbench.market.instruments import SCALE
from workbench.market.timeframes import Timeframe, parse_timeframe

LEGS = ("open", "low", "high", "close")
PRINTS = len(LEGS)
SELLER_TAKES = np.array([False, True, False, True])  # the leg went down: the buyer was the maker
LARGEST = 9e10  # times 1e8 still an int64
FLOAT_EXACT = 9e7  # above it a float times 1e8 is no whole number any more
LONGEST_MONTH_MS = 31 * 86_400_000
FIRST_TRADE_ID = 1_000_000_000  # far from the numbers that the engine gives to users' trades


@dataclass(frozen=True, slots=True)
class Print:
    """One recorded trade; price and quantity at 1e-8."""

    trade_id: int
    time_ms: int
    price_e8: int
    quantity_e8: int
    quote_e8: int
    seller_takes: bool


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Prints that one taker made at one price at one time: their number, ids and quantity."""

    number: int
    first_id: int
    last_id: int
    quantity_e8: int


@dataclass(frozen=True, slots=True)
class Kline:
    """A published candle, everything at 1e-8; `trades` prints from number `first_trade_id` on."""

    open_ms: int
    close_ms: int
    open_e8: int
    high_e8: int
    low_e8: int
    close_e8: int
    volume_e8: int
    quote_volume_e8: int
    trades: int
    taker_volume_e8: int
    taker_quote_e8: int
    first_trade_id: int


class Tape:
    """All prints of one symbol's candles, in order.

    Candle `i` holds the prints `first[i]` up to `first[i + 1]`; `ids` are their trade numbers.
    `is_path` says that a price passes all prices between two prints of a candle.
    """

    is_path = True

    def __init__(self, candles: Candles) -> None:
        if not len(candles.records):
            raise DataError(f"{candles.symbol}: no candles to replay")
        self.symbol = candles.symbol
        self.timeframe = candles.timeframe
        records = candles.records
        self.open_ms = records["open_time"].astype(np.int64)
        self.first = np.arange(len(records) + 1) * PRINTS
        self.ids = FIRST_TRADE_ID + np.arange(len(records) * PRINTS)
        self.time_ms = _leg_times(self.open_ms, self.timeframe)
        self.candle_volume_e8 = e8_of_floats(records["volume"])
        self.price_e8 = np.stack([e8_of_floats(records[leg]) for leg in LEGS], axis=1).ravel()
        self.quantity_e8 = _split(self.candle_volume_e8)
        self.quote_e8 = value_e8(self.price_e8, self.quantity_e8)
        self.buyer_takes = np.tile(~SELLER_TAKES, len(records))

    def __len__(self) -> int:
        return len(self.price_e8)

    @property
    def candles(self) -> int:
        """Number of candles on the tape."""
        return len(self.open_ms)

    def close_ms(self, candle: int) -> int:
        """Return the last millisecond of a candle."""
        return self.timeframe.next(int(self.open_ms[candle])) - 1

    def candle_of(self, index: int) -> int:
        """Return the candle that a print belongs to."""
        return int(np.searchsorted(self.first, index, "right")) - 1

    def print_at(self, index: int) -> Print:
        """Return one print; four a candle: the opening, a third, two thirds, the last millisecond."""
        return Print(
            trade_id=int(self.ids[index]),
            time_ms=int(self.time_ms[index]),
            price_e8=int(self.price_e8[index]),
            quantity_e8=int(self.quantity_e8[index]),
            quote_e8=int(self.quote_e8[index]),
            seller_takes=not self.buyer_takes[index],
        )

    @cached_property
    def aggregates(self) -> np.ndarray:
        """Index of the first print of every aggregate: same time, price and taker, one by one."""
        same = np.ones(len(self), dtype=bool)
        for column in (self.time_ms, self.price_e8, self.buyer_takes):
            same[1:] &= column[1:] == column[:-1]
        same[0] = False
        return np.flatnonzero(~same)

    def aggregates_between(self, first: int, end: int) -> tuple[int, int]:
        """Return the numbers of the aggregates that begin in prints [first, end) and end by then."""
        ends = np.append(self.aggregates[1:], len(self))
        begun = np.searchsorted(self.aggregates, first)
        return int(begun), int(np.searchsorted(ends, end, "right"))

    def ends_aggregate(self, index: int) -> bool:
        """Whether a print is the last of its aggregate."""
        after = int(np.searchsorted(self.aggregates, index, "right"))
        return index + 1 == (len(self) if after == len(self.aggregates) else self.aggregates[after])

    def aggregate_at(self, index: int) -> Aggregate:
        """Return the aggregate that a print belongs to, whole."""
        number = int(np.searchsorted(self.aggregates, index, "right")) - 1
        first = int(self.aggregates[number])
        last = number + 1 == len(self.aggregates)
        end = len(self) if last else int(self.aggregates[number + 1])
        return Aggregate(
            number=number,
            first_id=int(self.ids[first]),
            last_id=int(self.ids[end - 1]),
            quantity_e8=total(self.quantity_e8[first:end]),
        )

    def kline_at(
        self, timeframe: Timeframe, played: int, time_ms: int, *, offset_ms: int = 0
    ) -> Kline | None:
        """Return the kline that contains a time, from the first `played` prints; None without one."""
        opened = timeframe.floor(time_ms + offset_ms) - offset_ms
        window = self.klines(
            timeframe, played, start_ms=opened, end_ms=opened, limit=1, offset_ms=offset_ms
        )
        return next(window, None)

    def klines(
        self,
        timeframe: Timeframe,
        played: int,
        *,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
        offset_ms: int = 0,
    ) -> Iterator[Kline]:
        """Yield klines of the first `played` prints by opening time, the unfinished one included.

        With a start the oldest from it, without one the most recent up to the end. `offset_ms` is
        the time zone that days begin in. Raises UsageError for an interval finer than the source's,
        or one that it does not divide.
        """
        refuse_finer(timeframe, self.timeframe, offset_ms)
        shown = self.open_ms[: int(np.searchsorted(self.first[:-1], played))] + offset_ms
        first_ms, last_ms = (at if at is None else at + offset_ms for at in (start_ms, end_ms))
        opened = _openings(shown, self.timeframe, timeframe, first_ms, last_ms, limit)
        if len(opened):
            yield from self._reduced(shown, timeframe, opened, played, offset_ms)

    def _reduced(
        self,
        shown: np.ndarray,
        timeframe: Timeframe,
        opened: np.ndarray,
        played: int,
        offset_ms: int,
    ) -> Iterator[Kline]:
        """Yield the klines that open at these times, neighbours on the tape, reduced all at once."""
        close_ms = _next(opened, timeframe) - 1
        first = self.first[np.searchsorted(shown, opened)]
        begin, end = int(first[0]), int(self.first[np.searchsorted(shown, close_ms[-1], "right")])
        part, edges = slice(begin, min(end, played)), first - begin
        prices, quantity, quote = self.price_e8[part], self.quantity_e8[part], self.quote_e8[part]
        taker = self.buyer_takes[part]
        counts = np.diff(np.append(edges, len(prices)))
        columns: list[list[int]] = [
            (opened - offset_ms).tolist(),
            (close_ms - offset_ms).tolist(),
            prices[edges].tolist(),
            np.maximum.reduceat(prices, edges).tolist(),
            np.minimum.reduceat(prices, edges).tolist(),
            prices[edges + counts - 1].tolist(),
            _totals(quantity, edges),
            _totals(quote, edges),
            counts.tolist(),
            _totals(np.where(taker, quantity, 0), edges),
            _totals(np.where(taker, quote, 0), edges),
            self.ids[first].tolist(),
        ]
        yield from map(Kline, *columns)


def refuse_finer(timeframe: Timeframe, source: Timeframe, offset_ms: int = 0) -> None:
    """Raise UsageError unless candles of `source` add up to candles of `timeframe`."""
    if timeframe == source and not offset_ms:
        return
    length = source.fixed_ms
    if (
        length is None
        or offset_ms % length
        or timeframe.mean_ms < source.mean_ms
        or ((timeframe.fixed_ms or parse_timeframe("1d").mean_ms) % length)
    ):
        raise UsageError(
            f"{timeframe} klines cannot be built from a replay of {source} candles; "
            f"ask for {source} or a multiple of it, or replay finer candles"
        )


def e8_of_floats(values: np.ndarray) -> np.ndarray:
    """Return decimal amounts that arrived as floats as integers at 1e-8, nearest where finer."""
    if len(values) and values.max() > LARGEST:
        raise DataError(
            f"an amount of {values.max():g} is too large to be counted at 1e-8 in int64"
        )
    amounts = np.rint(values * SCALE).astype(np.int64)
    for index in np.flatnonzero(values > FLOAT_EXACT):
        amounts[index] = int(round(Decimal(repr(float(values[index]))) * SCALE))
    return amounts


def value_e8(price_e8: np.ndarray, quantity_e8: np.ndarray) -> np.ndarray:
    """Return floor(price x quantity) at 1e-8 of arrays at 1e-8, without overflowing int64."""
    price, price_rest = np.divmod(price_e8, SCALE)
    quantity, quantity_rest = np.divmod(quantity_e8, SCALE)
    return price * quantity_e8 + price_rest * quantity + price_rest * quantity_rest // SCALE


def total(amounts_e8: np.ndarray) -> int:
    """Return the exact sum of amounts at 1e-8, which may exceed int64 (a month of turnover does)."""
    whole, rest = np.divmod(amounts_e8, SCALE)
    return int(whole.sum()) * SCALE + int(rest.sum())


def _leg_times(open_ms: np.ndarray, timeframe: Timeframe) -> np.ndarray:
    lasts = (_next(open_ms, timeframe) - 1 - open_ms)[:, None]
    return (open_ms[:, None] + lasts * np.arange(PRINTS) // (PRINTS - 1)).ravel()


def _split(volume_e8: np.ndarray) -> np.ndarray:
    parts = np.repeat(volume_e8[:, None] // PRINTS, PRINTS, axis=1)
    parts[:, 0] += volume_e8 % PRINTS
    return parts.ravel()


def _totals(amounts_e8: np.ndarray, edges: np.ndarray) -> list[int]:
    """Return the exact sum from each edge to the next, as `total` does for one."""
    whole, rest = np.divmod(amounts_e8, SCALE)
    wholes, rests = (np.add.reduceat(part, edges).tolist() for part in (whole, rest))
    return [one * SCALE + other for one, other in zip(wholes, rests, strict=True)]


def _openings(
    shown: np.ndarray,
    fine: Timeframe,
    timeframe: Timeframe,
    start_ms: int | None,
    end_ms: int | None,
    limit: int,
) -> np.ndarray:
    """Return the opening times of the candles of `timeframe` that the window asks for, rising."""
    if limit <= 0:
        return shown[:0]
    enough = (limit + 1) * (_longest_ms(timeframe) // _longest_ms(fine))  # fine candles to look at
    if start_ms is not None:
        index = int(np.searchsorted(shown, start_ms))
        found = np.unique(_floor(shown[index : index + enough], timeframe))
        inside = (found >= start_ms) & (found <= (np.inf if end_ms is None else end_ms))
        return found[inside][:limit]
    index = len(shown) if end_ms is None else int(np.searchsorted(shown, end_ms, "right"))
    return np.unique(_floor(shown[max(0, index - enough) : index], timeframe))[-limit:]


def _floor(time_ms: np.ndarray, timeframe: Timeframe) -> np.ndarray:
    """Return the opening times of the candles that contain times: `Timeframe.floor` of an array."""
    if timeframe.fixed_ms is None:
        return time_ms.astype("M8[ms]").astype("M8[M]").astype("M8[ms]").astype(np.int64)
    anchor = timeframe.floor(0) % timeframe.fixed_ms
    return (time_ms - anchor) // timeframe.fixed_ms * timeframe.fixed_ms + anchor


def _next(open_ms: np.ndarray, timeframe: Timeframe) -> np.ndarray:
    if timeframe.fixed_ms is None:
        months = open_ms.astype("M8[ms]").astype("M8[M]") + 1
        return months.astype("M8[ms]").astype(np.int64)
    return open_ms + timeframe.fixed_ms


def _longest_ms(timeframe: Timeframe) -> int:
    return LONGEST_MONTH_MS if timeframe.fixed_ms is None else timeframe.fixed_ms
